import { defineErrors, SallyportError } from '../base/errors.ts';

export const proxyErrors = defineErrors({
  'proxy.target-unreachable': {
    meaning: 'the target does not answer',
    remedy: 'check that it is up and that its address and port in the estate are right',
  },
  'proxy.no-host-key': {
    meaning: 'no host key of the target is trusted yet',
    remedy: 'compare and trust its keys with `sallyport target trust TARGET`',
  },
  'proxy.host-key-changed': {
    meaning: 'the target shows another host key than the trusted one, so nothing was sent to it',
    remedy: 'find out why; if the change is right, trust the new key with `sallyport target trust TARGET`',
  },
  'proxy.no-certificate': {
    meaning: 'no certificate of the target is trusted yet',
    remedy: 'compare and trust its certificate with `sallyport target trust TARGET`',
  },
  'proxy.certificate-changed': {
    meaning: 'the target shows another certificate than the trusted one, so nothing was sent to it',
    remedy: 'find out why; if the change is right, trust the new one with `sallyport target trust TARGET`',
  },
  'proxy.no-password': {
    meaning: 'a desktop is opened with a password, and the account has none',
    remedy: 'store a password with `sallyport account set ACCOUNT`, or use an account that has one',
  },
  'proxy.redirected': {
    meaning: 'the target sends its clients to another machine',
    remedy:
      'declare that machine as a target of its own; what a farm sends along may hold credentials and is never passed on',
  },
  'proxy.unrecordable': {
    meaning: 'the target draws in a way that was not agreed on and could not be recorded',
    remedy: 'report it with the kind of server; ask it for another depth of colour meanwhile',
  },
  'proxy.idle': { meaning: 'nothing was typed for as long as the grant allows', remedy: 'connect again' },
  'proxy.credential-rejected': {
    meaning: 'the target did not take the stored credential',
    remedy: 'verify it with `sallyport verify ACCOUNT`; someone may have changed it on the target',
  },
  'proxy.no-credential': {
    meaning: 'no credential is stored for the account',
    remedy: 'store the present one with `sallyport account set ACCOUNT`, or rotate it',
  },
  'proxy.protocol': {
    meaning: 'the peer broke the rules of the protocol',
    remedy: 'if a stock client or server does this, report it with the log of that second',
  },
  'proxy.killed': { meaning: 'the session was ended from outside', remedy: 'the reason is in the audit trail' },
  'proxy.time-over': { meaning: 'the time that was granted is over', remedy: 'ask for a longer time frame' },
  'proxy.keeper-gone': {
    meaning: 'the keeper did not come back in time',
    remedy: 'see why the keeper ended in its log; the session has to be opened anew',
  },
  'proxy.recorder-lost': {
    meaning: 'the session could not be recorded any longer',
    remedy: 'check the disk below the data directory, then open the session anew',
  },
  'proxy.shutdown': { meaning: 'Sallyport is being stopped', remedy: 'connect again in a moment' },
});

export type ProxyErrorCode = keyof typeof proxyErrors;

export class ProxyError extends SallyportError<ProxyErrorCode> {
  constructor(code: ProxyErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, proxyErrors[code], detail, options);
  }
}

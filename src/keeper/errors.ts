import { defineErrors, SallyportError } from '../base/errors.ts';

export const keeperErrors = defineErrors({
  'keeper.unknown-gate': {
    meaning: 'a process that is no gate of this Sallyport asked to be one',
    remedy: 'gates are started by `sallyport start` only; stop leftovers of an earlier run',
  },
  'keeper.unknown-handle': {
    meaning: 'a gate used a handle that it was not given',
    remedy: 'if the gate is of the same version this is a sign of tampering: stop it and look into its log',
  },
  'keeper.session-over': {
    meaning: 'the session was ended before it began',
    remedy: 'the reason is in the audit trail; connect again if you may',
  },
  'keeper.not-injectable': {
    meaning: 'a credential of this kind cannot be used for an ssh login',
    remedy: 'give the account a password or an ssh key',
  },
  'keeper.not-allowed': {
    meaning: 'you may not do this',
    remedy: 'ask an administrator for a role that has the named right',
  },
  'keeper.no-such-thing': {
    meaning: 'there is nothing of that name',
    remedy: 'list what there is, e.g. with `sallyport target ls` or `sallyport account ls`',
  },
  'keeper.enrolment-open': {
    meaning: 'somebody is there already, so the first code is no longer valid',
    remedy: 'ask an administrator for a code of your own (`sallyport user code NAME`)',
  },
  'keeper.certificate-unusable': {
    meaning: 'a certificate for events or rdp cannot be used',
    remedy:
      'let `events.certificate` and `events.key`, or `rdp.certificate` and `rdp.key`, name PEM files that belong together and can be read here',
  },
  'keeper.rdp-off': {
    meaning: 'this Sallyport takes no clients of RDP',
    remedy: 'give `rdp.address` and `rdp.port` in the configuration, or --rdp-listen, and start it again',
  },
  'keeper.estate-invalid': {
    meaning: 'the estate file cannot be used',
    remedy: 'correct the named line; docs/estate.md shows every key',
  },
  'keeper.estate-secret': {
    meaning: 'an estate file holds no secrets',
    remedy: 'remove the line and enter the secret with `sallyport account set ACCOUNT` (or `sallyport user code NAME`)',
  },
});

export type KeeperErrorCode = keyof typeof keeperErrors;

export class KeeperError extends SallyportError<KeeperErrorCode> {
  constructor(code: KeeperErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, keeperErrors[code], detail, options);
  }
}

import { defineErrors, SallyportError } from '../../base/errors.ts';

export const rdpErrors = defineErrors({
  'rdp.protocol': {
    meaning: 'the peer broke the rules of RDP',
    remedy: 'if a stock client or server does this, report it with the log of that second',
  },
  'rdp.closed': { meaning: 'the peer closed the connection', remedy: 'look at the log of the other side' },
  'rdp.tls': {
    meaning: 'no TLS could be agreed on',
    remedy: 'both sides need TLS 1.2 or newer; look at the log of the other side',
  },
  'rdp.negotiation': {
    meaning: 'the two sides want different security',
    remedy: 'set `security` of the service to what the target offers: nla or tls',
  },
  'rdp.too-slow': { meaning: 'the handshake took too long', remedy: 'connect again; look at the network between' },
});

export type RdpErrorCode = keyof typeof rdpErrors;

export class RdpError extends SallyportError<RdpErrorCode> {
  constructor(code: RdpErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, rdpErrors[code], detail, options);
  }
}

/** What NTLM and CredSSP refuse, and the two things that can break. Refusals are returned by acceptor and initiator. */
import { defineErrors, SallyportError } from '../../base/errors.ts';

const peerBug = 'the peer broke the protocol; try another client or server version';
const attack =
  'suspect an attacker between the two, or a device that opens TLS; compare the certificates on both sides';

export const ntlmErrors = defineErrors({
  // Thrown.
  'ntlm.hash-forbidden': {
    meaning: 'this machine forbids MD5, without which there is no NTLM',
    remedy: 'run this process without FIPS mode, or let people log in without network level authentication',
  },
  'ntlm.password-text': {
    meaning: 'the password is not text, so it cannot be used for NTLM',
    remedy: 'give the account a password that is well-formed UTF-8',
  },
  // Refused in both roles.
  'ntlm.malformed': { meaning: 'the peer sent bytes that are not well-formed CredSSP or NTLM', remedy: peerBug },
  'ntlm.protocol': { meaning: 'the peer sent a message that is not allowed at this point', remedy: peerBug },
  'ntlm.version': {
    meaning: 'the peer speaks no version of CredSSP that is allowed',
    remedy: 'update the peer; versions below 5 are from before May 2018',
  },
  'ntlm.weak': {
    meaning: 'the peer wants a weaker NTLM than NTLMv2 with signing, sealing and 128-bit keys',
    remedy: 'allow NTLMv2 on the peer (LAN Manager authentication level 3 or higher)',
  },
  'ntlm.public-key': {
    meaning: 'the peer saw another TLS key than the one that was shown to it, or could not prove that it saw it',
    remedy: attack,
  },
  // Refused by the acceptor.
  'ntlm.no-common-mechanism': {
    meaning: 'the client offers no NTLM',
    remedy: 'connect by address, or allow NTLM on the client',
  },
  'ntlm.anonymous': { meaning: 'the client named no user', remedy: 'give a user name' },
  'ntlm.channel-bindings': { meaning: 'the client logged in to another TLS certificate', remedy: attack },
  'ntlm.login-rejected': { meaning: 'the user is unknown or the password is wrong', remedy: 'ask for a new password' },
  'ntlm.altered': {
    meaning: 'the messages were altered on their way, or the key that came with them was',
    remedy: attack,
  },
  'ntlm.no-password': {
    meaning: 'the client delegated no password',
    remedy: 'turn off restricted admin mode and remote credential guard for this connection',
  },
  // Refused by the server that the initiator logs in to.
  'ntlm.bad-password': {
    meaning: 'the server rejected the user name or the password',
    remedy: 'check the account name and its credential on the server',
  },
  'ntlm.password-expired': {
    meaning: 'the server says that the password has expired',
    remedy: 'change the password of the account, or lift its expiry',
  },
  'ntlm.password-must-change': {
    meaning: 'the server demands a new password before it lets this account in',
    remedy: 'change the password of the account on the server',
  },
  'ntlm.account-locked': {
    meaning: 'the server says that the account is locked',
    remedy: 'unlock the account, and find out who tried wrong passwords',
  },
  'ntlm.account-disabled': { meaning: 'the server says that the account is disabled', remedy: 'enable the account' },
  'ntlm.account-expired': {
    meaning: 'the server says that the account has expired',
    remedy: 'extend the life of the account',
  },
  'ntlm.account-restricted': {
    meaning: 'the server’s policy does not let this account in now, from here, or with this password',
    remedy: 'check empty passwords, logon hours, allowed workstations and protected users',
  },
  'ntlm.no-logon-right': {
    meaning: 'the account has not the right to log in remotely on the server',
    remedy: 'add the account to the server’s remote desktop users',
  },
  'ntlm.refused': {
    meaning: 'the server refused the login with a status of its own',
    remedy: 'look the status up in MS-ERREF, and into the security log of the server',
  },
});

export type NtlmErrorCode = keyof typeof ntlmErrors;

/** What breaks in protocol/ntlm; nothing that a peer sends throws. */
export class NtlmError extends SallyportError<NtlmErrorCode> {
  constructor(code: NtlmErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, ntlmErrors[code], detail, options);
  }
}

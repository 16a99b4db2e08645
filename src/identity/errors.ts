/**
 * What can be refused or break in the identity room. Public: other rooms match these codes. A person whose login is
 * refused sees the same words whatever the code; the code is for the audit trail.
 */
import { defineErrors, SallyportError } from '../base/errors.ts';

export const identityErrors = defineErrors({
  'identity.user-unknown': {
    meaning: 'there is no such user',
    remedy: 'sallyport user ls shows the names',
  },
  'identity.user-invalid': {
    meaning: 'a user cannot be like that',
    remedy: 'correct the named field; docs/estate.md shows each of them',
  },
  'identity.user-disabled': {
    meaning: 'the user is disabled',
    remedy: 'an administrator enables users with sallyport user enable',
  },
  'identity.user-expired': {
    meaning: 'the user has expired',
    remedy: 'an administrator sets a later expiry',
  },
  'identity.user-locked': {
    meaning: 'the user is locked after too many wrong passwords or codes',
    remedy: 'wait, or let an administrator unlock the user',
  },
  'identity.source-outside': {
    meaning: 'the user may not log in from this address',
    remedy: 'an administrator sets the allowed sources of a user',
  },
  'identity.password-wrong': {
    meaning: 'the password is wrong, or the user has none',
    remedy: 'try again; an administrator can make a new one-time code',
  },
  'identity.key-unknown': {
    meaning: 'the user has no such key, or it has expired',
    remedy: 'an administrator adds keys with sallyport user key',
  },
  'identity.signature-wrong': {
    meaning: 'the signature of a login is not good',
    remedy: 'nothing: no honest client makes such a signature',
  },
  'identity.totp-wrong': {
    meaning: 'the one-time password is wrong',
    remedy: 'check the clock of the device',
  },
  'identity.totp-replayed': {
    meaning: 'the one-time password was used before',
    remedy: 'wait for the next one',
  },
  'identity.token-wrong': {
    meaning: 'the connection token is wrong, used, expired or for another place',
    remedy: 'make a new one with sallyport rdp',
  },
  'identity.intercepted': {
    meaning: 'somebody stands between the client and the gate, or changed what they said',
    remedy: "compare the gate's certificate with what the client shows; suspect a device that opens TLS",
  },
  'identity.token-limit': {
    meaning: 'the user has as many connection tokens as may live at a time',
    remedy: 'use one of them, or wait until they expire',
  },
  'identity.token-minutes': {
    meaning: 'a connection token lives for 1 to 60 minutes',
    remedy: 'give --minutes a number from 1 to 60',
  },
  'identity.factor-unexpected': {
    meaning: 'this factor was not asked for now',
    remedy: 'nothing: the client offered a factor out of order',
  },
  'identity.too-many-attempts': {
    meaning: 'one login tried too often',
    remedy: 'connect again',
  },
  'identity.password-weak': {
    meaning: 'the password is too easy to guess',
    remedy: 'use at least 12 characters that are neither the name nor a common password',
  },
  'identity.code-wrong': {
    meaning: 'the one-time code is wrong, used or expired',
    remedy: 'an administrator makes a new one with sallyport user code',
  },
  'identity.last-administrator': {
    meaning: 'the last administrator cannot be removed, disabled or demoted',
    remedy: 'make another user an administrator first',
  },
  'identity.key-malformed': {
    meaning: 'this is no public key that can be used',
    remedy: 'paste one line of a .pub file; ed25519, ecdsa and rsa from 2048 bits are taken',
  },
  'identity.source-malformed': {
    meaning: 'this is neither an address nor a network',
    remedy: 'write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32',
  },
});

export type IdentityErrorCode = keyof typeof identityErrors;

export class IdentityError extends SallyportError<IdentityErrorCode> {
  constructor(code: IdentityErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, identityErrors[code], detail, options);
  }
}

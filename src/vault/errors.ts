/** What can break or be refused in the vault, by stable code. No message ever names a secret's bytes. */
import { defineErrors, SallyportError } from '../base/errors.ts';

export const vaultErrors = defineErrors({
  'vault.rootkey-missing': {
    meaning: 'the root key file is not there',
    remedy: 'bring back the root key file at the configured path (USB stick, backup); without it nothing can be opened',
  },
  'vault.rootkey-too-open': {
    meaning: 'the root key file can be read or replaced by others',
    remedy: 'give the file to the user that runs the keeper and take away all other rights: chown, then chmod 0400',
  },
  'vault.rootkey-malformed': {
    meaning: 'the root key file does not hold exactly 32 bytes in a regular file',
    remedy: 'bring back the original root key file; it was cut short, edited or is something else',
  },
  'vault.rootkey-inside-data': {
    meaning: 'the root key file lies inside the data directory',
    remedy: 'move the root key file outside the data directory, so that a copy of the data is not a copy of the key',
  },
  'vault.rootkey-wrong': {
    meaning: 'the root key is not the one this vault was made with',
    remedy: 'configure the path of the root key that belongs to this database',
  },
  'vault.ring-in-use': {
    meaning:
      'this vault has values under a key ring of its own, and a node that joins takes over the ring of the others',
    remedy: 'join with a new data directory, or record the credentials on the other node and start this one anew',
  },
  'vault.rootkey-exists': {
    meaning: 'a root key file is there already',
    remedy: 'use the file that is there, or give another path; an existing root key is never overwritten',
  },
  'vault.tampered': {
    meaning: 'a sealed value does not belong where it stands or was altered',
    remedy: 'restore the row from a backup and find out who can write to the database',
  },
  'vault.key-version-unknown': {
    meaning: 'a value is sealed under a key version that this process has not opened',
    remedy: 'restart the keeper, so that it reads the key ring again with the root key',
  },
  'vault.closed': {
    meaning: 'the vault was closed',
    remedy: 'nothing to do while the keeper stops; otherwise restart it',
  },
  'vault.account-unknown': {
    meaning: 'there is no such account',
    remedy: 'declare the account first, and write it as account@target',
  },
  'vault.account-kind-fixed': {
    meaning: 'an account that has credentials cannot become another kind',
    remedy: 'declare an account of another name, or leave the kind as it is',
  },
  'vault.account-invalid': {
    meaning: 'the account cannot be declared like this',
    remedy: 'correct the entry that the message names',
  },
  'vault.target-unknown': {
    meaning: 'there is no such target',
    remedy: 'declare the target first',
  },
  'vault.credential-kind': {
    meaning: 'the credential is of another kind than the account',
    remedy: 'hand in a credential of the kind that the account was declared with',
  },
  'vault.credential-too-long': {
    meaning: 'the credential is empty or longer than the vault takes',
    remedy: 'hand in between 1 byte and 64 KiB',
  },
  'vault.credential-unknown': {
    meaning: 'the account has no such credential version',
    remedy: 'look at the account history for the versions there are',
  },
  'vault.key-unreadable': {
    meaning: 'the private key cannot be read',
    remedy: 'hand in an OpenSSH, PKCS#8 or PEM private key, and its passphrase if it has one',
  },
  'vault.no-password-recorded': {
    meaning: 'No password recorded yet',
    remedy: 'randomize the account, or record its present password',
  },
  'vault.hold-released': {
    meaning: 'the hold was released',
    remedy: 'open a new session or check the account out again',
  },
  'vault.in-use': {
    meaning: 'the account is in use',
    remedy: 'wait until the sessions and checkouts of this account have ended',
  },
  'vault.policy-unknown': {
    meaning: 'there is no such policy',
    remedy: 'declare the policy first, or name one of the templates',
  },
  'vault.policy-invalid': {
    meaning: 'no password can satisfy this policy',
    remedy: 'correct the rules that the message names',
  },
  'vault.policy-template': {
    meaning: 'a policy template cannot be changed',
    remedy: 'copy the template under another name and change the copy',
  },
  'vault.policy-impossible': {
    meaning: 'no password satisfies the policy together with the characters this connector can send',
    remedy: 'allow more characters or lower the minima in the policy of this account',
  },
});

export type VaultErrorCode = keyof typeof vaultErrors;

export class VaultError extends SallyportError<VaultErrorCode> {
  constructor(code: VaultErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, vaultErrors[code], detail, options);
  }
}

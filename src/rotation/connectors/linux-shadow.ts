/**
 * Passwords of Linux accounts, set by their hash: `chpasswd -e` over ssh as root. The hash (`$6$`, SHA-512 crypt) is made
 * here, so that the value itself never leaves us but for logins that prove it. The price: the machine's PAM rules (quality,
 * history, other modules of the stack) are passed over; the policy of the account must be as strict as they are.
 */
import { utf8 } from '../../base/bytes.ts';
import type { Connector, NewCredential, Work } from './connector.ts';
import { reconciled, unlocks } from './linux-account.ts';
import { byChpasswd, changed, give, valueOf } from './linux-chpasswd.ts';
import { whole } from './parameters.ts';
import { newSalt, rounds, sha512Crypt } from './sha512-crypt.ts';

const command = 'chpasswd -e';

export const linuxShadow: Connector = {
  ...byChpasswd,
  name: 'linux-shadow',
  title: 'passwords of Linux accounts, by their SHA-512 hash (chpasswd -e) over ssh as root or through sudo or su',
  capabilities: { modes: ['self', 'admin'], via: true, adminverify: 'stored', fence: 'sessions', sends: 'verifier' },
  parameters: {
    ...unlocks,
    rounds: whole('rounds of the hash: more make it slower to guess; 5000 unless told', rounds.least, 10_000_000),
  },
  change: (work, fresh, signal) => changed(work, command, hashOf(work, fresh), signal),
  reconcile: (work, fresh, signal) =>
    reconciled(
      (client, root, sending) => give(client, root, work, command, hashOf(work, fresh), sending, signal),
      work,
      signal,
    ),
};

function hashOf(work: Work, fresh: NewCredential): Uint8Array {
  const times = work.settings['rounds'];
  return utf8(sha512Crypt(valueOf(fresh), newSalt(), typeof times === 'number' ? times : undefined));
}

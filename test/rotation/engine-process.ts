/** A process that rotates one account and stops at a given step, so that a test can kill it there. Not a test itself. */
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { openDatabase } from '../../src/db/db.ts';
import { openRotation } from '../../src/rotation/rotation.ts';
import { openVault } from '../../src/vault/vault.ts';

const [url = '', rootKeyPath = '', dataDirectory = '', account = '', stop = ''] = process.argv.slice(2);
const never = new AbortController().signal;
const db = await openDatabase(url, {}, silent);
const vault = await openVault({ db, rootKeyPath, dataDirectory, log: silent, clock: systemClock }, never);
const seen: string[] = [];
const rotation = await openRotation(
  {
    db,
    vault,
    log: silent,
    clock: systemClock,
    watch: false,
    run: async ({ operation }) => {
      seen.push(operation);
      if (seen.join(' ') === stop) {
        process.stdout.write('here\n');
        await new Promise<void>(() => {});
      }
      const accepted = { answer: 'accepted', class: 'none', words: '' } as const;
      const outcome = operation === 'verify' ? 'accepted' : 'confirmed';
      return { outcome, class: 'none', words: '', each: [accepted] };
    },
  },
  never,
);
await rotation.rotate(account as AccountId, 'on-demand', { kind: 'operator', name: 'process' }, never);

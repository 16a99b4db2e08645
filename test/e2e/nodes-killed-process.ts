/**
 * A process that rotates an account of its node, and stands still as soon as the target has acknowledged the change, so that
 * a test can kill it there. Not a test itself.
 */
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { openDatabase } from '../../src/db/db.ts';
import { processRunner } from '../../src/rotation/connectors/run.ts';
import { openRotation } from '../../src/rotation/rotation.ts';
import { openVault } from '../../src/vault/vault.ts';

const [url = '', rootKeyPath = '', dataDirectory = '', account = ''] = process.argv.slice(2);
const never = new AbortController().signal;
const db = await openDatabase(url, {}, silent);
const vault = await openVault({ db, rootKeyPath, dataDirectory, log: silent, clock: systemClock }, never);
const run = processRunner();
const rotation = await openRotation(
  {
    db,
    vault,
    log: silent,
    clock: systemClock,
    watch: false,
    run: async (job, limits, signal) => {
      if (job.operation === 'change') process.stdout.write('asking\n');
      const answer = await run(job, limits, signal);
      if (job.operation !== 'change') return answer;
      process.stdout.write(`${answer.outcome}\n`);
      return new Promise(() => {});
    },
  },
  never,
);
const result = await rotation.rotate(account as AccountId, 'on-demand', { kind: 'operator', name: 'process' }, never);
process.stdout.write(`${JSON.stringify(result)}\n`);

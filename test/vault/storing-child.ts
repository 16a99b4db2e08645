/**
 * A process that stores one value and stands still at the point that its arguments name, so that it can be killed
 * there. Arguments: database, root key, data directory, account, sigkey, `before-commit` or `after-commit`.
 * The value comes on standard input.
 */
import { text } from 'node:stream/consumers';
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId, Sigkey } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction, openDatabase } from '../../src/db/db.ts';
import { openVault } from '../../src/vault/vault.ts';

const [url = '', rootKeyPath = '', dataDirectory = '', account = '', sigkey = '', where] = process.argv.slice(2);
const credential = { kind: 'password', secret: Secret.fromText(await text(process.stdin)) } as const;
const actor = { kind: 'system', part: 'test' } as const;
const db = await openDatabase(url, {}, silent);
const options = { db, rootKeyPath, dataDirectory, log: silent, clock: systemClock };
const vault = await openVault(options, new AbortController().signal);

function standStill(): Promise<never> {
  process.stdout.write('here\n');
  return new Promise(() => setInterval(() => {}, 1000));
}

await inTransaction(db, async (tx) => {
  const ids = { account: account as AccountId, sigkey: sigkey as Sigkey };
  await vault.store(tx, { ...ids, credential, origin: 'generated', actor });
  if (where === 'before-commit') await standStill();
});
await standStill();

/**
 * SIGKILL at every named point of rotate, resolve and reconcile, once for each family of targets, on real servers:
 * `npm run crash -- --short` as tests. In which operation a point is killed is drawn from the seed. All occurrences in all
 * operations, more families and more rounds are run by hand: `npm run crash -- --rounds 20`.
 */
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Compiled, compile } from '../../crash/compiled.ts';
import { families } from '../../crash/families/families.ts';
import { runFamily } from '../../crash/run.ts';
import { fullMachines } from '../lab/machine.ts';
import { vaultRoom } from '../vault/room.ts';

const tested = ['linux-chpasswd', 'ssh-key', 'postgres', 'mysql', 'ldap'];
const seed = 'test';

const file = new AsyncDisposableStack();
let compiled: Compiled;
beforeAll(async () => {
  compiled = await compile(file.use(await mkdtempDisposable(join(tmpdir(), 'sallyport-crash-'))).path);
});
afterAll(() => file.disposeAsync());

describe.runIf(fullMachines).concurrent('killed at every point', () => {
  for (const family of families.filter(({ name }) => tested.includes(name)))
    test(`killed at every point, ${family.name}: the live value is found without anybody`, async () => {
      await using room = await vaultRoom();
      const { url, db, owner } = room.base;
      const { rootKeyPath, dataDirectory, vault } = room;
      const base = { url, db, owner, rootKeyPath, dataDirectory, vault, compiled };
      const report = await runFamily(base, family, { rounds: 1, lanes: 8, seed, short: true, tell: () => {} });
      expect(report.failures).toEqual([]);
      expect(report).toMatchObject({ recovered: report.kills, lost: 0 });
      expect(report.kills).toBeGreaterThan(60);
    }, 900_000);
});

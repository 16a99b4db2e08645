/**
 * SIGKILL at every named point of rotate, resolve and reconcile, once for each family of targets, on real servers:
 * `npm run crash -- --short` as tests. Which operation is killed at a point is another one on every day. All
 * occurrences in all operations, more families and more rounds are run by hand: `npm run crash -- --rounds 20`.
 */
import { describe, expect, test } from 'vitest';
import { families } from '../../crash/families/families.ts';
import { runFamily } from '../../crash/run.ts';
import { fullMachines } from '../lab/machine.ts';
import { vaultRoom } from '../vault/room.ts';

const tested = ['linux-chpasswd', 'ssh-key', 'postgres', 'mysql', 'ldap'];
const seed = new Date().toISOString().slice(0, 10);

describe.runIf(fullMachines).concurrent('killed at every point', () => {
  for (const family of families.filter(({ name }) => tested.includes(name)))
    test(`killed at every point, ${family.name}: the live value is found without anybody`, async () => {
      await using room = await vaultRoom();
      const { url, db, owner } = room.base;
      const { rootKeyPath, dataDirectory, vault } = room;
      const base = { url, db, owner, rootKeyPath, dataDirectory, vault };
      const report = await runFamily(base, family, { rounds: 1, lanes: 6, seed, short: true, tell: () => {} });
      expect(report.failures).toEqual([]);
      expect(report).toMatchObject({ recovered: report.kills, lost: 0 });
      expect(report.kills).toBeGreaterThan(60);
    }, 900_000);
});

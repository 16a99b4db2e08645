/** B-03, B-07: the process that rotates is killed at each step; both values are there, and the status is honest. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import type { Sigkey } from '../../src/base/ids.ts';
import type { Account } from '../../src/vault/vault.ts';
import { never, nowhere, operator, type RotationRoom, rotationRoom } from './room.ts';
import { ScriptedTarget, yes } from './target.ts';

const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 600_000 };

async function scene(): Promise<{ room: RotationRoom; target: ScriptedTarget; account: Account } & AsyncDisposable> {
  const target = new ScriptedTarget('first-Value-9');
  const room = await rotationRoom({ run: target.run, timing });
  await room.target(nowhere);
  const account = await room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd' });
  await room.seed(account, 'first-Value-9');
  return { room, target, account, [Symbol.asyncDispose]: () => room[Symbol.asyncDispose]() };
}

/** Time passes: every lease has run out. */
async function leasesRunOut(room: RotationRoom): Promise<void> {
  await room.vault.base.owner
    .updateTable('rotation_lease')
    .set({ expires_at: new Date(0) })
    .execute();
}

async function pendingOf(room: RotationRoom): Promise<Sigkey[]> {
  const rows = await room.vault.base.db.selectFrom('ledger_place').select('sigkey').where('status', '=', 'P').execute();
  return rows.map((row) => row.sigkey);
}

const cases = [
  { stop: 'precheck', landed: false, reachable: true, status: undefined },
  { stop: 'precheck adminverify', landed: false, reachable: true, status: undefined },
  { stop: 'precheck adminverify change', landed: false, reachable: true, status: 'F' },
  { stop: 'precheck adminverify change', landed: true, reachable: true, status: 'C' },
  { stop: 'precheck adminverify change', landed: true, reachable: false, status: 'U' },
  { stop: 'precheck adminverify change verify', landed: true, reachable: true, status: 'C' },
] as const;

for (const { stop, landed, reachable, status } of cases) {
  test(`killed at "${stop}", the change ${landed ? 'landed' : 'did not land'}, the target ${reachable ? 'answers' : 'is silent'}: ${status ?? 'nothing happened'}`, async () => {
    await using stage = await scene();
    const { room, target, account } = stage;
    const { vault } = room;
    const file = join(import.meta.dirname, 'engine-process.ts');
    const argv = ['--no-warnings', file, vault.base.url, vault.rootKeyPath, vault.dataDirectory, account.id, stop];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');

    const pending = await pendingOf(room);
    expect(pending).toHaveLength(status === undefined ? 0 : 1);
    const [sigkey] = pending;
    if (sigkey !== undefined && landed) target.live = await room.value(account, sigkey);
    target.reachable = reachable;
    const next = await room.open({ watch: true });
    await next.settle();
    // Until the lease has run out nobody touches it: the dead process's connector may still be at work.
    expect(await pendingOf(room)).toEqual(pending);
    await leasesRunOut(room);
    await next.settle();
    const history = await next.history(account.id);
    if (isRefusal(history)) throw new Error(history.reason);
    expect(history.versions.map((version) => version.status)).toEqual(status === undefined ? ['C'] : ['C', status]);
    expect(await room.value(account)).toBe(status === 'C' ? target.live : 'first-Value-9');
    if (sigkey !== undefined) expect((await room.value(account, sigkey)).length).toBeGreaterThan(8);
  });
}

test('over random histories with faults and crashes no value is lost, and the live one is always kept', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  const { db } = room.vault.base;
  type Move = 'fine' | 'refused' | 'lies' | 'cut before' | 'cut after' | 'dark' | 'dies before' | 'dies after';
  const moves: readonly Move[] = [
    'fine',
    'refused',
    'lies',
    'cut before',
    'cut after',
    'dark',
    'dies before',
    'dies after',
  ];
  const lands: readonly Move[] = ['fine', 'lies', 'cut after', 'dark', 'dies after'];
  let drawn = 1;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...moves), { minLength: 3, maxLength: 6 }), async (history) => {
      for (const move of history) {
        target.reachable = true;
        target.onChange = (next) => {
          drawn++;
          if (lands.includes(move)) target.live = next;
          if (move === 'dark') target.reachable = false;
          if (move.startsWith('dies')) throw new Error('the process is gone');
          if (move === 'fine') return yes;
          const refused = move === 'refused' || move === 'lies';
          return { outcome: refused ? 'failed' : 'uncertain', class: 'cut', words: move };
        };
        await room.rotation.rotate(account.id, 'on-demand', operator, never).catch(() => {});
        await leasesRunOut(room);
        // Whoever is there settles it; a conflict waits until somebody names the value.
        target.reachable = true;
        await room.rotation.rotate(account.id, 'post-session', operator, never).catch(() => {});
        const now = await room.rotation.history(account.id);
        if (isRefusal(now)) throw new Error(now.reason);
        const values = await Promise.all(now.versions.map((version) => room.value(account, version.sigkey)));
        expect(new Set(values).size).toBe(drawn);
        const live = now.versions[values.indexOf(target.live)];
        expect(live, 'the live value is kept').toBeDefined();
        expect(live?.candidate, `${move}: the live value is a candidate`).toBe(true);
        if (now.conflict === 'none') expect(live?.current).toBe(true);
        else {
          const { Secret } = await import('../../src/base/secret.ts');
          using secret = Secret.fromText(target.live);
          await room.rotation.recordKnown(
            account.id,
            { kind: 'password', secret },
            { unverified: false },
            operator,
            never,
          );
          // It is the same value under a second name; from now on it counts once more.
          target.live = `entered-${drawn++}-Value`;
          using entered = Secret.fromText(target.live);
          await room.rotation.recordKnown(
            account.id,
            { kind: 'password', secret: entered },
            { unverified: false },
            operator,
            never,
          );
        }
        const places = await db
          .selectFrom('ledger_place')
          .select('sigkey')
          .where('account_id', '=', account.id)
          .execute();
        const stored = await db
          .selectFrom('credential_version')
          .select('sigkey')
          .where('account_id', '=', account.id)
          .execute();
        expect(places.map((row) => row.sigkey).sort()).toEqual(stored.map((row) => row.sigkey).sort());
      }
    }),
    { numRuns: 6, endOnFailure: true },
  );
});

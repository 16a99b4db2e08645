/** The engine on a real database, against a target that is a script: every answer and every fault it can give. */
import { expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import type { RunConnector } from '../../src/rotation/connectors/run.ts';
import { type Account, hold, holdsOf } from '../../src/vault/vault.ts';
import { never, nowhere, operator, type RotationRoom, rotationRoom } from './room.ts';
import { ScriptedTarget, yes } from './target.ts';

interface Scene extends AsyncDisposable {
  readonly room: RotationRoom;
  readonly target: ScriptedTarget;
  readonly account: Account;
}

const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 60_000 };

async function scene(seeded = true): Promise<Scene> {
  const target = new ScriptedTarget('first-Value-9');
  const room = await rotationRoom({ run: target.run, timing });
  await room.target(nowhere);
  await room.account({ name: 'admin@box', kind: 'password' });
  const account = await room.account({
    name: 'app@box',
    kind: 'password',
    connector: 'linux-chpasswd',
    policy: 'Standard',
  });
  if (seeded) await room.seed(account, 'first-Value-9');
  return { room, target, account, [Symbol.asyncDispose]: () => room[Symbol.asyncDispose]() };
}

async function rotate({ room, account }: Scene) {
  return room.rotation.rotate(account.id, 'on-demand', operator, never);
}

test('an acknowledged change that a login proves is confirmed and current, in the four views too', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  const before = (await room.again(account)).current;
  const result = await rotate(stage);
  expect(result).toMatchObject({ status: 'confirmed' });
  expect(await room.value(account)).toBe(target.live);
  expect(target.jobs).toEqual(['precheck', 'adminverify', 'change', 'verify']);
  const history = await room.rotation.history(account.id);
  if (isRefusal(history)) throw new Error(history.reason);
  expect(history.versions.map(({ status, place, current }) => [status, place, current])).toEqual([
    ['C', 'history', false],
    ['C', 'history', true],
  ]);
  const { rows } = await viewRows(room, 'password_current');
  expect(rows).toMatchObject([{ account_id: account.id, sigkey: history.current }]);
  expect((await viewRows(room, 'password_history')).rows).toHaveLength(2);
  expect((await viewRows(room, 'password_working')).rows).toEqual([]);
  expect(history.versions[1]?.parent).toBe(before);
  expect((await room.vault.events()).filter((type) => type.startsWith('rotation.'))).toEqual([
    'rotation.known-recorded',
    'rotation.started',
    'rotation.confirmed',
  ]);
});

test('the value is durable in vault and ledger before the connector hears of it', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  const seen: unknown[] = [];
  const second = await room.vault.base.another();
  const { run } = target;
  const rotation = await room.open({
    run: async (job, limits, signal) => {
      if (job.operation === 'change') {
        seen.push(
          await second.selectFrom('ledger_place').select(['status', 'place']).where('status', '=', 'P').execute(),
        );
        seen.push(
          (
            await second
              .selectFrom('credential_version')
              .select('sigkey')
              .where('account_id', '=', account.id)
              .execute()
          ).length,
        );
      }
      return run(job, limits, signal);
    },
  });
  await rotation.rotate(account.id, 'on-demand', operator, never);
  expect(seen).toEqual([[{ status: 'P', place: 'working' }], 2]);
});

interface Fault {
  readonly name: string;
  readonly change: (target: ScriptedTarget, next: string) => Answer;
  readonly status: 'confirmed' | 'failed' | 'uncertain';
  /** Whether the target has the new value afterwards. */
  readonly current: 'old' | 'new';
}

const cut: Answer = { outcome: 'uncertain', class: 'cut', words: 'cut' };
const refused: Answer = { outcome: 'failed', class: 'policy', words: 'BAD PASSWORD' };
const faults: readonly Fault[] = [
  { name: 'a refusal, and the old value works: failed', change: () => refused, status: 'failed', current: 'old' },
  {
    name: 'a refusal that was a lie, and the new value works: confirmed',
    change: (t, next) => ((t.live = next), refused),
    status: 'confirmed',
    current: 'new',
  },
  {
    name: 'a cut connection after the change landed: confirmed by evidence',
    change: (t, next) => ((t.live = next), cut),
    status: 'confirmed',
    current: 'new',
  },
  {
    name: 'a cut connection before the change: failed once nothing can land any more',
    change: () => cut,
    status: 'failed',
    current: 'old',
  },
  {
    name: 'a cut, and then nobody can ask: uncertain',
    change: (t, next) => ((t.live = next), (t.reachable = false), cut),
    status: 'uncertain',
    current: 'old',
  },
  {
    name: 'a crashed connector and nobody can ask: uncertain',
    change: (t) => ((t.reachable = false), { outcome: 'crashed', class: 'unexpected', words: 'gone' }),
    status: 'uncertain',
    current: 'old',
  },
  { name: 'acknowledged, but the login fails: uncertain', change: () => yes, status: 'uncertain', current: 'old' },
  {
    name: 'something that neither value opens: uncertain',
    change: (t) => ((t.live = 'third'), cut),
    status: 'uncertain',
    current: 'old',
  },
  {
    name: 'never reached: failed',
    change: () => ({ outcome: 'unsent', class: 'unreachable-refused', words: 'refused' }),
    status: 'failed',
    current: 'old',
  },
  {
    name: 'an answer that is no change answer: judged by logins',
    change: (t, next) => ((t.live = next), { outcome: 'accepted', class: 'none', words: '' }),
    status: 'confirmed',
    current: 'new',
  },
];

for (const fault of faults) {
  test(fault.name, async () => {
    await using stage = await scene();
    const { room, target, account } = stage;
    let offered = '';
    target.onChange = (next) => fault.change(target, (offered = next));
    const result = await rotate(stage);
    expect(result).toMatchObject({ status: fault.status });
    if (isRefusal(result)) throw new Error(result.reason);
    // Nothing is ever lost: both values can be opened, whatever happened.
    expect(await room.value(account, result.sigkey)).toBe(offered);
    expect(await room.value(account)).toBe(fault.current === 'new' ? offered : 'first-Value-9');
    const history = await room.rotation.history(account.id);
    expect(history).toMatchObject({ conflict: fault.status === 'uncertain' ? 'incomplete' : 'none' });
    if (fault.status === 'failed') expect((await viewRows(room, 'password_working_history')).rows).toHaveLength(1);
  });
}

test('a conflicted account is not rotated, and a value that the target accepts settles it', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  target.onChange = (next) => ((target.live = next), (target.reachable = false), cut);
  expect(await rotate(stage)).toMatchObject({ status: 'uncertain' });
  target.reachable = true;
  expect(await rotate(stage)).toMatchObject({ refused: true, code: 'rotation.conflicted' });
  using wrong = Secret.fromText('not it');
  using right = Secret.fromText(target.live);
  const record = (secret: Secret, unverified = false) =>
    room.rotation.recordKnown(account.id, { kind: 'password', secret }, { unverified }, operator, never);
  expect(await record(wrong)).toMatchObject({ refused: true, code: 'rotation.credential-rejected' });
  expect(await record(right)).toMatchObject({ status: 'confirmed' });
  expect(await room.rotation.history(account.id)).toMatchObject({ conflict: 'none' });
  expect(await room.value(account)).toBe(target.live);
  target.onChange = (next) => ((target.live = next), yes);
  expect(await rotate(stage)).toMatchObject({ status: 'confirmed' });
});

for (const landed of [true, false]) {
  test(`verifying a conflicted account finds the value that works: the ${landed ? 'new' : 'old'} one`, async () => {
    await using stage = await scene();
    const { room, target, account } = stage;
    target.onChange = (next) => ((target.live = landed ? next : target.live), (target.reachable = false), cut);
    expect(await rotate(stage)).toMatchObject({ status: 'uncertain' });
    const { rotation } = room;
    expect(await rotation.verify(account.id, operator, never)).toMatchObject({ answer: 'unknown' });
    expect(await rotation.history(account.id)).toMatchObject({ conflict: 'incomplete' });
    target.reachable = true;
    expect(await rotation.verify(account.id, operator, never)).toMatchObject({ answer: 'accepted' });
    expect(await rotation.history(account.id)).toMatchObject({ conflict: 'none' });
    expect(await room.value(account)).toBe(target.live);
    expect(await room.vault.events()).toContain('rotation.resolved');
    expect((await viewRows(room, 'password_working_history')).rows).toHaveLength(landed ? 0 : 1);
    target.onChange = (next) => ((target.live = next), yes);
    expect(await rotate(stage)).toMatchObject({ status: 'confirmed' });
  });
}

test('where none or both of two values work, verifying decides nothing', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  target.onChange = () => ((target.reachable = false), cut);
  expect(await rotate(stage)).toMatchObject({ status: 'uncertain' });
  const both: RunConnector = async () => ({ outcome: 'accepted', class: 'none', words: '' });
  const graceful = await room.open({ run: both });
  expect(await graceful.verify(account.id, operator, never)).toMatchObject({ answer: 'unknown' });
  expect(await graceful.history(account.id)).toMatchObject({ conflict: 'incomplete' });
  target.reachable = true;
  target.live = 'set by hand';
  const { rotation } = room;
  expect(await rotation.verify(account.id, operator, never)).toMatchObject({ answer: 'rejected' });
  expect(await rotation.history(account.id)).toMatchObject({ conflict: 'incomplete' });
});

test('a known value that was not verified is uncertain, and the account is conflicted', async () => {
  await using stage = await scene(false);
  const { room, account } = stage;
  using secret = Secret.fromText('believed');
  const result = await room.rotation.recordKnown(
    account.id,
    { kind: 'password', secret },
    { unverified: true },
    operator,
    never,
  );
  expect(result).toMatchObject({ status: 'uncertain' });
  expect(await room.rotation.history(account.id)).toMatchObject({ conflict: 'incomplete', current: null });
});

const prechecks: readonly (readonly [string, (stage: Scene) => Promise<void> | void, object])[] = [
  [
    'the target is silent',
    ({ target }) => void (target.reachable = false),
    { code: 'rotation.precheck-failed', class: 'unreachable-timeout' },
  ],
  [
    'the stored value is wrong',
    ({ target }) => void (target.live = 'changed by hand'),
    { code: 'rotation.precheck-failed', class: 'authentication' },
  ],
  [
    'a session is open',
    async ({ room, account }) => {
      await hold(room.vault.base.db, account.id, { kind: 'session', subject: 's1' });
    },
    { code: 'rotation.in-use' },
  ],
];
for (const [name, prepare, answer] of prechecks) {
  test(`before anything is generated it stops when ${name}`, async () => {
    await using stage = await scene();
    await prepare(stage);
    expect(await rotate(stage)).toMatchObject({ refused: true, ...answer });
    const versions = await stage.room.vault.base.db.selectFrom('credential_version').select('sigkey').execute();
    expect(versions).toHaveLength(1);
    expect(stage.target.jobs).not.toContain('change');
    expect(await stage.room.vault.events()).toContain('rotation.skipped');
  });
}

test('two processes that want to change one account at once: one does, the other is refused', async () => {
  await using stage = await scene();
  const { room, account } = stage;
  const other = await room.open();
  const { promise: both, resolve: started } = Promise.withResolvers<readonly Promise<unknown>[]>();
  const { onChange } = stage.target;
  // Whoever changes it is at it until the other one has its answer.
  stage.target.onChange = async (next) => {
    await Promise.race(await both);
    return onChange(next);
  };
  const running = [room.rotation, other].map((each) => each.rotate(account.id, 'on-demand', operator, never));
  started(running);
  const results = await Promise.all(running);
  expect(results.map((result) => (isRefusal(result) ? result.code : result.status)).sort()).toEqual([
    'confirmed',
    'rotation.changing',
  ]);
  expect(stage.target.jobs.filter((job) => job === 'change')).toHaveLength(1);
});

test('an outcome that comes after another process took over is evidence and not a status', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  const { owner, db } = room.vault.base;
  const { onChange } = target;
  target.onChange = (next) => onChange(next);
  const slow = await room.open({
    run: async (job, limits, signal) => {
      const answer = await target.run(job, limits, signal);
      if (job.operation === 'change') {
        // Its heart stood still for too long; somebody else settles the account meanwhile.
        await owner
          .updateTable('rotation_lease')
          .set({ expires_at: new Date(0) })
          .execute();
        target.reachable = false;
        await (await room.open({ watch: true })).settle();
        target.reachable = true;
      }
      return answer;
    },
  });
  const late = await slow.rotate(account.id, 'on-demand', operator, never);
  expect(late).toMatchObject({ status: 'uncertain', words: expect.stringContaining('another process') as string });
  const outcomes = await db.selectFrom('outcome').select('status').orderBy('node_seq').execute();
  expect(outcomes.map((row) => row.status)).toEqual(['C', 'U']);
  expect(await db.selectFrom('rotation_evidence').select('what').execute()).toMatchObject([
    { what: expect.stringMatching(/^C: /) as string },
  ]);
});

test('facts cannot be changed or deleted by the program', async () => {
  await using stage = await scene();
  const { db } = stage.room.vault.base;
  await expect(db.updateTable('outcome').set({ status: 'C' }).execute()).rejects.toThrow(/permission denied/);
  await expect(db.deleteFrom('randomization').execute()).rejects.toThrow(/permission denied/);
});

async function viewRows(room: RotationRoom, view: string): Promise<{ rows: unknown[] }> {
  const { sql } = await import('kysely');
  return sql`select * from ${sql.table(view)}`.execute(room.vault.base.db);
}

test('while a target is being changed the lease is held and no second process or session comes in between', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  const other = await room.open();
  const seen: unknown[] = [];
  const { onChange } = target;
  target.onChange = async (next) => {
    seen.push(await other.rotate(account.id, 'on-demand', operator, never));
    seen.push((await holdsOf(room.vault.base.db, account.id)).map((held) => held.kind));
    return onChange(next);
  };
  expect(await rotate(stage)).toMatchObject({ status: 'confirmed' });
  expect(seen).toMatchObject([{ code: 'rotation.changing' }, ['rotation']]);
  expect(await holdsOf(room.vault.base.db, account.id)).toEqual([]);
});

/**
 * The four cases of simultaneous and incomplete randomization, step by step, on two nodes with a PostgreSQL each, against a
 * machine with a real sshd and against a MariaDB (B-11). The test holds the lines: between the nodes, so that a fact arrives at its step and not
 * before, and between each connector and the machine, so that a change lands at its step.
 */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { isRefusal } from '../../src/base/errors.ts';
import type { AccountId, Sigkey } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { clientConfig } from '../../src/db/dsn.ts';
import { declareTargets } from '../../src/estate/estate.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import { processRunner } from '../../src/rotation/connectors/run.ts';
import { foldArrivals } from '../../src/rotation/nodes/arrivals.ts';
import { beliefsOf } from '../../src/rotation/nodes/beliefs.ts';
import { peersOf } from '../../src/rotation/nodes/peers.ts';
import { canonical } from '../../src/rotation/plan/canonical.ts';
import { openRotation, type Rotation } from '../../src/rotation/rotation.ts';
import { accountNamed, declareAccounts } from '../../src/vault/vault.ts';
import { fullMachines } from '../lab/machine.ts';
import { openWire } from '../lab/wire.ts';
import { ask } from '../rotation/connectors/machine.ts';
import { type CaseTarget, mariadbTarget, sshdTarget } from './nodes-cases-targets.ts';
import { actor, never, nodesStage, type Node, type Stage } from './nodes-stage.ts';

const managed = { managingNode: 'a', localFallback: false };

describe.runIf(fullMachines)('two nodes', () => {
  let stage: Stage;
  let a: Node;
  let b: Node;
  beforeAll(async () => {
    stage = await nodesStage(['a', 'b'], []);
    [a, b] = [stage.node('a'), stage.node('b')];
    await stage.linkAll(['a', 'b']);
    for (const [node, peer] of [
      [a, 'b'],
      [b, 'a'],
    ] as const)
      await node.admin
        .insertInto('node_peer')
        .values({ name: peer, card: Buffer.from('card') })
        .execute();
  });
  afterAll(async () => await stage?.[Symbol.asyncDispose]());

  describe.each([
    ['a machine with sshd', sshdTarget],
    ['a MariaDB', mariadbTarget],
  ] as const)('and %s', (_, start) => cases(() => ({ stage, a, b }), start));
});

function cases(
  nodes: () => { readonly stage: Stage; readonly a: Node; readonly b: Node },
  start: () => Promise<CaseTarget>,
): void {
  let target: CaseTarget;
  let stage: Stage;
  let a: Node;
  let b: Node;
  let app: AccountId;
  let root: Sigkey;

  beforeAll(async () => {
    ({ stage, a, b } = nodes());
    target = await start();
    for (const node of [a, b]) await declare(node, target);
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const)
      await stage.wire(from, to, true);
    await using rotation = await rotationOf(a);
    app = await idOf(a, target.account);
    await record(rotation, await idOf(a, target.admin.name), target.admin.password);
  });
  afterAll(async () => await target?.[Symbol.asyncDispose]());

  const idOf = async (node: Node, name: string): Promise<AccountId> => {
    const found = await accountNamed(node.db, `${name}@${target.declaration.name}`);
    if (found === undefined) throw new Error(`no account ${name}`);
    return found.id;
  };

  /** Before each case both nodes agree on one value, which the machine has, and the lines between them are held. */
  beforeEach(async () => {
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const)
      await stage.wire(from, to, true);
    await target.plant('First.Value-0');
    await using rotation = await rotationOf(a);
    root = await record(rotation, app, 'First.Value-0');
    await stage.quiet(['a', 'b']);
    expect([await current(a), await current(b)]).toEqual([root, root]);
    await stage.wire('a', 'b', false);
    await stage.wire('b', 'a', false);
  });

  const current = async (node: Node): Promise<Sigkey | null> =>
    (await node.db.selectFrom('account_current').select('sigkey').where('account_id', '=', app).executeTakeFirst())
      ?.sigkey ?? null;
  const valueOf = async (sigkey: Sigkey): Promise<string> => {
    for (const node of [a, b]) {
      const there = await node.db
        .selectFrom('credential_version')
        .select('sigkey')
        .where('sigkey', '=', sigkey)
        .execute();
      if (there.length === 0) continue;
      using version = await node.vault.openVersion(app, sigkey, 'test', actor);
      if (version.kind === 'password') return version.secret.revealText();
    }
    throw new Error(`nobody has ${sigkey}`);
  };
  const works = async (sigkey: Sigkey): Promise<string> => target.works(await valueOf(sigkey));

  /** A connector that has connected and goes on when it is let: `completes` resolves with what it says. */
  async function launch(sigkey: Sigkey): Promise<{ readonly completes: () => Promise<Answer> }> {
    const wire = await openWire(target);
    wire.pause();
    const secret = Secret.fromText(await valueOf(sigkey));
    const running = ask({
      connector: target.connector,
      operation: 'change',
      work: target.through(wire),
      fresh: { kind: 'password', secret },
    });
    await wire.connected(1);
    return {
      completes: async () => {
        wire.resume();
        const answer = await running;
        await wire.close();
        return answer;
      },
    };
  }

  /** What `from` has written is let through, first the values, and when the step says so their completions. */
  async function receiving(from: Node, to: Node): Promise<{ value(): Promise<void>; completion(): Promise<void> }> {
    const holder = new pg.Client(clientConfig(to.cluster.adminUrl));
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE outcome IN SHARE ROW EXCLUSIVE MODE');
    return {
      value: async () => {
        await stage.wire(from.name, to.name, true);
        const sent = await from.db.selectFrom('randomization').select('sigkey').execute();
        const late = AbortSignal.timeout(30_000);
        for (;;) {
          const there = await to.db.selectFrom('randomization').select('sigkey').execute();
          if (sent.every(({ sigkey }) => there.some((one) => one.sigkey === sigkey))) break;
          await systemClock.sleep(10, late);
        }
        await foldArrivals({ db: to.db, vault: to.vault, log: silent }, () => {});
      },
      completion: async () => {
        await holder.query('COMMIT');
        await holder.end();
        await stage.arrived(from.name, to.name);
        await stage.wire(from.name, to.name, false);
      },
    };
  }

  /** Seam: the automatic resolution, on the managing node; nothing of it is made here. */
  async function resolve(): Promise<void> {
    await stage.wire('a', 'b', true);
    await stage.wire('b', 'a', true);
    await using rotation = await rotationOf(a);
    const late = AbortSignal.timeout(60_000);
    for (;;) {
      let outcome = '';
      const told = (entry: { readonly answer: object }): void => {
        outcome = isRefusal(entry.answer) ? entry.answer.reason : (entry.answer as { outcome: string }).outcome;
      };
      await rotation.conflicts.resolve([app], actor, told, never);
      if (outcome === 'resolved') break;
      expect(outcome).toBe('waiting');
      await systemClock.sleep(50, late);
    }
    await stage.quiet(['a', 'b']);
  }

  const trees = async (): Promise<string[]> => [canonical(await a.fold(app)), canonical(await b.fold(app))];

  test('Case 1: one after the other, each node agrees at every step and there is no conflict', async () => {
    const one = await a.write(app, root); // 1. A writes provisional password #1 into its database
    const connectorA = await launch(one); // 2. A launches its connector
    expect(await connectorA.completes()).toMatchObject({ outcome: 'confirmed' }); // 3. A's connector completes
    await a.conclude(app, one, 'C'); // 4. A records the completion of #1
    expect([await current(a), await current(b)]).toEqual([one, root]);
    const atB = await receiving(a, b);
    await atB.value(); // 5. B receives provisional password #1
    expect(await b.fold(app)).toMatchObject({ root, busy: true, conflict: 'none' });
    await atB.completion(); // 6. B receives the completion of #1
    expect([await current(a), await current(b)]).toEqual([one, one]);
    const two = await b.write(app, one); // 7. B writes provisional password #2
    const connectorB = await launch(two); // 8. B launches its connector
    expect(await connectorB.completes()).toMatchObject({ outcome: 'confirmed' }); // 9. B's connector completes
    await b.conclude(app, two, 'C'); // 10. B records the completion of #2
    const atA = await receiving(b, a);
    await atA.value(); // 11. A receives provisional password #2
    await atA.completion(); // 12. A receives the completion of #2
    const folds = { root: two, conflict: 'none', candidates: [two], busy: false };
    expect(await a.fold(app)).toMatchObject(folds);
    expect(await b.fold(app)).toMatchObject(folds);
    expect((await a.fold(app)).history.slice(-3)).toEqual([root, one, two]);
    expect([await works(root), await works(one), await works(two)]).toEqual(['refused', 'refused', 'accepted']);
  });

  test('Case 2: perfectly parallel, both nodes end with the same conflict, and the machine tells which value it has', async () => {
    const one = await a.write(app, root); // 1. A writes provisional password #1
    const two = await b.write(app, root); // 2. B writes provisional password #2
    const connectorA = await launch(one); // 3. A launches its connector
    const connectorB = await launch(two); // 4. B launches its connector
    expect(await connectorA.completes()).toMatchObject({ outcome: 'confirmed' }); // 5. A's connector completes
    expect(await connectorB.completes()).toMatchObject({ outcome: 'confirmed' }); // 6. B's connector completes
    await a.conclude(app, one, 'C'); // 7. A records the completion of #1
    await b.conclude(app, two, 'C'); // 8. B records the completion of #2
    expect(await a.fold(app)).toMatchObject({ root: one, conflict: 'none' });
    expect(await b.fold(app)).toMatchObject({ root: two, conflict: 'none' });
    const atA = await receiving(b, a);
    await atA.value(); // 9. A receives provisional password #2
    expect(await a.fold(app)).toMatchObject({ root, conflict: 'tree', busy: true });
    await atA.completion(); // 10. A receives the completion of #2
    const atB = await receiving(a, b);
    await atB.value(); // 11. B receives provisional password #1
    await atB.completion(); // 12. B receives the completion of #1
    await bothInConflict(one, two);
    // Each still says what it took for current: the nodes disagree, and a person can see it.
    expect(await beliefsOf(a.db, 'a', app, await a.fold(app))).toEqual([
      { node: 'a', current: one },
      { node: 'b', current: two },
    ]);
    await resolve();
    await bothHave(one, two);
  });

  test('Case 3: interleaved, both nodes would agree on the wrong value; they do not', async () => {
    const one = await a.write(app, root); // 1. A writes provisional password #1
    const two = await b.write(app, root); // 2. B writes provisional password #2
    const connectorA = await launch(one); // 3. A launches its connector
    const connectorB = await launch(two); // 4. B launches its connector
    expect(await connectorA.completes()).toMatchObject({ outcome: 'confirmed' }); // 5. A's connector completes
    expect(await connectorB.completes()).toMatchObject({ outcome: 'confirmed' }); // 6. B's connector completes
    await b.conclude(app, two, 'C'); // 7. B records the completion of #2
    const atA = await receiving(b, a);
    await atA.value(); // 8. A receives provisional password #2
    expect(await a.fold(app)).toMatchObject({ root, conflict: 'tree', busy: true });
    await atA.completion(); // 9. A receives the completion of #2
    expect(await a.fold(app)).toMatchObject({ root, conflict: 'tree', busy: true });
    await a.conclude(app, one, 'C'); // 10. A records the completion of #1
    const atB = await receiving(a, b);
    await atB.value(); // 11. B receives provisional password #1
    await atB.completion(); // 12. B receives the completion of #1
    await bothInConflict(one, two);
    expect([await current(a), await current(b)]).not.toContain(one);
    await resolve();
    await bothHave(one, two);
  });

  test.each([
    ['the machine never heard of it', false],
    ['the machine took it and the answer was lost', true],
  ])('Case 4: a connector that stops responding is an incomplete conflict on both nodes: %s', async (_, landed) => {
    const one = await a.write(app, root);
    const connector = await launch(one);
    if (landed) await connector.completes();
    await a.conclude(app, one, 'U');
    const atB = await receiving(a, b);
    await atB.value();
    await atB.completion();
    const folds = { root, conflict: 'incomplete', candidates: [root, one], busy: false };
    expect(await a.fold(app)).toMatchObject(folds);
    expect(await b.fold(app)).toMatchObject(folds);
    expect(new Set(await trees()).size).toBe(1);
    await resolve();
    const truth = landed ? one : root;
    for (const node of [a, b]) {
      const fold = await node.fold(app);
      expect(fold).toMatchObject({ root: truth, conflict: 'none' });
      expect(fold.workingHistory.includes(one)).toBe(!landed);
      expect(await current(node)).toBe(truth);
    }
    expect(await works(truth)).toBe('accepted');
  });

  async function bothInConflict(one: Sigkey, two: Sigkey): Promise<void> {
    const folds = { root, conflict: 'tree', busy: false, working: [one, two], candidates: [one, two] };
    expect(await a.fold(app)).toMatchObject(folds);
    expect(await b.fold(app)).toMatchObject(folds);
    expect(new Set(await trees()).size).toBe(1);
    expect(await stage.digest('b')).toBe(await stage.digest('a'));
    // The truth, which no node may guess.
    expect([await works(one), await works(two)]).toEqual(['refused', 'accepted']);
  }

  async function bothHave(one: Sigkey, two: Sigkey): Promise<void> {
    for (const node of [a, b]) {
      const fold = await node.fold(app);
      expect(fold).toMatchObject({ root: two, conflict: 'none', working: [] });
      expect(fold.history.slice(-3)).toEqual([root, one, two]);
      expect(await current(node)).toBe(two);
    }
    expect(await stage.digest('b')).toBe(await stage.digest('a'));
    expect(await works(two)).toBe('accepted');
  }

  async function rotationOf(node: Node): Promise<Rotation> {
    return openRotation(
      {
        db: node.db,
        vault: node.vault,
        log: silent,
        clock: systemClock,
        run: processRunner(),
        watch: false,
        timing: { targetSeconds: 1, connectorMs: 15_000, leaseMs: 30_000 },
        peers: peersOf({ db: node.db, clock: systemClock }, { managementOf: async () => managed, waitMs: 20_000 }),
      },
      never,
    );
  }
}

async function declare(node: Node, { declaration, connector, account, admin }: CaseTarget): Promise<void> {
  const { name } = declaration;
  const password = { kind: 'password', connector } as const;
  await inTransaction(node.db, async (tx) => {
    await declareTargets(tx, [declaration], { actor, prune: false });
    const accounts = [
      { name: `${admin.name}@${name}`, ...password },
      // Each case costs a refused login or two.
      { name: `${account}@${name}`, ...password, admin: `${admin.name}@${name}`, settings: { login_budget: 50 } },
    ];
    await declareAccounts(tx, accounts, { actor, prune: false });
  });
}

async function record(rotation: Rotation, account: AccountId, text: string): Promise<Sigkey> {
  using secret = Secret.fromText(text);
  const result = await rotation.recordKnown(account, { kind: 'password', secret }, { unverified: false }, actor, never);
  if (isRefusal(result)) throw new Error(`${result.code}: ${result.reason}`);
  expect(result.status).toBe('confirmed');
  return result.sigkey;
}

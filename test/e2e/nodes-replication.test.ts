/** Facts travel between nodes: once, in any order, without loops, and whatever comes twice changes nothing (B-13). */
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId, Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { silent } from '../../src/base/log.ts';
import { foldArrivals, watchArrivals } from '../../src/rotation/nodes/arrivals.ts';
import { travelling } from '../../src/rotation/nodes/publication.ts';
import { declareAccounts } from '../../src/vault/vault.ts';
import { accountIdOf } from '../../src/vault/account.ts';
import { inTransaction } from '../../src/db/db.ts';
import { actor, never, nodesStage, type Node, type Stage } from './nodes-stage.ts';

describe('two nodes', () => {
  const both = ['paris', 'oslo'];
  let stage: Stage;
  let paris: Node;
  let oslo: Node;
  let app: AccountId;
  let web: AccountId;
  beforeAll(async () => {
    stage = await nodesStage(both, ['app', 'web', 'late']);
    [paris, oslo] = [stage.node('paris'), stage.node('oslo')];
    [app, web] = [await paris.account('app'), await paris.account('web')];
  });
  afterAll(async () => await stage?.[Symbol.asyncDispose]());

  test('a node that joins gets the facts that were there before it had a name, and both fold the same', async () => {
    const first = await paris.rotate(app, null);
    await stage.linkAll(both);
    await stage.quiet(both);
    const second = await paris.rotate(app, first);
    await stage.arrived('paris', 'oslo');
    expect((await oslo.fold(app)).root).toBe(second);
    expect(await stage.digest('oslo')).toBe(await stage.digest('paris'));
  });

  test('a value that one node drew is opened by the other', async () => {
    const { root } = await paris.fold(app);
    const drawn = await paris.write(app, root, 'Across.The.Sea-1');
    await paris.conclude(app, drawn, 'C');
    await stage.arrived('paris', 'oslo');
    using opened = await oslo.vault.openVersion(app, drawn, 'test', actor);
    expect(opened.kind === 'password' && opened.secret.revealText()).toBe('Across.The.Sea-1');
  });

  test('what came from a peer is not sent on', async () => {
    const slot = 'looking_on';
    await sql`SELECT pg_create_logical_replication_slot(${slot}, 'pgoutput')`.execute(oslo.admin);
    await paris.rotate(web, null);
    await stage.arrived('paris', 'oslo');
    const inserts = async (): Promise<number> => {
      const { rows } = await sql<{ n: number }>`SELECT count(*) AS n FROM pg_logical_slot_get_binary_changes(${slot},
        NULL, NULL, 'proto_version', '1', 'publication_names', 'sallyport_own') WHERE get_byte(data, 0) = ascii('I')`.execute(
        oslo.admin,
      );
      return rows[0]?.n ?? -1;
    };
    // The fold moved the pointer, and that is news of this node's own; the facts are not.
    expect(await inserts()).toBe(1);
    await oslo.rotate(web, (await oslo.fold(web)).root);
    expect(await inserts()).toBe(5);
    await sql`SELECT pg_drop_replication_slot(${slot})`.execute(oslo.admin);
    await stage.quiet(both);
  });

  test('the same facts a second time change nothing; another fact under a known key is put aside and nothing stops', async () => {
    const before = await stage.digest('oslo');
    await arriving(oslo, async (raw) => {
      for (const table of ['randomization', 'outcome', 'resolution', 'credential_version', 'credential_dek', 'advance'])
        await raw(`INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM ${table}`);
    });
    expect(await stage.quarantined('oslo')).toBe(0);
    expect(await stage.digest('oslo')).toBe(before);

    await arriving(oslo, async (raw) => {
      await raw(`INSERT INTO outcome OVERRIDING SYSTEM VALUE
        SELECT node, node_seq, sigkey, 'F', at, 'forged', message, sha256(fact_hash) FROM outcome ORDER BY at LIMIT 1`);
      await raw(`INSERT INTO credential_version
        SELECT sigkey, account_id, kind, sealed || '\\x00', public_key, history_mac, created_at, node
        FROM credential_version LIMIT 1`);
    });
    expect(await stage.quarantined('oslo')).toBe(2);
    // The same again, later: it is put aside once.
    await arriving(oslo, async (raw) => {
      await raw(`INSERT INTO outcome OVERRIDING SYSTEM VALUE
        SELECT node, node_seq, sigkey, 'F', at, 'forged', message, sha256(fact_hash) FROM outcome ORDER BY at LIMIT 1`);
    });
    expect(await stage.quarantined('oslo')).toBe(2);
    expect(await stage.digest('oslo')).toBe(before);
    const next = await paris.rotate(app, (await paris.fold(app)).root);
    await stage.arrived('paris', 'oslo');
    expect((await oslo.fold(app)).root).toBe(next);
  });

  test('when a fact came to be known is each node’s own time, and stays so when it comes again', async () => {
    await stage.wire('paris', 'oslo', false);
    const sigkey = await paris.rotate(app, (await paris.fold(app)).root);
    const { rows: clocks } = await sql<{ now: Date }>`SELECT clock_timestamp() AS now`.execute(oslo.db);
    await stage.wire('paris', 'oslo', true);
    await stage.arrived('paris', 'oslo');
    const heard = async (node: Node): Promise<number[]> => {
      const { rows } = await sql<{ at: Date }>`SELECT heard_at AS at FROM randomization WHERE sigkey = ${sigkey}
        UNION ALL SELECT heard_at FROM outcome WHERE sigkey = ${sigkey}`.execute(node.db);
      return rows.map(({ at }) => at.getTime());
    };
    const before = clocks[0]?.now.getTime() ?? 0;
    const [there, here] = [await heard(paris), await heard(oslo)];
    expect(there.every((at) => at <= before)).toBe(true);
    expect(here.every((at) => at >= before)).toBe(true);
    expect(here).toHaveLength(2);
    await arriving(oslo, async (raw) => {
      const columns = travelling.outcome.join(', ');
      await raw(`INSERT INTO outcome (${columns}) OVERRIDING SYSTEM VALUE SELECT ${columns} FROM outcome`);
    });
    expect(await heard(oslo)).toEqual(here);
  });

  test('a conflict shows from the very transaction that brings it, before anybody has folded', async () => {
    const { root } = await paris.fold(app);
    await stage.wire('paris', 'oslo', false);
    await stage.wire('oslo', 'paris', false);
    const ours = await paris.rotate(app, root);
    await oslo.rotate(app, root);
    await stage.wire('paris', 'oslo', true);
    const late = AbortSignal.timeout(30_000);
    for (;;) {
      const { rows } = await sql<{ there: boolean; conflict: string; stale: boolean }>`
        SELECT EXISTS (SELECT FROM randomization WHERE sigkey = ${ours}) AS there, conflict, stale
        FROM account_state WHERE account_id = ${app}`.execute(oslo.db);
      if (rows[0]?.there === true) {
        expect(rows[0]).toMatchObject({ conflict: 'tree', stale: true });
        break;
      }
      expect(rows[0]).toMatchObject({ conflict: 'none', stale: false });
      await systemClock.sleep(1, late);
    }
    await stage.wire('oslo', 'paris', true);
    await stage.quiet(both);
    const { rows } = await sql`SELECT conflict, stale FROM account_state WHERE account_id = ${app}`.execute(oslo.db);
    expect(rows).toEqual([{ conflict: 'tree', stale: false }]);
    expect(await stage.digest('oslo')).toBe(await stage.digest('paris'));
  });

  test('in a conflict each node says what it took for current last', async () => {
    const said = async (node: Node) => {
      const { rows } = await sql<{ node: string; root: Sigkey }>`SELECT DISTINCT ON (node) node, root FROM advance
        WHERE account_id = ${app} AND node IN ('paris', 'oslo') ORDER BY node, node_seq DESC`.execute(node.db);
      return rows;
    };
    const [atOslo, atParis] = [await said(oslo), await said(paris)];
    expect(atOslo).toEqual(atParis);
    expect(new Set(atOslo.map((row) => row.root)).size).toBe(2);
    const { candidates } = await paris.fold(app);
    expect(new Set(atOslo.map((row) => row.root))).toEqual(new Set(candidates));
  });

  test('a decision travels like any other fact and settles the conflict on both nodes', async () => {
    const { facts } = { facts: await paris.fold(app) };
    const winner = facts.candidates[1] as Sigkey;
    await paris.decide(app, { kind: 'root', root: winner, seen: [...facts.status.keys()] });
    await stage.arrived('paris', 'oslo');
    expect(await oslo.fold(app)).toMatchObject({ root: winner, conflict: 'none' });
    await stage.quiet(both);
    expect(await stage.digest('oslo')).toBe(await stage.digest('paris'));
  });

  test('facts of an account that is not declared here wait for it', async () => {
    await inTransaction(paris.db, (tx) =>
      declareAccounts(tx, [{ name: 'new@box', kind: 'password' }], { actor, prune: false }),
    );
    const id = accountIdOf('new', 'box');
    const value = await paris.rotate(id, null);
    await stage.arrived('paris', 'oslo');
    await using arrivals = await watchArrivals(
      { db: oslo.db, vault: oslo.vault, log: silent },
      oslo.cluster.appUrl,
      (account) => folded.resolve(account),
      never,
    );
    const folded = Promise.withResolvers<AccountId>();
    await inTransaction(oslo.db, (tx) =>
      declareAccounts(tx, [{ name: 'new@box', kind: 'password' }], { actor, prune: false }),
    );
    expect(await folded.promise).toBe(id);
    await arrivals.settle();
    const { rows } = await sql`SELECT sigkey FROM account_current WHERE account_id = ${id}`.execute(oslo.db);
    expect(rows).toEqual([{ sigkey: value }]);
  });

  test('a value becomes current when it is here itself, not when its facts are', async () => {
    const late = await oslo.account('late');
    const sigkey = newId<Sigkey>();
    const need = { db: oslo.db, vault: oslo.vault, log: silent };
    await arriving(oslo, async (raw) => {
      await raw(
        `INSERT INTO outcome OVERRIDING SYSTEM VALUE VALUES ('lima', 1, '${sigkey}', 'C', now(), '', '', '\\x01')`,
      );
      await raw(`INSERT INTO randomization VALUES ('${sigkey}', '${late}', NULL, 'lima', now(), '\\x02')`);
    });
    expect(await foldArrivals(need, () => {})).toBe(0);
    const state = () => sql`SELECT stale FROM account_state WHERE account_id = ${late}`.execute(oslo.db);
    expect((await state()).rows).toEqual([{ stale: true }]);
    await arriving(oslo, async (raw) => {
      await raw(`INSERT INTO credential_dek VALUES ('${sigkey}', 1, decode(repeat('00', 61), 'hex'), 'lima')`);
      await raw(`INSERT INTO credential_version VALUES ('${sigkey}', '${late}', 'password', decode(repeat('00', 40), 'hex'),
        NULL, decode(repeat('00', 32), 'hex'), now(), 'lima')`);
    });
    expect(await foldArrivals(need, () => {})).toBe(1);
    expect((await state()).rows).toEqual([{ stale: false }]);
    expect((await oslo.fold(late)).root).toBe(sigkey);
  });

  test('a fact under another name than this node’s is refused, and so is the outcome of a value that is not there', async () => {
    const about = { account_id: app, parent: null, created_at: new Date(), fact_hash: Buffer.from('x') };
    await expect(
      oslo.db
        .insertInto('randomization')
        .values({ ...about, sigkey: newId(), node: 'paris' })
        .execute(),
    ).rejects.toMatchObject({ constraint: 'fact_is_own' });
    await expect(oslo.conclude(app, newId<Sigkey>(), 'C')).rejects.toMatchObject({ constraint: 'outcome_of_value' });
  });

  test('a peer that is killed while the other writes catches up, and what it had not sent yet is there too', async () => {
    await stage.wire('oslo', 'paris', false);
    await oslo.rotate(web, (await oslo.fold(web)).root);
    await oslo.cluster.stop('immediate');
    for (let n = 0; n < 20; n++) await paris.rotate(app, (await paris.fold(app)).root);
    await oslo.cluster.start();
    await oslo.reopen();
    await stage.wire('oslo', 'paris', true);
    await stage.quiet(both);
    await stage.quiet(both);
    expect(await withoutLate(stage, 'oslo')).toBe(await withoutLate(stage, 'paris'));
  });
});

test('every column of every table that travels is published, or named here as one that stays', async () => {
  await using stage = await nodesStage(['paris'], []);
  const { rows } = await sql<{ table: keyof typeof travelling; columns: string[] }>`
    SELECT table_name AS table, array_agg(column_name::text ORDER BY ordinal_position) AS columns
    FROM information_schema.columns WHERE table_name IN (${sql.join(Object.keys(travelling))})
    GROUP BY table_name`.execute(stage.node('paris').db);
  // When a fact was heard of is each node's own.
  const stays: Partial<Record<keyof typeof travelling, string[]>> = {
    randomization: ['heard_at'],
    outcome: ['heard_at'],
  };
  for (const { table, columns } of rows)
    expect([table, columns]).toEqual([table, [...travelling[table], ...(stays[table] ?? [])]]);
  expect(rows.length).toBe(Object.keys(travelling).length);
});

/** As the worker does that applies a peer's facts. */
async function arriving(node: Node, work: (raw: (text: string) => Promise<unknown>) => Promise<void>): Promise<void> {
  await inTransaction(node.admin, async (tx) => {
    await sql`SET LOCAL session_replication_role = replica`.execute(tx);
    await sql`SET LOCAL search_path = public`.execute(tx);
    await work((text) => sql.raw(text).execute(tx));
  });
}

/** The digest without what a test put into one node by hand. */
async function withoutLate(stage: Stage, name: string): Promise<string> {
  const late = accountIdOf('late', 'box');
  const { folds, current } = JSON.parse(await stage.digest(name)) as Record<string, unknown[]>;
  return JSON.stringify([folds, current].map((rows) => rows?.filter((row) => !JSON.stringify(row).includes(late))));
}

/**
 * The process that changes an account on one node is killed right after the target took the new value (B-07): the other
 * node has had the value since before the target did, and sees it pending, then uncertain, then current.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { isRefusal } from '../../src/base/errors.ts';
import type { AccountId, Sigkey } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargets } from '../../src/estate/estate.ts';
import { processRunner } from '../../src/rotation/connectors/run.ts';
import { openRotation, type Rotation } from '../../src/rotation/rotation.ts';
import { accountNamed, declareAccounts } from '../../src/vault/vault.ts';
import { openWire, type Wire } from '../lab/wire.ts';
import { type CaseTarget, mariadbTarget } from './nodes-cases-targets.ts';
import { actor, never, type Node, nodesStage, type Stage } from './nodes-stage.ts';

test('the other node has the value before the target hears of it, sees it pending, then uncertain, then current', async () => {
  await using target = await mariadbTarget();
  await using wire = await openWire(target);
  await using stage = await nodesStage(['a', 'b'], []);
  const [a, b] = [stage.node('a'), stage.node('b')];
  for (const node of [a, b]) await declare(node, target, wire);
  await stage.linkAll(['a', 'b']);
  for (const [node, name] of [
    [a, 'b'],
    [b, 'a'],
  ] as const)
    await node.admin
      .insertInto('node_peer')
      .values({ name, card: Buffer.from('card') })
      .execute();
  const [app, admin] = [await idOf(a, target.account), await idOf(a, target.admin.name)];
  await target.plant('First.Value-0');
  let root: Sigkey;
  {
    await using rotation = await rotationOf(a);
    await record(rotation, admin, target.admin.password);
    root = await record(rotation, app, 'First.Value-0');
  }
  await stage.quiet(['a', 'b']);

  // -- Killed right after the target took it ------------------------------------------------------------------------
  const victim = rotatingProcess(a, stage, app);
  expect(await victim.says(), 'the connector is about to be asked').toBe('asking');
  const { working } = await a.fold(app);
  const [fresh] = working;
  if (fresh === undefined) throw new Error('nothing was drawn');
  // It waited until what it had drawn was sent, and the line is up.
  expect(await sealedAt(b, fresh)).toBe(1);
  expect(await victim.says()).toBe('confirmed');
  await victim.kill();
  await stage.quiet(['a', 'b']);
  const pending = { root, conflict: 'none', busy: true };
  for (const node of [a, b]) expect(await node.fold(app)).toMatchObject(pending);
  expect((await b.fold(app)).status.get(fresh)).toBe('P');
  expect(await openedAt(b, app, fresh, target), 'nothing is lost, wherever one looks').toBe('accepted');

  // -- Nobody can ask the target when its lease has run out: uncertain ----------------------------------------------
  wire.refuse(true);
  await a.admin
    .updateTable('rotation_lease')
    .set({ expires_at: new Date(0) })
    .execute();
  await using rotation = await rotationOf(a);
  expect(await resolved(rotation, app)).toBe('waiting');
  await stage.quiet(['a', 'b']);
  const uncertain = { root, conflict: 'incomplete', busy: false, candidates: [root, fresh] };
  for (const node of [a, b]) expect(await node.fold(app)).toMatchObject(uncertain);
  expect((await b.fold(app)).status.get(fresh)).toBe('U');

  // -- The target answers again: it has the new one -----------------------------------------------------------------
  wire.refuse(false);
  for (const late = AbortSignal.timeout(60_000); (await resolved(rotation, app)) !== 'resolved'; )
    await systemClock.sleep(50, late);
  await stage.quiet(['a', 'b']);
  for (const node of [a, b])
    expect(await node.fold(app)).toMatchObject({ root: fresh, conflict: 'none', busy: false, working: [] });
  expect(await stage.digest('b')).toBe(await stage.digest('a'));
  expect(await openedAt(b, app, fresh, target)).toBe('accepted');
}, 180_000);

interface Victim {
  /** Its next line. */
  says(): Promise<string | undefined>;
  kill(): Promise<void>;
}

function rotatingProcess(node: Node, { rootKeyPath, dataDirectory }: Stage, account: AccountId): Victim {
  const file = join(import.meta.dirname, 'nodes-killed-process.ts');
  const argv = ['--no-warnings', file, node.cluster.appUrl, rootKeyPath, dataDirectory, account];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    says: async () => (await lines.next()).value as string | undefined,
    kill: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function declare(node: Node, { declaration, connector, account, admin }: CaseTarget, wire: Wire): Promise<void> {
  const { name, services } = declaration;
  const held = services.map((service) => ({ ...service, port: wire.port }));
  const password = { kind: 'password', connector } as const;
  await inTransaction(node.db, async (tx) => {
    const by = { actor, prune: false };
    await declareTargets(tx, [{ ...declaration, address: wire.address, services: held }], by);
    const accounts = [
      { name: `${admin.name}@${name}`, ...password },
      { name: `${account}@${name}`, ...password, admin: `${admin.name}@${name}` },
    ];
    await declareAccounts(tx, accounts, by);
  });
}

async function idOf(node: Node, name: string): Promise<AccountId> {
  const found = await accountNamed(node.db, `${name}@database`);
  if (found === undefined) throw new Error(`no account ${name}`);
  return found.id;
}

async function rotationOf({ db, vault }: Node): Promise<Rotation> {
  const timing = { targetSeconds: 1, connectorMs: 15_000, leaseMs: 30_000 };
  return openRotation(
    { db, vault, log: silent, clock: systemClock, run: processRunner(), watch: false, timing },
    never,
  );
}

async function record(rotation: Rotation, account: AccountId, text: string): Promise<Sigkey> {
  using secret = Secret.fromText(text);
  const result = await rotation.recordKnown(account, { kind: 'password', secret }, { unverified: false }, actor, never);
  if (isRefusal(result)) throw new Error(`${result.code}: ${result.reason}`);
  return result.sigkey;
}

async function resolved(rotation: Rotation, account: AccountId): Promise<string> {
  let outcome = '';
  await rotation.conflicts.resolve(
    [account],
    actor,
    ({ answer }) => {
      outcome = isRefusal(answer) ? answer.reason : answer.outcome;
    },
    never,
  );
  return outcome;
}

async function sealedAt({ db }: Node, sigkey: Sigkey): Promise<number> {
  const rows = await db.selectFrom('credential_version').select('sigkey').where('sigkey', '=', sigkey).execute();
  return rows.length;
}

async function openedAt(node: Node, account: AccountId, sigkey: Sigkey, target: CaseTarget): Promise<string> {
  using version = await node.vault.openVersion(account, sigkey, 'test', actor);
  if (version.kind !== 'password') throw new Error('it is no password');
  return await target.works(version.secret.revealText());
}

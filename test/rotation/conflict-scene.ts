/** An account on a scripted target, with values in its ledger that other nodes drew or that were cut off. */
import { sql } from 'kysely';
import { isRefusal } from '../../src/base/errors.ts';
import type { Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { addOutcome, addRandomization, addResolution } from '../../src/rotation/ledger/ledger.ts';
import type { Decision, OutcomeStatus } from '../../src/rotation/plan/facts.ts';
import type { History, RotationOptions } from '../../src/rotation/rotation.ts';
import type { Account, AccountDeclaration } from '../../src/vault/vault.ts';
import { nowhere, operator, type RotationRoom, rotationRoom, speaksForOthers } from './room.ts';
import { ScriptedTarget } from './target.ts';

export const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 600_000 };
export const first = 'first-Value-9';

export interface Scene extends AsyncDisposable {
  readonly room: RotationRoom;
  readonly target: ScriptedTarget;
  readonly account: Account;
  /** A further value in the ledger, drawn by another node or cut off; its value is its name. `at`: by that node's clock. */
  readonly draw: (
    value: string,
    parent: Sigkey | null,
    status: OutcomeStatus | 'P',
    node?: string,
    at?: number,
  ) => Promise<Sigkey>;
  /** What somebody decided on another node. */
  readonly decided: (node: string, decision: Decision) => Promise<void>;
}

/** The scene's account, declared once more as one that is reconciled without being asked. */
export const reconcilesItself: AccountDeclaration = {
  name: 'app@box',
  kind: 'password',
  connector: 'linux-chpasswd',
  admin: 'root@box',
  reconcile: 'root@box',
  autoReconcile: true,
};

export async function scene(options: Partial<RotationOptions> = {}): Promise<Scene> {
  const target = new ScriptedTarget(first);
  const room = await rotationRoom({ run: target.run, timing, ...options });
  await speaksForOthers(room);
  await room.target(nowhere);
  const admin = await room.account({ name: 'root@box', kind: 'password', connector: 'linux-chpasswd' });
  await room.seed(admin, 'root-Value-9');
  const account = await room.account({
    name: 'app@box',
    kind: 'password',
    connector: 'linux-chpasswd',
    admin: 'root@box',
    reconcile: 'root@box',
  });
  await room.seed(account, first);
  const { db } = room.vault.base;
  const draw: Scene['draw'] = (...what) => drawFor(room, account, ...what);
  const decided: Scene['decided'] = async (node, decision) => {
    const resolution = {
      account: account.id,
      node,
      action: 'M',
      decision,
      tested: [],
      requester: '',
      at: Date.now(),
    } as const;
    await inTransaction(db, (tx) => addResolution(tx, room.vault.vault, resolution));
  };
  return { room, target, account, draw, decided, [Symbol.asyncDispose]: () => room[Symbol.asyncDispose]() };
}

/** See `Scene.draw`; of any account of the room. */
export async function drawFor(
  room: RotationRoom,
  account: Account,
  ...[value, parent, status, node = 'another', at = Date.now()]: Parameters<Scene['draw']>
): Promise<Sigkey> {
  const sigkey = newId<Sigkey>();
  using secret = Secret.fromText(value);
  await inTransaction(room.vault.base.db, async (tx) => {
    const { vault } = room.vault;
    await vault.store(tx, {
      account: account.id,
      sigkey,
      credential: { kind: 'password', secret },
      origin: 'generated',
      actor: operator,
    });
    await addRandomization(tx, vault, { sigkey, account: account.id, parent, node, createdAt: at });
    const outcome = { account: account.id, sigkey, node, at, retcode: 'none', message: '' };
    if (status !== 'P') await addOutcome(tx, vault, { ...outcome, status });
  });
  return sigkey;
}

export async function rootOf({ room, account }: Scene): Promise<Sigkey> {
  const { current } = await room.again(account);
  if (current === null) throw new Error('nothing is current');
  return current;
}

export async function settled({ room }: Scene): Promise<void> {
  const watching = await room.open({ watch: true });
  await watching.settle();
  await watching[Symbol.asyncDispose]();
}

export async function history({ room, account }: Scene): Promise<History> {
  const found = await room.rotation.history(account.id);
  if (isRefusal(found)) throw new Error(found.reason);
  return found;
}

/** As if what is in the ledger had come to be known so many milliseconds earlier. */
export async function heardEarlier({ room }: Scene, ms: number): Promise<void> {
  const { owner } = room.vault.base;
  for (const table of ['randomization', 'outcome']) {
    await sql`ALTER TABLE ${sql.table(table)} DISABLE TRIGGER append_only_row`.execute(owner);
    await sql`UPDATE ${sql.table(table)} SET heard_at = heard_at - ${ms} * interval '1 millisecond'`.execute(owner);
    await sql`ALTER TABLE ${sql.table(table)} ENABLE ALWAYS TRIGGER append_only_row`.execute(owner);
  }
}

/**
 * Becoming one of several: a name and a role for others to read by (`init`), an invitation (`invite`), and joining by one
 * (`join`): take over the key ring, hear every node that the other one knows, and ask each of them to hear us.
 */
import { sql } from 'kysely';
import { type Actor, record } from '../../audit/audit.ts';
import type { Secret } from '../../base/secret.ts';
import { type Db, inTransaction, type Tx } from '../../db/db.ts';
import type { Vault } from '../../vault/vault.ts';
import { isNodeName } from '../plan/site.ts';
import { type Card, readCard, writeCard } from './card.ts';
import { NodeError, type NodeRefusal, turnAway } from './errors.ts';
import { assume, identityOf, setState } from './identity.ts';
import { post } from './letters.ts';
import { type Neighbourhood, openCard, ownName, sealCard, sourceOf, withPeer } from './neighbourhood.ts';
import { publish } from './publication.ts';
import { makePeerRole } from './repl-role.ts';
import { isThere, isUnreached, redirect, subscribe, subscriptionName } from './subscription.ts';

/** Gives this node its name. Facts that it wrote before stay under the former one, and count as its own. */
export async function init(near: Neighbourhood, name: string, actor: Actor): Promise<{ id: string } | NodeRefusal> {
  if (!isNodeName(name)) return turnAway('nodes.name-invalid', JSON.stringify(name));
  const known = await identityOf(near.db);
  if (known.name !== null) return turnAway('nodes.named', known.name);
  // What is pending was drawn under the former name, and only that name may say what became of it.
  const busy = await near.db.selectFrom('ledger_account').select('account_id').where('busy', '=', true).execute();
  if (busy.length > 0) return turnAway('nodes.changing', `${busy.length} accounts`);
  using password = await makePeerRole(near.admin);
  const { host, port, files } = near;
  const card = { name, host, port, password, certificate: files.certificate, [Symbol.dispose]: () => {} };
  const sealed = await sealCard(near.vault, card);
  return await inTransaction(near.admin, async (tx) => {
    const id = await assume(tx, name, []);
    await sql`UPDATE ledger_node SET card = ${Buffer.from(sealed)}`.execute(tx);
    await publish(tx, (await identityOf(tx)).own);
    await record(tx, actor, { type: 'node.named', about: {}, details: { node: id } });
    return { id };
  });
}

/** This node's card as bytes, for a file that only its reader can read. The bytes are the caller's to dispose of. */
export async function invite(near: Neighbourhood, actor: Actor): Promise<Secret> {
  const name = await ownName(near);
  using card = await ownCard(near, near.vault);
  await record(near.db, actor, { type: 'node.invited', about: {}, details: { node: name } });
  return writeCard(card);
}

/** With where it is reached now, which may have changed since it was named. */
async function ownCard(near: Neighbourhood, vault: Vault): Promise<Card> {
  const name = await ownName(near);
  const { card } = await near.db.selectFrom('ledger_node').select('card').executeTakeFirstOrThrow();
  if (card === null) throw new NodeError('nodes.not-named');
  const { host, port, files } = near;
  return { ...(await openCard(vault, name, card)), host, port, certificate: files.certificate };
}

export interface Joined {
  /** Nodes that are heard from now on and were asked to hear us. */
  readonly peers: readonly string[];
  /** Nodes that did not answer; joining again later reaches them. */
  readonly unreached: readonly string[];
  /** The key ring is another one now: whoever has the former one open must open it again. */
  readonly ring: 'same' | 'adopted';
}

/** Joins by an invitation. Doing so again is harmless, and reaches nodes that did not answer before. */
export async function join(
  near: Neighbourhood,
  invitation: Uint8Array,
  actor: Actor,
  signal: AbortSignal,
): Promise<Joined | NodeRefusal> {
  const name = await ownName(near);
  const { state } = await identityOf(near.db);
  if (state === 'set-back' || state === 'healing') return turnAway('nodes.set-back');
  using first = readCard(invitation);
  if (first === undefined) return turnAway('nodes.invitation-invalid');
  if (first.name === name) return turnAway('nodes.same-name', name);

  const answer = await withPeer(near, first, async (peer) => {
    const differs = await otherVersion(near.db, peer);
    if (differs !== undefined) return turnAway('nodes.other-version', differs);
    const { vault, ring } = await takeRing(near, peer, actor, signal);
    const others = await peer.selectFrom('node_peer').select(['name', 'card']).where('name', '!=', name).execute();
    return { vault, ring, others };
  });
  if (answer === undefined) return turnAway('nodes.unreachable', `${first.host}:${first.port}`);
  if (!('vault' in answer)) return answer;
  await using vault = answer.vault;

  const cards = [first];
  for (const other of answer.others) cards.push(await openCard(vault, other.name, other.card));
  using own = await ownCard(near, vault);
  const sealedOwn = Buffer.from(await sealCard(vault, own)).toString('base64');
  const met: Card[] = [];
  const unreached: string[] = [];
  for (const card of cards) {
    signal.throwIfAborted();
    if (await hear({ ...near, vault }, name, card)) met.push(card);
    else unreached.push(card.name);
  }
  // Only now: two servers that subscribe to each other at the same moment would wait for each other.
  const peers: string[] = [];
  for (const card of met) {
    const asked = await post(near, card, { kind: 'join', from: name, card: sealedOwn }, vault);
    (asked ? peers : unreached).push(card.name);
  }
  await inTransaction(near.admin, async (tx) => {
    await setState(tx, 'joining');
    await record(tx, actor, { type: 'node.joined', about: {}, details: { peers } });
  });
  return { peers, unreached, ring: answer.ring };
}

/** Keeps a peer's card and hears it. False, and nothing is kept, if its server does not answer. */
async function hear(near: Neighbourhood, name: string, card: Card): Promise<boolean> {
  const subscription = subscriptionName(name, card.name);
  const source = sourceOf(near, card);
  try {
    if (await isThere(near.admin, subscription)) await redirect(near.admin, subscription, source.conninfo);
    else await subscribe(near.admin, name, source);
  } catch (error) {
    if (isUnreached(error)) return false;
    throw error;
  }
  await keepCard(near.admin, near.vault, card);
  return true;
}

export async function keepCard(db: Db | Tx, vault: Vault, card: Card): Promise<void> {
  const sealed = Buffer.from(await sealCard(vault, card));
  await db
    .insertInto('node_peer')
    .values({ name: card.name, card: sealed })
    .onConflict((there) => there.column('name').doUpdateSet({ card: sealed }))
    .execute();
}

/** Which migrations only one of the two has. */
async function otherVersion(db: Db, peer: Db): Promise<string | undefined> {
  const of = async (at: Db): Promise<Set<string>> => {
    const { rows } = await sql<{ name: string }>`SELECT name FROM schema_migration`.execute(at);
    return new Set(rows.map((row) => row.name));
  };
  const [here, there] = [await of(db), await of(peer)];
  const differ = new Set([...here, ...there].filter((name) => !here.has(name) || !there.has(name)));
  return differ.size === 0 ? undefined : [...differ].join(', ');
}

/** A vault over the ring that all nodes share: ours, or the peer's, which is then ours too. */
async function takeRing(
  near: Neighbourhood,
  peer: Db,
  actor: Actor,
  signal: AbortSignal,
): Promise<{ vault: Vault; ring: Joined['ring'] }> {
  const root = await peer.selectFrom('vault_root').select('root_check').executeTakeFirstOrThrow();
  const keys = await peer.selectFrom('vault_kek').select(['version', 'sealed', 'node']).execute();
  const history = await peer.selectFrom('ledger_ring_history').select('sealed').executeTakeFirstOrThrow();
  // Sealed under the present ring, so it is opened before that one is given up.
  using own = await ownCard(near, near.vault);
  const theirs = { rootCheck: root.root_check, keys, history: history.sealed };
  const taken = await near.vault.adopt(near.admin, theirs, near.sealedElsewhere, actor);
  const vault = await near.vault.again(signal);
  if (taken === 'adopted') {
    const sealed = Buffer.from(await sealCard(vault, own));
    await sql`UPDATE ledger_node SET card = ${sealed}`.execute(near.admin);
    await sql`SELECT pg_notify('node_changed', '')`.execute(near.admin);
  }
  return { vault, ring: taken };
}

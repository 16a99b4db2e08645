/**
 * Becoming one of several: a name and a role for others to read by (`init`), an invitation (`invite`), and joining by one
 * (`join`): take over the key ring, hear every node that the other one knows, and ask each of them to hear us.
 */
import { sql } from 'kysely';
import { type Actor, record } from '../../audit/audit.ts';
import { codeOf, isRefusal, wordsOf } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { type Db, inTransaction, type Tx } from '../../db/db.ts';
import type { TakenRing } from '../../vault/vault.ts';
import { isNodeName } from '../plan/site.ts';
import { type Card, readCard, writeCard } from './card.ts';
import { NodeError, type NodeRefusal, turnAway } from './errors.ts';
import { missedBy } from './heal.ts';
import { assume, identityOf } from './identity.ts';
import { forgottenNames, greet, hear, isNameTaken, isSameNode, keepCard } from './mesh.ts';
import { cardContext, cardOf, type Neighbourhood, ownName, peerNames, sealCard, withPeer } from './neighbourhood.ts';
import { ownCard } from './own-card.ts';
import { publish } from './publication.ts';
import { makePeerRole } from './repl-role.ts';

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

/** An invitation is good for a day: then the password in it is changed (`tending.ts`). */
const invitationMs = 24 * 3_600_000;

/** This node's card as bytes, for a file that only its reader can read. The bytes are the caller's to dispose of. */
export async function invite(near: Neighbourhood, actor: Actor): Promise<Secret> {
  const name = await ownName(near);
  using card = await ownCard(near);
  const at = near.clock.now();
  const until = at + invitationMs;
  await sql`UPDATE ledger_node SET invites_until = ${until}`.execute(near.admin);
  await record(near.db, actor, { type: 'node.invited', about: {}, details: { node: name } });
  return writeCard({ ...card, at, until });
}

export interface Joined {
  /** Nodes that are heard from now on and were asked to hear us. */
  readonly peers: readonly string[];
  /** Nodes that did not answer: they are heard and asked by themselves as soon as they do. */
  readonly unreached: readonly string[];
  /** The key ring is another one now: whoever has the former one open must open it again. */
  readonly ring: 'same' | 'adopted';
}

/**
 * Joins by an invitation. In one transaction the ring is taken over, the others' cards are kept and the node is `joining`;
 * what comes after that goes on by itself (`tending.ts`) wherever it is broken off. Doing so again is harmless.
 */
export async function join(
  near: Neighbourhood,
  invitation: Uint8Array,
  actor: Actor,
  signal: AbortSignal,
): Promise<Joined | NodeRefusal> {
  const name = await ownName(near);
  using first = readCard(invitation);
  if (first === undefined) return turnAway('nodes.invitation-invalid');
  if (first.name === name) return turnAway('nodes.same-name', name);
  if (first.until !== undefined && near.clock.now() > first.until) return turnAway('nodes.invitation-expired');

  if (await isNameTaken(near, first)) return turnAway('nodes.name-taken', first.name);
  const known = (await peerNames(near)).includes(first.name);
  // Whatever follows: a node that was set back may need the present card of a peer to be healed from it.
  if (known) await keepCard(near.admin, near.vault, withoutTimes(first));
  const { state } = await identityOf(near.db);
  if (state === 'set-back' || state === 'healing') return turnAway('nodes.set-back');

  const answer = await withPeer(near, first, async (peer) => {
    const differs = await otherVersion(near.db, peer);
    if (differs !== undefined) return turnAway('nodes.other-version', differs);
    if ((await missedBy(near.db, peer)) === 'present')
      return known ? turnAway('nodes.set-back') : turnAway('nodes.name-taken', name);
    return await takeOver(near, first, peer, actor);
  });
  if (answer === undefined) return turnAway('nodes.unreachable', `${first.host}:${first.port}`);
  if (isRefusal(answer)) return answer;

  await using vault = await near.vault.again(signal);
  const reached = await meetAll({ ...near, vault }, name, signal);
  await record(near.db, actor, { type: 'node.joined', about: {}, details: { peers: reached.peers } });
  return { ...reached, ring: answer };
}

/** Hears every peer and asks it to hear us. Whoever cannot be reached, or with whom anything is wrong, is left for later. */
async function meetAll(
  near: Neighbourhood,
  me: string,
  signal: AbortSignal,
): Promise<Pick<Joined, 'peers' | 'unreached'>> {
  const unreached: string[] = [];
  const all = async (names: readonly string[], meet: (card: Card) => Promise<boolean>): Promise<string[]> => {
    const met: string[] = [];
    for (const name of names) {
      try {
        signal.throwIfAborted();
        using card = await cardOf(near, name);
        if (await meet(card)) met.push(name);
        else unreached.push(name);
      } catch (error) {
        near.log.warn({ peer: name }, `with ${name} something is left to be done: ${wordsOf(error)}`);
        unreached.push(name);
      }
    }
    return met;
  };
  const heard = await all(await peerNames(near), (card) => hear(near, me, card));
  // Who could not be heard is asked when it is (`tending.ts`).
  const peers = await all(heard, (card) => greet(near, me, card));
  return { peers, unreached };
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

/** Takes over the ring that all nodes share, and keeps the cards of all that the peer knows, to be met. */
async function takeOver(
  near: Neighbourhood,
  first: Card,
  peer: Db,
  actor: Actor,
): Promise<Joined['ring'] | NodeRefusal> {
  const root = await peer.selectFrom('vault_root').select('root_check').executeTakeFirstOrThrow();
  const keys = await peer.selectFrom('vault_kek').select(['version', 'sealed', 'node']).execute();
  const history = await peer.selectFrom('ledger_ring_history').select('sealed').executeTakeFirstOrThrow();
  const listed = await peer.selectFrom('node_peer').select(['name', 'card']).execute();
  // Sealed under the present ring, so it is opened before that one is given up.
  using own = await ownCard(near);
  const theirs = { rootCheck: root.root_check, keys, history: history.sealed };
  try {
    return await near.vault.adopt(near.admin, theirs, near.sealedElsewhere, actor, (tx, ring) =>
      settleIn(tx, ring, { own, first, listed, invited: first.at ?? near.clock.now() }),
    );
  } catch (error) {
    if (codeOf(error) === 'nodes.name-taken') return turnAway('nodes.name-taken', own.name);
    throw error;
  }
}

function withoutTimes({ at: _at, until: _until, ...card }: Card): Card {
  return card;
}

interface Arrival {
  readonly own: Card;
  readonly first: Card;
  readonly listed: readonly { readonly name: string; readonly card: Uint8Array }[];
  readonly invited: number;
}

async function settleIn(tx: Tx, ring: TakenRing, { own, first, listed, invited }: Arrival): Promise<void> {
  const sealed = (card: Card): Buffer => {
    using bytes = writeCard(card);
    return Buffer.from(ring.seal(cardContext(card.name), bytes.reveal()));
  };
  const forgotten = await forgottenNames(tx);
  const peers = new Map([[first.name, sealed(withoutTimes(first))]]);
  for (const { name, card } of listed) {
    using bytes = ring.open(cardContext(name), card);
    using known = readCard(bytes.reveal());
    if (known?.name !== name) throw new NodeError('nodes.letter-refused', `the card of ${name}`);
    if (name === own.name) {
      if (!isSameNode(own, known)) throw new NodeError('nodes.name-taken', name);
    } else if (name !== first.name && !forgotten.includes(name)) peers.set(name, Buffer.from(card));
  }
  await sql`UPDATE ledger_node SET card = ${sealed(own)}, next_card = NULL, state = 'joining',
    invited_at = ${invited}`.execute(tx);
  await tx.deleteFrom('node_forgotten').where('name', '=', first.name).execute();
  for (const [name, card] of peers)
    await tx
      .insertInto('node_peer')
      .values({ name, card, greet: true })
      // A card that is here already may be younger than what stands on another node's list.
      .onConflict((there) =>
        there.column('name').doUpdateSet(name === first.name ? { card, greet: true } : { greet: true }),
      )
      .execute();
  if (ring.adopted) await sql`SELECT pg_notify('node_changed', '')`.execute(tx);
}

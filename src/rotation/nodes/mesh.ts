/**
 * Everybody hears everybody: the cards of all others are kept before anybody is asked for anything, and what is still to be
 * done with each stands beside its card, so that a peer that was away, or a process that ended, loses nothing.
 *
 * INVARIANT: a node that joins is a member only when every peer has it on its own list, and nobody stands on that list whom
 * it does not hear itself. Of two that joined at once, the one that was read later finds the other.
 */
import { sql } from 'kysely';
import { record } from '../../audit/audit.ts';
import { wordsOf } from '../../base/errors.ts';
import type { Db, Tx } from '../../db/db.ts';
import type { Vault } from '../../vault/vault.ts';
import type { Card } from './card.ts';
import { NodeError } from './errors.ts';
import { post } from './letters.ts';
import { cardOf, type Neighbourhood, openCard, peerNames, sealCard, sourceOf, withPeer } from './neighbourhood.ts';
import { cardForOthers } from './own-card.ts';
import { isCopied, isThere, isUnreached, redirect, subscribe, subscriptionName } from './subscription.ts';

/** Keeps a card, or puts it in the place of the one that is kept. */
export async function keepCard(db: Db | Tx, vault: Vault, card: Card): Promise<void> {
  const sealed = Buffer.from(await sealCard(vault, card));
  await db
    .insertInto('node_peer')
    .values({ name: card.name, card: sealed })
    .onConflict((there) => there.column('name').doUpdateSet({ card: sealed }))
    .execute();
}

/** Whether two cards of one name are of one node: it keeps its certificate, or at least the password in its database. */
export function isSameNode(one: Card, other: Card): boolean {
  return one.certificate === other.certificate || one.password.equals(other.password);
}

/** Whether another machine has this card's name here. */
export async function isNameTaken(near: Neighbourhood, card: Card): Promise<boolean> {
  if (!(await peerNames(near)).includes(card.name)) return false;
  using known = await cardOf(near, card.name);
  return !isSameNode(known, card);
}

/** Hears a peer by its card. False if its server does not answer. */
export async function hear(near: Neighbourhood, me: string, card: Card): Promise<boolean> {
  const subscription = subscriptionName(me, card.name);
  const source = sourceOf(near, card);
  try {
    if (await isThere(near.admin, subscription)) await redirect(near.admin, subscription, source.conninfo);
    else await subscribe(near.admin, me, source);
    return true;
  } catch (error) {
    if (isUnreached(error)) return false;
    throw error;
  }
}

/** Whether a peer that has us on its list keeps no place for us in its log any more: it had forgotten us in between. */
export async function isCutOff(near: Neighbourhood, me: string, card: Card): Promise<boolean> {
  const slot = subscriptionName(me, card.name);
  const { rows } =
    await sql`SELECT FROM pg_stat_subscription WHERE subname = ${slot} AND relid IS NULL AND pid IS NULL`.execute(
      near.admin,
    );
  if (rows.length === 0) return false;
  const found = await withPeer(near, card, (at) =>
    sql<{ cut: boolean }>`SELECT EXISTS (SELECT FROM node_peer WHERE name = ${me})
      AND NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = ${slot}) AS cut`.execute(at),
  );
  return found?.rows[0]?.cut === true;
}

/** Asks a peer to hear us by our card. False if its server does not answer. */
export async function greet(near: Neighbourhood, me: string, card: Card, vault: Vault = near.vault): Promise<boolean> {
  const { invited_at: invited } = await near.db
    .selectFrom('ledger_node')
    .select('invited_at')
    .executeTakeFirstOrThrow();
  const own = await cardForOthers(near, vault);
  const letter = { kind: 'join', from: me, card: own, ...(invited === null ? {} : { invited }) } as const;
  if (!(await post(near, card, letter, vault))) return false;
  await near.admin.updateTable('node_peer').set({ greet: false }).where('name', '=', card.name).execute();
  return true;
}

/**
 * Whether a node that joins has all that the others know: every peer is copied and lists this node, and nobody is listed who
 * is not heard. Whoever is found listed and unknown is kept, to be heard in the next round.
 */
export async function knowsAll(near: Neighbourhood, me: string): Promise<boolean> {
  let all = true;
  for (const peer of await peerNames(near)) {
    if (!(await isCopied(near.db, subscriptionName(me, peer)))) all = false;
    else if (!(await agrees(near, me, peer))) all = false;
  }
  return all;
}

async function agrees(near: Neighbourhood, me: string, peer: string): Promise<boolean> {
  using card = await cardOf(near, peer);
  const listed = await withPeer(near, card, (at) => at.selectFrom('node_peer').select(['name', 'card']).execute());
  if (listed === undefined) return false;
  const known = await near.db.selectFrom('node_peer').select(['name', 'greet']).execute();
  const forgotten = await forgottenNames(near.db);
  let agreed = listed.some(({ name }) => name === me);
  for (const { name, card: sealed } of listed) {
    if (name === me || forgotten.includes(name)) continue;
    const here = known.find((one) => one.name === name);
    if (here === undefined) agreed = false;
    // One that was not reached yet may be reached by the card that another node has of it.
    if (here?.greet === false) continue;
    if (!(await introduce(near, peer, name, sealed)) || here !== undefined) continue;
    const event = { type: 'node.peer-joined', about: {}, details: { peer: name } } as const;
    await record(near.db, { kind: 'system', part: 'nodes' }, event);
  }
  return agreed;
}

/** Keeps the card that a peer has of a node, to be met. False if it cannot be read, or is of another machine. */
async function introduce(near: Neighbourhood, peer: string, name: string, sealed: Uint8Array): Promise<boolean> {
  try {
    using found = await openCard(near.vault, name, sealed);
    if (await isNameTaken(near, found)) throw new NodeError('nodes.name-taken', name);
    await keepCard(near.admin, near.vault, found);
    await near.admin.updateTable('node_peer').set({ greet: true }).where('name', '=', name).execute();
    return true;
  } catch (error) {
    near.log.warn({ peer }, `what ${peer} has of ${name} is not believed: ${wordsOf(error)}`);
    return false;
  }
}

export async function forgottenNames(db: Db | Tx): Promise<readonly string[]> {
  return (await db.selectFrom('node_forgotten').select('name').execute()).map(({ name }) => name);
}

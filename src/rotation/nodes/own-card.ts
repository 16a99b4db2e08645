/**
 * This node's own card: how the others reach it. Its password becomes another one when a node is forgotten that knew it.
 *
 * INVARIANT: a new password counts only after every other node was told of it that answers. Two nodes that change theirs at
 * the same moment thus still reach each other; only if they could not reach each other then must they be introduced again.
 */
import { sql } from 'kysely';
import { type Db, inTransaction, type Tx } from '../../db/db.ts';
import type { Vault } from '../../vault/vault.ts';
import type { Card } from './card.ts';
import { NodeError } from './errors.ts';
import { type Neighbourhood, openCard, ownName, sealCard } from './neighbourhood.ts';
import { drawPassword, setPassword } from './repl-role.ts';

/** With where it is reached now, which may have changed since it was named. */
export async function ownCard(near: Neighbourhood, vault: Vault = near.vault): Promise<Card> {
  const { card } = await rowOf(near);
  return present(near, vault, card);
}

/** The card that others are to keep: the next one, while there is one. Sealed, as a letter has it. */
export async function cardForOthers(near: Neighbourhood, vault: Vault = near.vault): Promise<string> {
  const { card, next_card: next } = await rowOf(near);
  using own = await present(near, vault, next ?? card);
  return Buffer.from(await sealCard(vault, own)).toString('base64');
}

/** Draws the next password and has every other node told of it (`greet`); then `useNextCard`. */
export async function drawNextCard(near: Neighbourhood, tx: Tx): Promise<void> {
  using own = await ownCard(near);
  using password = drawPassword();
  const sealed = Buffer.from(await sealCard(near.vault, { ...own, password }));
  await sql`UPDATE ledger_node SET next_card = ${sealed}, invites_until = NULL`.execute(tx);
  await tx.updateTable('node_peer').set({ greet: true }).execute();
}

/** Makes the next password the present one, if there is a next one. */
export async function useNextCard(near: Neighbourhood): Promise<void> {
  const name = await ownName(near);
  await inTransaction(near.admin, async (tx) => {
    const { next_card: next } = await tx
      .selectFrom('ledger_node')
      .select('next_card')
      .forUpdate()
      .executeTakeFirstOrThrow();
    if (next === null) return;
    using card = await openCard(near.vault, name, next);
    await setPassword(tx, card.password);
    await sql`UPDATE ledger_node SET card = next_card, next_card = NULL`.execute(tx);
  });
}

/**
 * Whether a peer has another password of ours than we have: its letter was lost, or one of the two databases is older than
 * it was. `peer` may read the peer's list.
 */
export async function isKnownOtherwise(near: Neighbourhood, peer: Db): Promise<boolean> {
  const { next_card: next } = await rowOf(near);
  const name = await ownName(near);
  const listed = await peer.selectFrom('node_peer').select('card').where('name', '=', name).executeTakeFirst();
  if (next !== null || listed === undefined) return false;
  using own = await ownCard(near);
  using known = await openCard(near.vault, name, listed.card);
  return !own.password.equals(known.password);
}

/** An invitation has a password in it; when its time is over that is changed. */
export async function endInvitations(near: Neighbourhood): Promise<void> {
  const { invites_until: until } = await near.db
    .selectFrom('ledger_node')
    .select('invites_until')
    .executeTakeFirstOrThrow();
  if (until !== null && near.clock.now() > until) await inTransaction(near.admin, (tx) => drawNextCard(near, tx));
}

async function rowOf({ db }: Neighbourhood): Promise<{ card: Uint8Array | null; next_card: Uint8Array | null }> {
  return db.selectFrom('ledger_node').select(['card', 'next_card']).executeTakeFirstOrThrow();
}

async function present(near: Neighbourhood, vault: Vault, sealed: Uint8Array | null): Promise<Card> {
  if (sealed === null) throw new NodeError('nodes.not-named');
  const { host, port, files } = near;
  return { ...(await openCard(vault, await ownName(near), sealed)), host, port, certificate: files.certificate };
}

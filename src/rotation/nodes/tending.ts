/**
 * What goes on between nodes by itself: letters are read, what a peer could not be told is told when it answers again,
 * what is in doubt is fetched anew, and a database that was set back is noticed before it changes anything.
 */
import { sql } from 'kysely';
import { type Actor, record } from '../../audit/audit.ts';
import { codeOf, wordsOf } from '../../base/errors.ts';
import { inTransaction } from '../../db/db.ts';
import { pruneBarriers } from './barrier.ts';
import { missedBy, namesAt, refetch, renew } from './heal.ts';
import { identityOf, setState } from './identity.ts';
import { keepCard } from './joining.ts';
import { type Letter, openLetter, post } from './letters.ts';
import { cardOf, type Neighbourhood, openCard, peerNames, sourceOf, withPeer } from './neighbourhood.ts';
import { forget } from './parting.ts';
import { publish } from './publication.ts';
import { isCopied, isThere, isUnreached, redirect, subscribe, subscriptionName } from './subscription.ts';

const self: Actor = { kind: 'system', part: 'nodes' };

/**
 * Reads the letters that are there, oldest first; one that cannot be believed, or is of nobody whom we know, is thrown
 * away with a warning. One that cannot be obeyed now stays, and with it the later ones of its writer and no others.
 */
export async function readLetters(near: Neighbourhood, signal: AbortSignal): Promise<void> {
  const { name } = await identityOf(near.db);
  if (name === null) return;
  const waiting = new Set<string>();
  for (const { id, letter: sealed } of await near.db.selectFrom('node_knock').selectAll().orderBy('id').execute()) {
    signal.throwIfAborted();
    let writer: string | undefined;
    try {
      const letter = await openLetter(near.vault, sealed, name, near.clock.now());
      writer = letter.from;
      if (waiting.has(writer)) continue;
      await obey(near, name, letter, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!worthless.includes(codeOf(error))) {
        // It stays in the box while its writer cannot be reached, or as long as something else is wrong.
        if (writer !== undefined) waiting.add(writer);
        const words = `a letter${writer === undefined ? '' : ` of ${writer}`} waits: ${wordsOf(error)}`;
        if (isUnreached(error)) near.log.info({}, words);
        else near.log.warn({ code: codeOf(error) }, words);
        continue;
      }
      near.log.warn({ code: codeOf(error) }, `a letter was thrown away: ${wordsOf(error)}`);
    }
    await near.admin.deleteFrom('node_knock').where('id', '=', id).execute();
  }
}

const worthless = ['nodes.letter-refused', 'nodes.peer-unknown', 'vault.tampered', 'vault.key-version-unknown'];

async function obey(near: Neighbourhood, me: string, letter: Letter, signal: AbortSignal): Promise<void> {
  const { kind, from: peer } = letter;
  switch (kind) {
    case 'join': {
      using card = await openCard(near.vault, peer, Buffer.from(letter.card ?? '', 'base64'));
      await keepCard(near.admin, near.vault, card);
      const source = sourceOf(near, card);
      const subscription = subscriptionName(me, peer);
      if (await isThere(near.admin, subscription)) await redirect(near.admin, subscription, source.conninfo);
      else await subscribe(near.admin, me, source);
      return await record(near.db, self, { type: 'node.peer-joined', about: {}, details: { peer } });
    }
    case 'renew': {
      using card = await cardOf(near, peer);
      await renew(near.admin, me, sourceOf(near, card), near.clock, signal);
      return await record(near.db, self, {
        type: 'node.peer-renewed',
        about: {},
        details: { peer, reason: 'it asked for it' },
      });
    }
    case 'leave':
      return forget(near, me, peer, 'it left', self);
    default:
      kind satisfies never;
  }
}

/** Gives every subscription the present way to its peer, and the publications their present tables: once, at the start. */
export async function straighten(near: Neighbourhood): Promise<void> {
  const { name, own } = await identityOf(near.db);
  if (name === null) return;
  await publish(near.admin, own);
  for (const peer of await peerNames(near)) {
    using card = await cardOf(near, peer);
    const { conninfo } = sourceOf(near, card);
    if (await isThere(near.admin, subscriptionName(name, peer)))
      await redirect(near.admin, subscriptionName(name, peer), conninfo);
  }
}

/** One round of what is still to be done. A peer that does not answer, or with which something is wrong, is left for the next. */
export async function tend(near: Neighbourhood, signal: AbortSignal): Promise<void> {
  const { name, state } = await identityOf(near.db);
  if (name === null) return;
  await pruneBarriers(near);
  for (const { name: peer, renew: owed, doubt } of await near.db.selectFrom('node_peer').selectAll().execute()) {
    signal.throwIfAborted();
    try {
      await makeUp(near, name, peer, { owed, doubt: doubt && state !== 'set-back' }, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!isUnreached(error)) near.log.warn({ peer }, `with ${peer} something is left to be done: ${wordsOf(error)}`);
    }
  }
  if (state === 'joining' && (await allCopied(near, name))) await setState(near.admin, 'member');
  if (state === 'member') await noticeSetBack(near, signal);
}

/** Fetches what is in doubt, and tells the peer what it could not be told. */
async function makeUp(
  near: Neighbourhood,
  me: string,
  peer: string,
  { owed, doubt }: { readonly owed: boolean; readonly doubt: boolean },
  signal: AbortSignal,
): Promise<void> {
  using card = await cardOf(near, peer);
  if (doubt) {
    const seen = await withPeer(near, card, (at) => namesAt(at, me));
    if (seen === undefined) return;
    await refetch(near.admin, me, sourceOf(near, card), near.clock, signal, seen);
    await near.admin.updateTable('node_peer').set({ doubt: false }).where('name', '=', peer).execute();
  }
  if (owed && (await post(near, card, { kind: 'renew', from: me })))
    await near.admin.updateTable('node_peer').set({ renew: false }).where('name', '=', peer).execute();
}

async function allCopied(near: Neighbourhood, me: string): Promise<boolean> {
  for (const peer of await peerNames(near)) if (!(await isCopied(near.db, subscriptionName(me, peer)))) return false;
  return true;
}

/**
 * Asks all peers at once whether they have heard more of this node than it knows. Of its present name: then it changes
 * nothing until it is healed. Of a former one, something was on its way while it was healed: what that peer has is
 * fetched once more. Who has not answered by the signal is passed over.
 */
export async function noticeSetBack(near: Neighbourhood, signal: AbortSignal): Promise<void> {
  const answers = await Promise.all(
    (await peerNames(near)).map(async (peer) => {
      try {
        using card = await cardOf(near, peer);
        return { peer, missed: await withPeer(near, card, (at) => missedBy(near.db, at), signal) };
      } catch (error) {
        near.log.warn({ peer }, `${peer} could not be asked what it has heard: ${wordsOf(error)}`);
        return { peer, missed: undefined };
      }
    }),
  );
  for (const { peer, missed } of answers) {
    if (missed !== 'former') continue;
    near.log.info({ peer }, 'another node has heard facts of this one that came too late to be fetched; they are now');
    await near.admin.updateTable('node_peer').set({ doubt: true }).where('name', '=', peer).execute();
  }
  const ahead = answers.find(({ missed }) => missed === 'present');
  if (ahead === undefined) return;
  const { peer } = ahead;
  near.log.error({ peer }, 'the database of this node is older than what another one has heard from it');
  await inTransaction(near.admin, async (tx) => {
    await sql`UPDATE ledger_node SET state = 'set-back' WHERE state = 'member'`.execute(tx);
    await record(tx, self, { type: 'node.set-back', about: {}, details: { peer } });
  });
}

/**
 * What goes on between nodes by itself: letters are read, what a peer could not be told is told when it answers again,
 * what is in doubt is fetched anew, and a database that was set back is noticed before it changes anything.
 */
import { type Selectable, sql, type Updateable } from 'kysely';
import { type Actor, record } from '../../audit/audit.ts';
import { codeOf, wordsOf } from '../../base/errors.ts';
import { type Db, inTransaction } from '../../db/db.ts';
import type { Tables } from '../../db/tables.ts';
import { pruneBarriers } from './barrier.ts';
import { beginFetching, beginRenewal, endFetching, type Missed, missedBy, namesAt } from './heal.ts';
import { NodeError } from './errors.ts';
import { identityOf } from './identity.ts';
import { type Letter, openLetter, post } from './letters.ts';
import { greet, hear, isCutOff, isNameTaken, keepCard, knowsAll } from './mesh.ts';
import { endAsking } from './asking.ts';
import { askPeer, cardOf, type Neighbourhood, openCard, peerNames, sourceOf, withPeer } from './neighbourhood.ts';
import { endInvitations, isKnownOtherwise, useNextCard } from './own-card.ts';
import { forget } from './parting.ts';
import { publish } from './publication.ts';
import { healingName, isThere, isUnreached, redirect, subscriptionName } from './subscription.ts';

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
      await refuseOld(near, letter);
      await obey(near, name, letter);
      await near.admin.updateTable('node_peer').set({ letter_at: letter.at }).where('name', '=', writer).execute();
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

const worthless = [
  'nodes.letter-refused',
  'nodes.name-taken',
  'nodes.peer-unknown',
  'vault.tampered',
  'vault.key-version-unknown',
];

async function obey(near: Neighbourhood, me: string, letter: Letter): Promise<void> {
  const { kind, from: peer } = letter;
  switch (kind) {
    case 'join': {
      using card = await openCard(near.vault, peer, Buffer.from(letter.card ?? '', 'base64'));
      if (await isNameTaken(near, card)) throw new NodeError('nodes.name-taken', peer);
      const known = (await peerNames(near)).includes(peer);
      await keepCard(near.admin, near.vault, card);
      await near.admin.deleteFrom('node_forgotten').where('name', '=', peer).execute();
      // Whether it answers or not: its card is here, and the rest is done when it does (`tend`).
      await hear(near, me, card);
      if (!known) await record(near.db, self, { type: 'node.peer-joined', about: {}, details: { peer } });
      return;
    }
    case 'renew': {
      using card = await cardOf(near, peer);
      await beginRenewal(near.admin, me, sourceOf(near, card));
      return await record(near.db, self, {
        type: 'node.peer-renewed',
        about: {},
        details: { peer, reason: 'it asked for it' },
      });
    }
    case 'leave':
      if (!(await peerNames(near)).includes(peer)) throw new NodeError('nodes.peer-unknown', peer);
      return forget(near, me, peer, 'it left', self, Math.min(letter.at, near.clock.now()));
    default:
      kind satisfies never;
  }
}

/** Refuses a letter that was read before, and one of a node that was forgotten and has not been invited since. */
async function refuseOld({ db }: Neighbourhood, { kind, from, at, invited = 0 }: Letter): Promise<void> {
  const peer = await db.selectFrom('node_peer').select('letter_at').where('name', '=', from).executeTakeFirst();
  if (peer !== undefined && at <= peer.letter_at)
    throw new NodeError('nodes.letter-refused', `${from} has written a younger one`);
  if (peer !== undefined || kind !== 'join') return;
  const gone = await db.selectFrom('node_forgotten').select('at').where('name', '=', from).executeTakeFirst();
  if (gone !== undefined && invited <= gone.at.getTime())
    throw new NodeError('nodes.letter-refused', `${from} was forgotten, and has not been invited since`);
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
  await endInvitations(near);
  const mayLack = state === 'set-back' || state === 'asking';
  for (const peer of await near.db.selectFrom('node_peer').selectAll().orderBy('name').execute()) {
    signal.throwIfAborted();
    try {
      await makeUp(near, name, { ...peer, doubt: peer.doubt && !mayLack }, signal);
    } catch (error) {
      signal.throwIfAborted();
      const words = `with ${peer.name} something is left to be done: ${wordsOf(error)}`;
      if (!isUnreached(error)) near.log.warn({ peer: peer.name }, words);
    }
  }
  await useNextCard(near);
  if (state === 'member' || state === 'joining') await noticeSetBack(near, signal);
  if (state === 'asking') await endAsking(near, await noticeSetBack(near, signal));
  if (state === 'joining' && (await knowsAll(near, name)))
    await sql`UPDATE ledger_node SET state = 'member' WHERE state = 'joining'`.execute(near.admin);
}

/** Hears the peer if it was not reached yet, fetches what is in doubt, and tells the peer what it could not be told. */
async function makeUp(
  near: Neighbourhood,
  me: string,
  { name: peer, ...todo }: Pick<Selectable<Tables['node_peer']>, 'name' | 'doubt' | 'fetching' | 'renew' | 'greet'>,
  signal: AbortSignal,
): Promise<void> {
  const set = (done: Updateable<Tables['node_peer']>): Promise<unknown> =>
    near.admin.updateTable('node_peer').set(done).where('name', '=', peer).execute();
  using card = await cardOf(near, peer);
  if (!(await isThere(near.admin, subscriptionName(me, peer)))) {
    if (!(await hear(near, me, card))) return;
  } else if (await isCutOff(near, me, card)) await beginRenewal(near.admin, me, sourceOf(near, card));
  if (todo.greet && !(await greet(near, me, card))) return;
  if (todo.doubt) {
    if (!todo.fetching || !(await isThere(near.admin, healingName(me, peer)))) {
      const seen = await withPeer(near, card, (at) => namesAt(at, me));
      if (seen === undefined) return;
      await beginFetching(near.admin, me, sourceOf(near, card), seen);
      await set({ fetching: true });
    }
    if (await hasCome(near, me, peer, signal)) await set({ doubt: false, fetching: false });
  }
  if (todo.renew && (await post(near, card, { kind: 'renew', from: me }))) await set({ renew: false });
}

/** What is copied at once is waited for; everything else is looked at in the next round, because others wait for this one. */
const momentMs = 2_000;
const lookMs = 50;

async function hasCome(
  { admin, clock }: Neighbourhood,
  me: string,
  peer: string,
  signal: AbortSignal,
): Promise<boolean> {
  for (const late = clock.now() + momentMs; ; await clock.sleep(lookMs, signal)) {
    if (await endFetching(admin, me, peer)) return true;
    if (clock.now() >= late) return false;
  }
}

/** What the peer has heard of this node that is not here; and if it does not know our password, it is told again. */
async function look(near: Neighbourhood, peer: string, at: Db): Promise<Missed> {
  const missed = await missedBy(near.db, at);
  if (await isKnownOtherwise(near, at))
    await near.admin.updateTable('node_peer').set({ greet: true }).where('name', '=', peer).execute();
  return missed;
}

/**
 * Asks all peers at once whether they have heard more of this node than it knows. Of its present name: then it changes
 * nothing until it is healed. Of a former one, something was on its way while it was healed: what that peer has is
 * fetched once more. Who has not answered by the signal is passed over. Returns who does not take the password that is
 * known here, unless another one has said enough.
 */
export async function noticeSetBack(near: Neighbourhood, signal: AbortSignal): Promise<readonly string[]> {
  const answers = await Promise.all(
    (await peerNames(near)).map(async (peer) => {
      try {
        using card = await cardOf(near, peer);
        return { peer, missed: await askPeer(near, card, (at) => look(near, peer, at), signal) };
      } catch (error) {
        near.log.warn({ peer }, `${peer} could not be asked what it has heard: ${wordsOf(error)}`);
        return { peer, missed: undefined };
      }
    }),
  );
  for (const { peer, missed } of answers) {
    if (missed !== 'former') continue;
    near.log.info({ peer }, 'another node has heard facts of this one that came too late to be fetched; they are now');
    // While it is being fetched that goes on; what comes even later is found when it has ended.
    await near.admin
      .updateTable('node_peer')
      .set({ doubt: true, fetching: false })
      .where('name', '=', peer)
      .where('doubt', '=', false)
      .execute();
  }
  const ahead = answers.find(({ missed }) => missed === 'present');
  if (ahead === undefined) return answers.flatMap(({ peer, missed }) => (missed === 'shut-out' ? [peer] : []));
  const { peer } = ahead;
  near.log.error({ peer }, 'the database of this node is older than what another one has heard from it');
  await inTransaction(near.admin, async (tx) => {
    const { numAffectedRows } = await sql`UPDATE ledger_node SET state = 'set-back'
      WHERE state IN ('member', 'joining', 'asking')`.execute(tx);
    if (numAffectedRows === 0n) return;
    await record(tx, self, { type: 'node.set-back', about: {}, details: { peer } });
  });
  return [];
}

/**
 * This node among others: the door for whoever manages it, and the work that goes on by itself (`tending.ts`). Where the
 * database is a server of somebody else's, or nobody else can reach it, only the status can be asked.
 */
import { sql } from 'kysely';
import { type Actor, record } from '../../audit/audit.ts';
import type { Clock } from '../../base/clock.ts';
import { wordsOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Secret } from '../../base/secret.ts';
import { type Db, listen, openDatabase } from '../../db/db.ts';
import { peerFiles, type PeerPlace } from '../../db/embedded.ts';
import type { Vault } from '../../vault/vault.ts';
import { NodeError, type NodeErrorCode, type NodeRefusal, turnAway } from './errors.ts';
import { beginAsking } from './asking.ts';
import { heal, type Healed, renew } from './heal.ts';
import { identityOf, setState } from './identity.ts';
import { init, invite, join, type Joined } from './joining.ts';
import { cardOf, type Neighbourhood, ownName, peerNames, sourceOf } from './neighbourhood.ts';
import { forget, leave, type Left } from './parting.ts';
import { acknowledge, putAside, type PutAside } from './quarantine.ts';
import { type NodesStatus, statusOf } from './status.ts';
import { noticeSetBack, readLetters, straighten, tend } from './tending.ts';

/** Set where our own PostgreSQL has a listener for other nodes. */
export interface OwnServer {
  /** The superuser, in our database. */
  readonly adminUrl: string;
  readonly place: PeerPlace;
  /** Where other nodes reach it. */
  readonly host: string;
  readonly port: number;
}

export interface MembershipOptions {
  readonly db: Db;
  /** Of the app role, for LISTEN. */
  readonly url: string;
  readonly vault: Vault;
  readonly log: Log;
  readonly clock: Clock;
  /** Why there is none, otherwise. */
  /** Whether other rooms have sealed anything, which a change of the key ring would close for ever. */
  readonly sealedElsewhere: () => Promise<boolean>;
  readonly server: OwnServer | Extract<NodeErrorCode, 'nodes.no-listener' | 'nodes.own-server'>;
}

type Answer<T> = Promise<T | NodeRefusal>;

/** After `init`, `join` with a new ring, and `heal` every keeper of this database must start again (`node_changed`). */
export interface Membership extends AsyncDisposable {
  init(name: string, actor: Actor): Answer<{ readonly id: string }>;
  /** The invitation as bytes, a secret. */
  invite(actor: Actor): Answer<Secret>;
  join(invitation: Uint8Array, actor: Actor, signal: AbortSignal): Answer<Joined>;
  /** Leaves the others; with `peer` it only forgets that one, which does not come back. */
  leave(peer: string | undefined, actor: Actor): Answer<Left>;
  /** After a return from a backup; with `peer` only what comes from that one is copied anew. */
  heal(
    peer: string | undefined,
    actor: Actor,
    signal: AbortSignal,
  ): Answer<Omit<Healed, 'id'> & { readonly id: string }>;
  status(compare: boolean): Promise<NodesStatus>;
  /** Facts that were put aside and that nobody has looked at yet, or all. */
  putAside(all: boolean): Promise<readonly PutAside[]>;
  /** Says that these were looked at, or all; how many there were. */
  acknowledge(facts: readonly number[] | undefined, actor: Actor): Answer<number>;
  /** One round of what goes on by itself, now. */
  settle(): Promise<void>;
  /** Resolves when what was asked so far is done. */
  idle(): Promise<void>;
}

const lookMs = 15_000;
/** At the start a peer is waited for so long to learn whether this database was set back. */
const firstLookMs = 8_000;

/** Opens it. Before it returns the peers that answer have been asked whether this database was set back. */
export async function openMembership(options: MembershipOptions, signal: AbortSignal): Promise<Membership> {
  const { db, url, log, server } = options;
  if (typeof server === 'string') return onlyStatus(db, server);
  const end = new AbortController();
  const over = AbortSignal.any([signal, end.signal]);
  const admin = await openDatabase(server.adminUrl, { max: 4, applicationName: 'sallyport nodes' }, log);
  const near: Neighbourhood = { ...options, ...server, admin, files: peerFiles(server.place) };
  await straighten(near);
  await firstLook(near, AbortSignal.any([over, AbortSignal.timeout(firstLookMs)]));

  /** One thing after another: what one finds and does with a peer's subscription another could undo meanwhile. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work);
    last = mine.catch(() => {});
    return mine;
  };
  let healing: AbortController | undefined;
  let retired = false;
  const round = (): Promise<void> =>
    inTurn(async () => {
      if (over.aborted || retired) return;
      try {
        await readLetters(near, over);
        await tend(near, over);
      } catch (error) {
        if (!over.aborted) log.warn({}, `between nodes something is left to be done: ${wordsOf(error)}`);
      }
    });
  const wake = (): void => void round();
  const onEvent = (channel: string, payload: string): void => {
    if (channel === 'ledger_quarantine') void alarm(near, payload);
    else wake();
  };
  await listen(url, ['node_knock', 'ledger_quarantine'], { onEvent, onReconnected: wake }, log, over);
  wake();
  const timer = setInterval(wake, lookMs);
  return {
    init: (name, actor) => inTurn(() => init(near, name, actor)),
    invite: async (actor) => ((await identityOf(db)).name === null ? turnAway('nodes.not-named') : invite(near, actor)),
    join: (invitation, actor, caller) =>
      inTurn(async () => {
        if ((await identityOf(db)).name === null) return turnAway('nodes.not-named');
        const joined = await join(near, invitation, actor, caller);
        // Letters are sealed under the ring that the next keeper opens.
        retired ||= 'ring' in joined && joined.ring === 'adopted';
        return joined;
      }),
    leave: async (peer, actor) => {
      // Healing may wait for the very one that is given up.
      if (peer !== undefined) healing?.abort(new NodeError('nodes.interrupted'));
      const left = await inTurn(() => leaveOrForget(near, peer, actor));
      wake();
      return left;
    },
    heal: (peer, actor, caller) =>
      inTurn(async () => {
        healing = new AbortController();
        try {
          return await healOrRenew(near, peer, actor, AbortSignal.any([over, caller, healing.signal]));
        } finally {
          healing = undefined;
        }
      }),
    status: (compare) => statusOf(db, near, compare),
    ...quarantineOf(db),
    settle: round,
    idle: async () => void (await last),
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      end.abort(new Error('membership was closed'));
      await last;
      await admin.destroy();
    },
  };
}

async function firstLook(near: Neighbourhood, signal: AbortSignal): Promise<void> {
  try {
    await beginAsking(near, await noticeSetBack(near, signal));
  } catch (error) {
    near.log.info({}, `not every other node could be asked: ${wordsOf(error)}`);
  }
}

function quarantineOf(db: Db): Pick<Membership, 'putAside' | 'acknowledge'> {
  return { putAside: (all) => putAside(db, all), acknowledge: (facts, actor) => acknowledge(db, facts, actor) };
}

function onlyStatus(db: Db, why: 'nodes.no-listener' | 'nodes.own-server'): Membership {
  const refused = async (): Promise<NodeRefusal> => turnAway(why);
  return {
    init: refused,
    invite: refused,
    join: refused,
    leave: refused,
    heal: refused,
    status: () => statusOf(db, undefined, false),
    ...quarantineOf(db),
    settle: async () => {},
    idle: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

async function leaveOrForget(near: Neighbourhood, peer: string | undefined, actor: Actor): Answer<Left> {
  if ((await identityOf(near.db)).name === null) return turnAway('nodes.not-named');
  if (peer === undefined) return leave(near, actor);
  if (!(await peerNames(near)).includes(peer)) return turnAway('nodes.peer-unknown', peer);
  await forget(near, await ownName(near), peer, 'it was given up', actor);
  return { peers: [peer], untold: [], behind: [] };
}

async function healOrRenew(
  near: Neighbourhood,
  peer: string | undefined,
  actor: Actor,
  signal: AbortSignal,
): Answer<Healed> {
  const { id, name, state } = await identityOf(near.db);
  if (name === null) return turnAway('nodes.not-named');
  const peers = await peerNames(near);
  if (peers.length === 0) return turnAway('nodes.no-peer');
  if (peer !== undefined) {
    if (!peers.includes(peer)) return turnAway('nodes.peer-unknown', peer);
    using card = await cardOf(near, peer);
    await renew(near.admin, name, sourceOf(near, card), near.clock, signal);
    const details = { peer, reason: 'an operator asked for it' };
    await record(near.db, actor, { type: 'node.peer-renewed', about: {}, details });
    return { id, reached: [peer], unreached: [] };
  }
  using cards = new DisposableStack();
  const sources = [];
  for (const each of peers) sources.push(sourceOf(near, cards.use(await cardOf(near, each))));
  await setState(near.admin, 'healing');
  // Written first: should this process end in the middle, the rest is done by whoever comes next.
  await sql`UPDATE node_peer SET renew = true, greet = true, doubt = true, fetching = false`.execute(near.admin);
  const healed = await heal(near.admin, sources, near.clock, signal);
  if (healed === undefined) {
    await setState(near.admin, state);
    return turnAway('nodes.no-peer-answers');
  }
  await near.admin
    .updateTable('node_peer')
    .set({ doubt: false, fetching: false })
    .where('name', 'in', [...healed.reached])
    .execute();
  const details = { node: healed.id, from: healed.reached };
  await record(near.db, actor, { type: 'node.healed', about: {}, details });
  return healed;
}

async function alarm({ db, log }: Neighbourhood, table: string): Promise<void> {
  log.error({ table }, 'a fact of another node was put aside: another fact has its key');
  const event = { type: 'node.quarantined', about: {}, details: { table } } as const;
  await record(db, { kind: 'system', part: 'nodes' }, event).catch(() => {});
}

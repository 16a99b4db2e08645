/**
 * A signed event is judged and, if it holds, becomes wishes for the accounts that it names within its source's reach.
 *
 * INVARIANT: whoever has not signed is told one thing, whatever was wrong: an unknown source, no signature, another one, a
 * message that is too old or was taken before. The reason is in the audit trail. A message is taken once for each source,
 * whatever came of it, and that is decided in the transaction that keeps its wishes: a crash leaves both or neither.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Actor, record } from '../../audit/audit.ts';
import type { GateId } from '../../base/ids.ts';
import { Secret } from '../../base/secret.ts';
import type { Tx } from '../../db/db.ts';
import { accountsOf } from '../../vault/vault.ts';
import { keepWishes } from '../change/wishes.ts';
import type { Context } from '../context.ts';
import { rotationErrors } from '../errors.ts';
import { type KeyedSource, openEventSource } from '../event-sources.ts';
import {
  type Event,
  type EventFault,
  isStale,
  parseEvent,
  parseHeaders,
  type Signed,
  signedBytes,
} from '../plan/event.ts';
import { reaches, speaksOf } from '../plan/reach.ts';
import { commit } from '../points.ts';

/** A message as a gate got it: nothing of it is believed. */
export interface EventMessage {
  readonly source: string;
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: Uint8Array;
  readonly gate: GateId;
  /** The sender's. */
  readonly address: string;
}

export type EventVerdict =
  | { readonly kind: 'accepted'; readonly accounts: number }
  | { readonly kind: 'unauthorized' }
  /** Signed, and yet no event. */
  | { readonly kind: 'invalid'; readonly code: 'rotation.event-invalid'; readonly words: string };

type Reason = 'unknown-source' | 'unsigned' | 'signature' | 'stale' | 'replayed';

/** Numbers of messages are kept for so long after the message itself is stale, for clocks that are set back. */
const keptMs = 3_600_000;

/** Judges one message. Throws where it could not be judged; then it was not taken. */
export async function judgeEvent(context: Context, message: EventMessage): Promise<EventVerdict> {
  using source = await openEventSource(context, message.source);
  // A source that is not there costs the same work.
  using decoy = new Secret(Uint8Array.from(randomBytes(32)));
  const signed = parseHeaders(message);
  const genuine = holds(source?.key ?? decoy, message, signed?.signatures ?? []);
  if (source === undefined) return await turnAway(context, message, 'unknown-source');
  if (signed === undefined) return await turnAway(context, message, 'unsigned');
  if (!genuine) return await turnAway(context, message, 'signature');
  if (isStale(signed.sentAt, context.clock.now())) return await turnAway(context, message, 'stale');
  return (await take(context, message, source, signed)) ?? (await turnAway(context, message, 'replayed'));
}

/** Every signature is compared, each in constant time. */
function holds(key: Secret, message: EventMessage, signatures: readonly string[]): boolean {
  const mac = createHmac('sha256', key.reveal()).update(signedBytes(message, message.body));
  const expected = Buffer.from(mac.digest('base64'));
  let found = false;
  for (const signature of signatures) found = timingSafeEqual(Buffer.from(signature), expected) || found;
  return found;
}

async function turnAway(context: Context, message: EventMessage, reason: Reason): Promise<EventVerdict> {
  const { source, gate, address } = message;
  const actor: Actor = { kind: 'gate', id: gate, address };
  await record(context.db, actor, { type: 'rotation.event.refused', about: { gate }, details: { source, reason } });
  return { kind: 'unauthorized' };
}

/** Undefined if it was taken before. */
async function take(
  context: Context,
  message: EventMessage,
  source: KeyedSource,
  { id, sentAt }: Signed,
): Promise<EventVerdict | undefined> {
  const now = context.clock.now();
  const actor: Actor = { kind: 'event-source', name: message.source, address: message.address };
  return await commit(context, 'wish', async (tx) => {
    if (!(await takeId(tx, source, id, now, Math.max(now, sentAt) + keptMs))) return undefined;
    const event = parseEvent(message.body);
    if ('fault' in event) return await noteInvalid(tx, actor, id, event);
    const accounts = (await accountsOf(tx)).filter(({ name: account, target: { name: target } }) => {
      const named = { account, target };
      return speaksOf(event, named) && reaches(source.reach, named);
    });
    const { reason, ...asked } = event satisfies Event;
    await record(tx, actor, {
      type: 'rotation.event.accepted',
      about: {},
      details: { message: id, reason, ...asked, accounts: accounts.length },
    });
    const wish = { trigger: 'event', reason: `${message.source}: ${reason}` } as const;
    await keepWishes(
      tx,
      accounts.map((account) => account.id),
      wish,
      actor,
      now,
    );
    return { kind: 'accepted', accounts: accounts.length };
  });
}

/** The unique key decides between two that take the same message. False as well if the source has just been removed. */
async function takeId(tx: Tx, { id: source_id }: KeyedSource, message: string, now: number, until: number) {
  const there = await tx
    .updateTable('event_source')
    .set({ last_used_at: new Date(now) })
    .where('id', '=', source_id)
    .executeTakeFirst();
  if (there.numUpdatedRows === 0n) return false;
  await tx.deleteFrom('event_taken').where('expires_at', '<', new Date(now)).execute();
  const { numInsertedOrUpdatedRows: inserted } = await tx
    .insertInto('event_taken')
    .values({ source_id, message, expires_at: new Date(until) })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow();
  return (inserted ?? 0n) > 0n;
}

async function noteInvalid(tx: Tx, actor: Actor, message: string, { fault }: EventFault): Promise<EventVerdict> {
  await record(tx, actor, { type: 'rotation.event.invalid', about: {}, details: { message, reason: fault } });
  const words = `${rotationErrors['rotation.event-invalid'].meaning}: ${fault}`;
  return { kind: 'invalid', code: 'rotation.event-invalid', words };
}

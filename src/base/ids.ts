/**
 * Identifiers. Each kind of id is a type of its own, so that a session's id cannot be passed where an account's is
 * meant. All are UUIDv7 in text form, unique over nodes without asking anybody, and they sort by time; an account's is a
 * UUIDv8 made from its name, so that every node has the same one.
 */
declare const kind: unique symbol;

/** A UUID of one kind. There is no way to make one but `newId` (base/new-id.ts) and `parseId`. */
export type Id<Kind extends string> = string & { readonly [kind]: Kind };

export type AccountId = Id<'account'>;
export type TargetId = Id<'target'>;
export type UserId = Id<'user'>;
export type GroupId = Id<'group'>;
export type GrantId = Id<'grant'>;
export type PolicyId = Id<'policy'>;
export type SessionId = Id<'session'>;
export type RecordingId = Id<'recording'>;
export type HoldId = Id<'hold'>;
export type GateId = Id<'gate'>;
export type ConnectionTokenId = Id<'connection-token'>;
export type EventSourceId = Id<'event-source'>;
/** One generated or entered value of an account's credential, on any node, for ever. */
export type Sigkey = Id<'sigkey'>;

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The id that `text` spells canonically (lower case, UUIDv7 or v8), or undefined. */
export function parseId<I extends Id<string>>(text: string): I | undefined {
  return shape.test(text) ? (text as I) : undefined;
}

/**
 * A signed event, before anything is done about it: its three headers, the bytes that its signature is over, and the words
 * of its body. The signature is as in the Standard Webhooks specification 1.0.0 (HMAC-SHA256, `v1`). Pure: whether the
 * signature holds is for `triggers/event.ts`, which has the key.
 *
 * Refused: a header that could be read in two ways (a full stop in the message's number would move the border between
 * number, time and body), and of the body everything that it was not agreed to hold.
 */
import { concat, utf8 } from '../../base/bytes.ts';

/** Bounds of the three headers and of the body, in characters and bytes. */
export const bounds = { id: 128, timestamp: 16, signature: 1024, body: 16 * 1024 } as const;

/** How far a sender's clock may be from ours, in milliseconds, either way. */
export const toleranceMs = 5 * 60_000;

const mostSignatures = 8;
const signatureShape = /^v1,([A-Za-z0-9+/]{43}=)$/;

export interface Headers {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
}

/** What the headers say, as long as nobody has looked whether it is true. */
export interface Signed {
  readonly id: string;
  /** When it was sent, in milliseconds since 1970 by the sender's clock. */
  readonly sentAt: number;
  /** Signatures of version 1 in base64, 44 characters each, at least one; others are for other readers. */
  readonly signatures: readonly string[];
}

/** The headers of a signed event, or undefined: then there is nothing to check. */
export function parseHeaders({ id, timestamp, signature }: Headers): Signed | undefined {
  if (id.length > bounds.id || !/^[!-\-/-~]+$/.test(id)) return undefined;
  if (!/^(?:0|[1-9]\d{0,11})$/.test(timestamp) || signature.length > bounds.signature) return undefined;
  const parts = signature.split(' ');
  if (parts.length > mostSignatures) return undefined;
  const signatures = parts.flatMap((part) => signatureShape.exec(part)?.[1] ?? []);
  return signatures.length === 0 ? undefined : { id, sentAt: Number(timestamp) * 1000, signatures };
}

/** The bytes that are signed: number, time and body, parted by full stops, as they were sent. */
export function signedBytes({ id, timestamp }: Headers, body: Uint8Array): Uint8Array {
  return concat([utf8(`${id}.${timestamp}.`), body]);
}

/** Whether it is too old, or from too far ahead, to be taken. */
export function isStale(sentAt: number, now: number): boolean {
  return Math.abs(now - sentAt) > toleranceMs;
}

/** What an event asks for: accounts of this name, of this target, or the one account of this name there. */
export interface Event {
  /** For the audit trail and the history. */
  readonly reason: string;
  readonly target?: string;
  readonly account?: string;
}

/** Why a body is none; it repeats nothing that was sent. */
export interface EventFault {
  readonly fault: string;
}

const members = { reason: 512, target: 253, account: 255 } as const;
// What PostgreSQL cannot store, and what would act on a reader's screen.
const acting = /[\p{Cc}\p{Cf}\u2028\u2029]/u;

/** The event of a body (JSON in UTF-8), or what is wrong with it. Ask only after its signature held. */
export function parseEvent(body: Uint8Array): Event | EventFault {
  if (body.length > bounds.body) return { fault: `it is longer than ${bounds.body} bytes` };
  const value = parsed(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { fault: 'it is no JSON object' };
  const given = value as Readonly<Record<string, unknown>>;
  for (const [name, text] of Object.entries(given)) {
    if (!Object.hasOwn(members, name)) return { fault: 'it has a member other than reason, target and account' };
    const most = members[name as keyof typeof members];
    if (typeof text !== 'string' || text === '' || text.length > most)
      return { fault: `${name} is no text of 1 to ${most} characters` };
    if (!text.isWellFormed() || acting.test(text)) return { fault: `${name} has characters that are not allowed` };
  }
  const { reason, target, account } = given as { reason?: string; target?: string; account?: string };
  if (reason === undefined) return { fault: 'reason is missing' };
  if (target === undefined && account === undefined) return { fault: 'target and account are both missing' };
  return {
    reason,
    ...(target === undefined ? {} : { target: target.toLowerCase() }),
    ...(account === undefined ? {} : { account }),
  };
}

/** Undefined where the bytes are no JSON. */
function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    return undefined;
  }
}

/**
 * Looks for secrets where none may be. A canary is a made-up secret that a test gives to the product; afterwards
 * everything the product has written is searched for it: in clear and in each form that programs commonly turn bytes
 * into. A hit tells the place and the form and never repeats the secret. It refuses canaries so short that they would be found by chance.
 */
import { randomBytes } from 'node:crypto';
import { type Form, formsOf, longestForm, unwrapped } from './canary-forms.ts';

export interface Canary {
  /** How hits call it. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Hit {
  readonly canary: string;
  readonly form: string;
  /** A file's path, `name of PATH` for a path itself, or whatever the caller called the bytes. */
  readonly place: string;
  /** Where it begins in the bytes that were searched; behind a decoder, in the decoded bytes. */
  readonly offset: number;
}

/** A canary of 28 characters, with those that JSON, URLs and shells write differently. */
export function drawCanary(name: string): Canary & { readonly text: string } {
  const text = `Cn7 "%é\\${randomBytes(15).toString('base64url')}`;
  return { name, text, bytes: Buffer.from(text) };
}

/** A canary of the caller's own value; at least eight bytes. */
export function canary(name: string, value: string | Uint8Array): Canary {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  if (bytes.length < 8) throw new Error(`canary ${name} has ${bytes.length} bytes, eight are the least`);
  return { name, bytes };
}

/** A search over one stream of bytes, piece by piece; a secret that lies across two pieces is found. */
export interface Search {
  add(piece: Uint8Array): void;
  /** All hits so far, each form of each canary once. */
  hits(): readonly Hit[];
}

interface Pattern extends Form {
  readonly canary: string;
}

/** Everything the search looks for, worked out once for many places. */
export interface Patterns {
  readonly list: readonly Pattern[];
  readonly longest: number;
}

export function patternsOf(canaries: readonly Canary[]): Patterns {
  const list = canaries.flatMap(({ name, bytes }) =>
    formsOf(canary(name, bytes).bytes).map((form) => ({ canary: name, ...form })),
  );
  return { list, longest: longestForm(list) };
}

const zeros = Buffer.alloc(1 << 20);

function allZero(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0) return false;
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const part = bytes.subarray(at, at + zeros.length);
    if (zeros.compare(part, 0, part.length, 0, part.length) !== 0) return false;
  }
  return true;
}

/** Begins to search one place. */
export function searchIn(patterns: Patterns, place: string): Search {
  const found = new Map<string, Hit>();
  let tail: Buffer = Buffer.alloc(0);
  let wrappedTail: Buffer = Buffer.alloc(0);
  let at = 0;

  function look(bytes: Buffer, start: number, wrapped: boolean): void {
    for (const pattern of patterns.list) {
      if (wrapped && !pattern.wraps) continue;
      const form = wrapped ? `${pattern.form}, wrapped` : pattern.form;
      const key = `${pattern.canary}\n${pattern.form}`;
      if (found.has(key)) continue;
      const offset = bytes.indexOf(pattern.bytes);
      if (offset >= 0) found.set(key, { canary: pattern.canary, form, place, offset: start + offset });
    }
  }

  const keep = patterns.longest - 1;
  return {
    add: (whole) => {
      // A long run of zeros (a hole, an unused WAL segment) can hold no more than the end of something at its start.
      const piece = whole.length > keep && allZero(whole) ? whole.subarray(0, keep) : whole;
      const bytes = Buffer.concat([tail, piece]);
      look(bytes, at - tail.length, false);
      // Encoders break lines: the same bytes without white space and line ends. Its offsets are only near.
      const flat = Buffer.concat([wrappedTail, unwrapped(piece)]);
      if (flat.length < wrappedTail.length + piece.length) look(flat, at - wrappedTail.length, true);
      at += whole.length;
      // After a shortened run the tail is zeros whichever part of the run it is cut from.
      tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - keep)));
      wrappedTail = Buffer.from(flat.subarray(Math.max(0, flat.length - keep)));
    },
    hits: () => [...found.values()],
  };
}

/** Searches bytes in memory: an answer of a server, a captured stream, a log in a string. */
export function searchBytes(canaries: readonly Canary[], place: string, bytes: Uint8Array | string): readonly Hit[] {
  const search = searchIn(patternsOf(canaries), place);
  search.add(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
  return search.hits();
}

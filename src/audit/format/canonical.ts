/** Events and heads as bytes that are the same wherever they are computed. Pure; the document is `FORMAT.md`. */
import { concat, utf8 } from '../../base/bytes.ts';

export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [name: string]: Plain };

/** Canonical JSON (RFC 8785): no spaces, names sorted by UTF-16 units, numbers and text as ECMAScript writes them. */
export function canonicalJson(value: Plain): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item: Plain) => canonicalJson(item)).join(',')}]`;
  const record = value as { readonly [name: string]: Plain };
  const names = Object.keys(record).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(record[name] ?? null)}`).join(',')}}`;
}

/** What one row says, without its place in the chain. */
export interface Content {
  readonly at: Date;
  readonly type: string;
  readonly actor: Plain;
  readonly about: Plain;
  readonly details: Plain;
}

/** The bytes of `content` that are hashed. */
export function contentBytes({ at, type, actor, about, details }: Content): Uint8Array {
  return utf8(canonicalJson({ about, actor, at: at.toISOString(), details, type }));
}

const eventDomain = utf8('sallyport audit 1\0');
const headDomain = utf8('sallyport audit head 1\0');

/** What is hashed for row `seq`: domain, seq, the hash before, content. */
export function linkBytes(seq: number, previous: Uint8Array, content: Uint8Array): Uint8Array {
  return concat([eventDomain, uint64(seq), previous, content]);
}

/** What is signed for a head: domain, seq, hash of that row, time in milliseconds. */
export function headBytes(seq: number, hash: Uint8Array, at: Date): Uint8Array {
  return concat([headDomain, uint64(seq), hash, uint64(at.getTime())]);
}

function uint64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** The gate before the trail: only plain values pass, and text from strangers is made storable. */
import { AuditError } from './errors.ts';
import type { Plain } from './format/canonical.ts';

/** Longest text kept, in UTF-16 units; what is longer is cut and ends in `…`. */
const longestText = 4096;
const deepest = 8;
const longestList = 1000;
/** Largest canonical encoding of one event, in bytes. */
export const largestEvent = 256 * 1024;

/**
 * A copy of `value` that JSON can hold and PostgreSQL can store: fields that are undefined are left out, NUL and
 * broken surrogates (names come from strangers) become U+FFFD. Throws `audit.not-plain` for anything else: bytes,
 * secrets, dates, functions, class instances, numbers without a value.
 */
export function plain(value: unknown, depth = 0): Plain {
  if (depth > deepest) throw new AuditError('audit.too-large', 'too deep');
  switch (typeof value) {
    case 'string':
      return storable(value);
    case 'boolean':
      return value;
    case 'number':
      if (!Number.isFinite(value)) throw new AuditError('audit.not-plain', 'a number without a value');
      return value === 0 ? 0 : value;
    case 'object':
      return value === null ? null : plainObject(value, depth);
    case 'bigint':
    case 'symbol':
    case 'undefined':
    case 'function':
      throw new AuditError('audit.not-plain', typeof value);
  }
}

function plainObject(value: object, depth: number): Plain {
  if (Array.isArray(value)) {
    if (value.length > longestList) throw new AuditError('audit.too-large', 'a list');
    return value.map((item) => plain(item, depth + 1));
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw new AuditError('audit.not-plain', value.constructor?.name ?? 'an object');
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.length > longestList) throw new AuditError('audit.too-large', 'a record');
  // Built entry by entry from pairs, so that a name like __proto__ is a name like any other.
  return Object.fromEntries(entries.map(([name, item]) => [storable(name), plain(item, depth + 1)]));
}

function storable(text: string): string {
  const cut = text.length > longestText ? `${text.slice(0, longestText - 1)}…` : text;
  return cut.toWellFormed().replaceAll('\0', '\uFFFD');
}

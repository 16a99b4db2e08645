/**
 * What a directory keeps in `userPassword`: a scheme in braces and what it made of the password (RFC 2307 §5.3, and what
 * OpenLDAP and its modules write). Reading only; nothing is computed here. Pure.
 */
import { text } from '../../../../base/bytes.ts';

export type DigestName = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512';

export type StoredPassword =
  | { readonly kind: 'clear'; readonly value: Uint8Array }
  /** The digest of the password and, behind it, the salt. */
  | { readonly kind: 'digest'; readonly digest: DigestName; readonly value: Uint8Array; readonly salt: Uint8Array }
  | {
      readonly kind: 'pbkdf2';
      readonly digest: DigestName;
      readonly iterations: number;
      readonly salt: Uint8Array;
      readonly value: Uint8Array;
    }
  | {
      readonly kind: 'argon2';
      readonly variant: 'argon2i' | 'argon2id';
      /** KiB. */
      readonly memory: number;
      readonly passes: number;
      readonly lanes: number;
      readonly salt: Uint8Array;
      readonly value: Uint8Array;
    };

const digests: Readonly<
  Record<string, { readonly digest: DigestName; readonly length: number; readonly salted: boolean }>
> = {
  MD5: { digest: 'md5', length: 16, salted: false },
  SMD5: { digest: 'md5', length: 16, salted: true },
  SHA: { digest: 'sha1', length: 20, salted: false },
  SSHA: { digest: 'sha1', length: 20, salted: true },
  SHA256: { digest: 'sha256', length: 32, salted: false },
  SSHA256: { digest: 'sha256', length: 32, salted: true },
  SHA384: { digest: 'sha384', length: 48, salted: false },
  SSHA384: { digest: 'sha384', length: 48, salted: true },
  SHA512: { digest: 'sha512', length: 64, salted: false },
  SSHA512: { digest: 'sha512', length: 64, salted: true },
};

const derivations: Readonly<Record<string, DigestName>> = {
  PBKDF2: 'sha1',
  'PBKDF2-SHA1': 'sha1',
  'PBKDF2-SHA256': 'sha256',
  'PBKDF2-SHA512': 'sha512',
};

/** Work that somebody else's numbers may ask of us. */
const most = { iterations: 10_000_000, memory: 1 << 20, passes: 64, lanes: 16 };

/** Undefined: kept in a form that is not known here, so that only a login can tell. */
export function readStoredPassword(stored: Uint8Array): StoredPassword | undefined {
  const whole = text(stored);
  const [, scheme, rest = ''] = /^\{([A-Za-z0-9-]+)\}([\x20-\x7e]*)$/.exec(whole) ?? [];
  // Without a scheme it is the password itself; with something like one, we do not guess.
  if (scheme === undefined) return whole.startsWith('{') ? undefined : { kind: 'clear', value: stored };
  const name = scheme.toUpperCase();
  if (name === 'CLEARTEXT') return { kind: 'clear', value: stored.subarray(scheme.length + 2) };
  if (Object.hasOwn(digests, name)) return digestOf(digests[name], rest);
  if (Object.hasOwn(derivations, name)) return derivationOf(derivations[name], rest);
  return name === 'ARGON2' ? argon2Of(rest) : undefined;
}

function digestOf(form: (typeof digests)[string] | undefined, rest: string): StoredPassword | undefined {
  const bytes = base64(rest);
  if (form === undefined || bytes === undefined) return undefined;
  const { digest, length, salted } = form;
  if (salted ? bytes.length <= length : bytes.length !== length) return undefined;
  return { kind: 'digest', digest, value: bytes.subarray(0, length), salt: bytes.subarray(length) };
}

/** `iterations$salt$key`, in base64 with a point for the plus. */
function derivationOf(digest: DigestName | undefined, rest: string): StoredPassword | undefined {
  const [, count, inSalt = '', inKey = ''] = /^(\d{1,8})\$([A-Za-z0-9./]+)\$([A-Za-z0-9./]+)$/.exec(rest) ?? [];
  const [salt, value] = [base64(inSalt.replaceAll('.', '+')), base64(inKey.replaceAll('.', '+'))];
  const iterations = Number(count);
  if (digest === undefined || !(iterations >= 1 && iterations <= most.iterations)) return undefined;
  return salt === undefined || value === undefined ? undefined : { kind: 'pbkdf2', digest, iterations, salt, value };
}

/** `$argon2id$v=19$m=65536,t=2,p=1$salt$tag`. */
function argon2Of(rest: string): StoredPassword | undefined {
  const shape = /^\$(argon2id?)\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;
  const [, variant, inMemory, inPasses, inLanes, inSalt = '', inTag = ''] = shape.exec(rest) ?? [];
  const [memory, passes, lanes] = [Number(inMemory), Number(inPasses), Number(inLanes)];
  const [salt, value] = [base64(inSalt), base64(inTag)];
  if (variant !== 'argon2i' && variant !== 'argon2id') return undefined;
  if (salt === undefined || value === undefined || salt.length < 8 || value.length < 4) return undefined;
  const fits = passes >= 1 && passes <= most.passes && lanes >= 1 && lanes <= most.lanes && memory >= 8 * lanes;
  return fits && memory <= most.memory ? { kind: 'argon2', variant, memory, passes, lanes, salt, value } : undefined;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base64 with its padding or without; undefined if it is something else. */
function base64(digits: string): Uint8Array | undefined {
  const bare = digits.replace(/={1,2}$/, '');
  if (bare.length % 4 === 1 || bare.length === 0) return undefined;
  const bytes = new Uint8Array(Math.floor((bare.length * 3) / 4));
  let [held, bits, at] = [0, 0, 0];
  for (const digit of bare) {
    const value = alphabet.indexOf(digit);
    if (value < 0) return undefined;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (held >> bits) & 0xff;
    }
  }
  return bytes;
}

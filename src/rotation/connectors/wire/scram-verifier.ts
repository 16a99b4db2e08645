/**
 * What PostgreSQL stores for a password, as text: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` in base64
 * (RFC 5803 with PostgreSQL's separators), or before version 10 `md5` and 32 hex digits. Pure: the hashing is elsewhere.
 */

export interface ScramVerifier {
  readonly kind: 'scram';
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export type StoredPassword = ScramVerifier | { readonly kind: 'md5'; readonly digits: string };

/** More would be a server that wants our time. */
const mostIterations = 1_000_000;
const shape = /^SCRAM-SHA-256\$([1-9]\d{0,6}):([A-Za-z0-9+/]{4,88}={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/** What is stored, or undefined for what is none of the known forms or not canonical. */
export function parseStored(text: string): StoredPassword | undefined {
  if (/^md5[0-9a-f]{32}$/.test(text)) return { kind: 'md5', digits: text.slice(3) };
  const [, count = '', salt = '', stored = '', server = ''] = shape.exec(text) ?? [];
  const iterations = Number(count);
  if (count === '' || iterations > mostIterations) return undefined;
  const parts = [salt, stored, server].map(fromBase64);
  const [saltBytes, storedKey, serverKey] = parts;
  if (saltBytes === undefined || storedKey === undefined || serverKey === undefined) return undefined;
  return { kind: 'scram', iterations, salt: saltBytes, storedKey, serverKey };
}

export function formatVerifier({ iterations, salt, storedKey, serverKey }: Omit<ScramVerifier, 'kind'>): string {
  return `SCRAM-SHA-256$${iterations}:${toBase64(salt)}$${toBase64(storedKey)}:${toBase64(serverKey)}`;
}

/**
 * Whether servers and clients might put other bytes in the place of this password before they hash it (SASLprep, RFC
 * 4013). Where the preparation fails — a prohibited or unassigned character — PostgreSQL takes the bytes as they are; so
 * it is enough that nothing in it is mapped (RFC 3454 B.1, C.1.2) and that NFKC leaves it alone.
 */
export function isRewritten(password: string): boolean {
  return mapped.test(password) || password.normalize('NFKC') !== password;
}

/** Alternatives and not one class: some of these join with their neighbours. */
const mapped =
  /\u00ad|\u034f|\u1680|\u1806|[\u180b-\u180d]|[\u2000-\u200b]|\u200c|\u200d|\u2060|\u202f|\u205f|\u3000|[\ufe00-\ufe0f]|\ufeff|\u00a0/;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function toBase64(bytes: Uint8Array): string {
  let out = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const group = (a << 16) | (b << 8) | c;
    for (let i = 0; i < 4; i++) out += at + i > bytes.length ? '=' : alphabet[(group >> (18 - 6 * i)) & 63];
  }
  return out;
}

/** Canonical base64 only: what is stored is compared as bytes. */
function fromBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/=+$/, '');
  const out = new Uint8Array(Math.floor((digits.length * 6) / 8));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const digit of digits) {
    held = ((held << 6) | alphabet.indexOf(digit)) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (held >> bits) & 255;
    }
  }
  return toBase64(out) === text ? out : undefined;
}

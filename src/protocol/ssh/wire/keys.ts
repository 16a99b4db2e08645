/**
 * Public key and signature blobs (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8332 §3, RFC 8709 §4). Pure.
 *
 * Three families are known: Ed25519, ECDSA on the NIST curves, RSA. Certificates, security keys and DSA are recognised
 * by name and refused: reading a certificate as if it were a plain key would take its nonce for the key.
 */
import { Reader, type Violation } from './reader.ts';
import { Writer } from './writer.ts';

export type Curve = 'nistp256' | 'nistp384' | 'nistp521';
export type KeyType = 'ssh-ed25519' | `ecdsa-sha2-${Curve}` | 'ssh-rsa';

/** RSA signatures with SHA-1 (`ssh-rsa`) are not an algorithm here, only a key type. */
export type SignatureAlgorithm = Exclude<KeyType, 'ssh-rsa'> | 'rsa-sha2-512' | 'rsa-sha2-256';

/** Integers are magnitudes: big-endian, no sign byte, no leading zeros. */
export type PublicKey =
  | { readonly type: 'ssh-ed25519'; readonly point: Uint8Array }
  | { readonly type: `ecdsa-sha2-${Curve}`; readonly curve: Curve; readonly x: Uint8Array; readonly y: Uint8Array }
  | { readonly type: 'ssh-rsa'; readonly e: Uint8Array; readonly n: Uint8Array; readonly bits: number };

/** Why a blob is not a key for us; `kind` becomes the refusal's code. */
export interface KeyViolation extends Violation {
  readonly kind: 'malformed' | 'certificate' | 'unsupported' | 'weak';
}

const smallestRsaBits = 2048;
/** OpenSSH's own bound; verifying with longer ones is a way to burn our time. */
export const largestRsaBits = 16_384;

/** No key of ours is longer than an RSA key of `largestRsaBits` and its frame. */
export const largestKeyBlob = 2 * (largestRsaBits / 8) + 64;

export const curveBytes: Readonly<Record<Curve, number>> = { nistp256: 32, nistp384: 48, nistp521: 66 };

const algorithmsOfType: Readonly<Record<KeyType, readonly SignatureAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** Signature algorithms that a key of this type can make, best first. */
export function algorithmsOf(type: KeyType): readonly SignatureAlgorithm[] {
  return algorithmsOfType[type];
}

function isKeyType(name: string): name is KeyType {
  return Object.hasOwn(algorithmsOfType, name);
}

/** How many bits a magnitude has. */
function bitLength(magnitude: Uint8Array): number {
  const first = magnitude[0];
  return first === undefined ? 0 : 8 * (magnitude.length - 1) + (32 - Math.clz32(first));
}

/** The kind of key that a type's name speaks of; for words to people and for refusing by name. */
export function classify(name: string): KeyViolation['kind'] | 'known' {
  if (isKeyType(name)) return 'known';
  if (/-cert-v\d+@openssh\.com$/.test(name)) return 'certificate';
  return 'unsupported';
}

/** The public key in a blob, or why it is none of ours. Points are not checked to lie on their curve: `verify` does. */
export function decodePublicKey(blob: Uint8Array): PublicKey | KeyViolation {
  const reader = new Reader(blob);
  const name = reader.text(64);
  if (reader.violation !== undefined) return malformed(reader.violation);
  if (!isKeyType(name)) {
    const kind = classify(name) === 'certificate' ? 'certificate' : 'unsupported';
    const words = kind === 'certificate' ? 'an OpenSSH certificate' : 'a key type that is not supported';
    return { kind, violation: `${JSON.stringify(name)} is ${words}` };
  }
  switch (name) {
    case 'ssh-ed25519':
      return decodeEd25519(reader);
    case 'ssh-rsa':
      return decodeRsa(reader);
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return decodeEcdsa(reader, name);
  }
}

// string "ssh-ed25519" · string point (32)
function decodeEd25519(reader: Reader): PublicKey | KeyViolation {
  const point = reader.string(32);
  if (reader.violation === undefined && point.length !== 32) reader.fail('Ed25519 point is not 32 bytes');
  reader.end();
  return reader.violation === undefined ? { type: 'ssh-ed25519', point } : malformed(reader.violation);
}

// string "ecdsa-sha2-<curve>" · string curve · string Q: 0x04, x, y
function decodeEcdsa(reader: Reader, type: `ecdsa-sha2-${Curve}`): PublicKey | KeyViolation {
  const curve = type.slice('ecdsa-sha2-'.length) as Curve;
  const size = curveBytes[curve];
  if (reader.text(32) !== curve) reader.fail('curve differs from the key type');
  const q = reader.string(1 + 2 * size);
  if (q.length !== 1 + 2 * size || q[0] !== 4) reader.fail('point is not in uncompressed form');
  reader.end();
  if (reader.violation !== undefined) return malformed(reader.violation);
  return { type, curve, x: q.subarray(1, 1 + size), y: q.subarray(1 + size) };
}

// string "ssh-rsa" · mpint e · mpint n
function decodeRsa(reader: Reader): PublicKey | KeyViolation {
  const e = reader.mpint(8);
  const n = reader.mpint(largestRsaBits / 8);
  reader.end();
  if (reader.violation !== undefined) return malformed(reader.violation);
  const bits = bitLength(n);
  if (bits < smallestRsaBits) return { kind: 'weak', violation: `RSA key of ${bits} bits, ${smallestRsaBits} needed` };
  const odd = ((e.at(-1) ?? 0) & (n.at(-1) ?? 0) & 1) === 1;
  if (!odd || bitLength(e) < 2) return malformed('RSA exponent or modulus is impossible');
  return { type: 'ssh-rsa', e, n, bits };
}

function malformed(violation: string): KeyViolation {
  return { kind: 'malformed', violation };
}

/** The blob of a public key, as it stands base64-coded in `authorized_keys`. */
export function encodePublicKey(key: PublicKey): Uint8Array {
  const writer = new Writer().text(key.type);
  switch (key.type) {
    case 'ssh-ed25519':
      return writer.string(key.point).finish();
    case 'ssh-rsa':
      return writer.mpint(key.e).mpint(key.n).finish();
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521': {
      const q = new Uint8Array(1 + key.x.length + key.y.length);
      q[0] = 4;
      q.set(key.x, 1);
      q.set(key.y, 1 + key.x.length);
      return writer.text(key.curve).string(q).finish();
    }
  }
}

/**
 * The raw signature inside a signature blob, in the form that verifiers take: 64 bytes for Ed25519, r and s side by
 * side for ECDSA (IEEE P1363), exactly the modulus' length for RSA. The blob must name `algorithm` itself.
 */
export function decodeSignature(key: PublicKey, algorithm: string, blob: Uint8Array): Uint8Array | Violation {
  const reader = new Reader(blob);
  if (reader.text(64) !== algorithm) return { violation: 'the signature names another algorithm' };
  if (!algorithmsOf(key.type).some((known) => known === algorithm))
    return { violation: 'the key cannot make such a signature' };
  const body = reader.string(largestRsaBits / 8);
  reader.end();
  if (reader.violation !== undefined) return { violation: reader.violation };
  if (key.type === 'ssh-ed25519') return body.length === 64 ? body : { violation: 'Ed25519 signature is not 64 bytes' };
  // RFC 8332 §3: as long as the modulus. Some signers drop leading zeros, and OpenSSH pads for them.
  if (key.type === 'ssh-rsa') return padded([body], Math.ceil(key.bits / 8));
  const inner = new Reader(body);
  const r = inner.mpint(curveBytes[key.curve]);
  const s = inner.mpint(curveBytes[key.curve]);
  inner.end();
  return inner.violation === undefined ? padded([r, s], curveBytes[key.curve]) : { violation: inner.violation };
}

/** The signature blob around a raw signature in the form that `decodeSignature` returns. */
export function encodeSignature(algorithm: SignatureAlgorithm, raw: Uint8Array): Uint8Array {
  const writer = new Writer(raw.length + 64).text(algorithm);
  if (!algorithm.startsWith('ecdsa-')) return writer.string(raw).finish();
  const half = raw.length / 2;
  const inner = new Writer(raw.length + 16).mpint(raw.subarray(0, half)).mpint(raw.subarray(half)).finish();
  return writer.string(inner).finish();
}

/** Numbers side by side, each filled up with leading zeros to `size`. */
function padded(numbers: readonly Uint8Array[], size: number): Uint8Array | Violation {
  const out = new Uint8Array(size * numbers.length);
  for (const [index, number] of numbers.entries()) {
    if (number.length > size) return { violation: 'signature longer than its key allows' };
    out.set(number, size * (index + 1) - number.length);
  }
  return out;
}

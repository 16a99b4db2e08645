/**
 * Ed25519 (RFC 8032 §5.1) with a secret of any length, as MariaDB's `ed25519` plugin takes a password for the secret:
 * its verifier is the public key, its login a signature. Node's own Ed25519 takes 32 bytes only. Numbers here are not
 * handled in constant time: it belongs into a process that serves one login. Pure: the hash is handed in.
 */
import { concat } from '../../../base/bytes.ts';

export type Sha512 = (bytes: Uint8Array) => Uint8Array;

const p = 2n ** 255n - 19n;
/** The order of the base point. */
const order = 2n ** 252n + 27742317777372353535851937790883648493n;
const d = mod(-121665n * inverse(121666n));

/** In extended coordinates (RFC 8032 §5.1.4). */
interface Point {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
  readonly t: bigint;
}

const zero: Point = { x: 0n, y: 1n, z: 1n, t: 0n };
const base: Point = point(
  15112221349535400772501151409588531511454012693041857206046113283949847762202n,
  46316835694926478169428394003475163141307993866256225615783033603165251855960n,
);

export function publicKeyOf(secret: Uint8Array, sha512: Sha512): Uint8Array {
  return encode(times(base, scalarOf(sha512(secret))));
}

/** 64 bytes. */
export function sign(secret: Uint8Array, message: Uint8Array, sha512: Sha512): Uint8Array {
  const hash = sha512(secret);
  const scalar = scalarOf(hash);
  const key = encode(times(base, scalar));
  const nonce = number(sha512(concat([hash.subarray(32), message]))) % order;
  const commitment = encode(times(base, nonce));
  const challenge = number(sha512(concat([commitment, key, message]))) % order;
  return concat([commitment, bytesOf((nonce + challenge * scalar) % order)]);
}

function scalarOf(hash: Uint8Array): bigint {
  const half = hash.slice(0, 32);
  half[0] = (half[0] ?? 0) & 248;
  half[31] = ((half[31] ?? 0) & 127) | 64;
  return number(half);
}

function point(x: bigint, y: bigint): Point {
  return { x, y, z: 1n, t: mod(x * y) };
}

function times(start: Point, scalar: bigint): Point {
  let sum = zero;
  let doubled = start;
  for (let left = scalar; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) sum = add(sum, doubled);
    doubled = add(doubled, doubled);
  }
  return sum;
}

function add(one: Point, other: Point): Point {
  const a = mod((one.y - one.x) * (other.y - other.x));
  const b = mod((one.y + one.x) * (other.y + other.x));
  const c = mod(2n * one.t * d * other.t);
  const e = b - a;
  const f = 2n * one.z * other.z - c;
  const g = 2n * one.z * other.z + c;
  const h = b + a;
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function encode({ x, y, z }: Point): Uint8Array {
  const scale = inverse(z);
  const out = bytesOf(mod(y * scale));
  out[31] = (out[31] ?? 0) | Number((mod(x * scale) & 1n) << 7n);
  return out;
}

/** By Fermat: the exponent is p - 2. */
function inverse(value: bigint): bigint {
  let result = 1n;
  let square = mod(value);
  for (let left = p - 2n; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

function mod(value: bigint): bigint {
  const rest = value % p;
  return rest < 0n ? rest + p : rest;
}

/** Little-endian, as everything in Ed25519. */
function number(bytes: Uint8Array): bigint {
  return bytes.reduceRight((all, byte) => (all << 8n) | BigInt(byte), 0n);
}

function bytesOf(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, at) => Number((value >> BigInt(8 * at)) & 255n));
}

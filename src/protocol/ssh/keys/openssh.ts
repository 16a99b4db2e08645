/**
 * The container openssh-key-v1 (OpenSSH's PROTOCOL.key): public key in the clear, private part optionally encrypted with
 * a key from bcrypt_pbkdf. One key a file, as OpenSSH itself demands.
 *
 *   "openssh-key-v1\0" · string cipher · string kdf · string kdfoptions (string salt, uint32 rounds)
 *   uint32 1 · string public key · string private part
 *   private part: uint32 check, twice the same · string type · fields · string comment · padding 1, 2, 3…
 */
import { createDecipheriv, createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { refuse } from '../../../base/errors.ts';
import type { Secret } from '../../../base/secret.ts';
import {
  classify,
  type Curve,
  curveBytes,
  encodePublicKey,
  largestKeyBlob,
  largestRsaBits,
  type PublicKey,
} from '../wire/keys.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import { bcryptPbkdf } from './bcrypt.ts';
import { der, derElements, derInteger, tag } from './der.ts';
import type { PrivateKeyRefusal } from './private.ts';

const magic = Buffer.from('openssh-key-v1\0', 'latin1');
const longestPart = 32_768;
/** `ssh-keygen -a` goes higher, at some thirty milliseconds a round; beyond this the key is a way to burn our time. */
const mostRounds = 256;

const ciphers: Readonly<Record<string, { readonly name: string; readonly key: number }>> = {
  'aes128-ctr': { name: 'aes-128-ctr', key: 16 },
  'aes192-ctr': { name: 'aes-192-ctr', key: 24 },
  'aes256-ctr': { name: 'aes-256-ctr', key: 32 },
  'aes128-cbc': { name: 'aes-128-cbc', key: 16 },
  'aes192-cbc': { name: 'aes-192-cbc', key: 24 },
  'aes256-cbc': { name: 'aes-256-cbc', key: 32 },
};

const oidOf: Readonly<Record<Curve, Uint8Array>> = {
  nistp256: Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07),
  nistp384: Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x22),
  nistp521: Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x23),
};
/** PKCS#8 of an Ed25519 seed, up to the seed (RFC 8410 §7). */
const ed25519Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

export interface DecodedKey {
  readonly key: KeyObject;
  /** As the container states it in the clear: whether it belongs to `key` is for the caller to check. */
  readonly publicKey: Uint8Array;
  readonly comment: string;
}

/** The key in the bytes between the armour lines. */
export async function decodeOpenSsh(
  bytes: Uint8Array,
  passphrase: Secret | undefined,
  signal: AbortSignal,
): Promise<DecodedKey | PrivateKeyRefusal> {
  const reader = new Reader(bytes);
  if (!magic.equals(reader.raw(magic.length))) reader.fail('not openssh-key-v1');
  const cipher = reader.text(64);
  const kdf = reader.text(64);
  const options = reader.string(256);
  if (reader.u32() !== 1) reader.fail('a file holds one key');
  const publicKey = reader.string(largestKeyBlob).slice();
  const sealed = reader.string(longestPart);
  if (reader.violation !== undefined) return refuse('ssh.key-malformed', reader.violation);
  if (cipher === 'none' && kdf === 'none') return decodePart(sealed, publicKey, false);
  const known = ciphers[cipher];
  if (known === undefined || kdf !== 'bcrypt') return refuse('ssh.key-unsupported', 'cipher of the private key file');
  // aes256-gcm and chacha20 carry a tag behind the part; the ciphers above carry nothing.
  if (reader.remaining > 0 || sealed.length % 16 !== 0) return refuse('ssh.key-malformed', 'private part');
  if (passphrase === undefined) return refuse('ssh.key-encrypted', 'openssh-key-v1');
  const opened = await open(sealed, known, options, passphrase, signal);
  if ('refused' in opened) return opened;
  try {
    return decodePart(opened, publicKey, true);
  } finally {
    opened.fill(0);
  }
}

async function open(
  sealed: Uint8Array,
  cipher: { readonly name: string; readonly key: number },
  options: Uint8Array,
  passphrase: Secret,
  signal: AbortSignal,
): Promise<Uint8Array | PrivateKeyRefusal> {
  const reader = new Reader(options);
  const salt = reader.string(128);
  const rounds = reader.u32();
  reader.end();
  if (reader.violation !== undefined || salt.length === 0 || rounds === 0)
    return refuse('ssh.key-malformed', 'kdf options');
  if (rounds > mostRounds) return refuse('ssh.key-unsupported', `${rounds} rounds of bcrypt, ${mostRounds} allowed`);
  const derived = await bcryptPbkdf(passphrase.reveal(), salt, rounds, cipher.key + 16, signal);
  const decipher = createDecipheriv(cipher.name, derived.subarray(0, cipher.key), derived.subarray(cipher.key));
  decipher.setAutoPadding?.(false);
  const opened = Buffer.concat([decipher.update(sealed), decipher.final()]);
  derived.fill(0);
  return opened;
}

function decodePart(part: Uint8Array, publicKey: Uint8Array, encrypted: boolean): DecodedKey | PrivateKeyRefusal {
  const reader = new Reader(part);
  // The same number twice: what tells a wrong passphrase from a right one.
  if (reader.u32() !== reader.u32())
    return encrypted ? refuse('ssh.key-passphrase', 'openssh-key-v1') : refuse('ssh.key-malformed', 'check numbers');
  const type = reader.text(64);
  const kind = classify(type);
  if (reader.violation === undefined && kind !== 'known')
    return refuse(`ssh.key-${kind}`, `private key of type ${JSON.stringify(type)}`);
  const material = readFields(reader, type);
  const comment = Buffer.from(reader.string(1024)).toString('utf8');
  for (let i = 1; reader.remaining > 0; i++) if (reader.u8() !== (i & 0xff)) reader.fail('padding');
  try {
    if (reader.violation !== undefined || material === undefined)
      return refuse('ssh.key-malformed', reader.violation ?? 'private fields');
    const input = { key: Buffer.from(material.der), format: 'der', type: material.form } as const;
    const key = createPrivateKey(input);
    input.key.fill(0);
    return { key, publicKey, comment };
  } catch {
    return refuse('ssh.key-malformed', 'the numbers make no key');
  } finally {
    material?.der.fill(0);
  }
}

function readFields(reader: Reader, type: string): { der: Uint8Array; form: 'pkcs8' | 'sec1' | 'pkcs1' } | undefined {
  if (type === 'ssh-ed25519') {
    reader.string(32);
    const pair = reader.string(64);
    return { der: Buffer.concat([ed25519Prefix, pair.subarray(0, 32)]), form: 'pkcs8' };
  }
  if (type === 'ssh-rsa') {
    const max = largestRsaBits / 8;
    const [n, e, d, qi, p, q] = [0, 1, 2, 3, 4, 5].map(() => reader.mpint(max)) as [Uint8Array, ...Uint8Array[]];
    if (d === undefined || !p?.length || !q?.length || !e || !qi) return undefined;
    const parts = [Uint8Array.of(0), n, e, d, p, q, remainder(d, p), remainder(d, q), qi];
    return { der: der(tag.sequence, ...parts.map(derInteger)), form: 'pkcs1' };
  }
  const curve = reader.text(32);
  reader.string(1 + 2 * curveBytes.nistp521);
  const d = reader.mpint(curveBytes.nistp521);
  if (!Object.hasOwn(oidOf, curve) || type !== `ecdsa-sha2-${curve}`) return undefined;
  const size = curveBytes[curve as Curve];
  if (d.length > size) return undefined;
  const fixed = new Uint8Array(size);
  fixed.set(d, size - d.length);
  // Without the optional public point, so that OpenSSL computes it and the caller can compare.
  const params = der(tag.context0, der(tag.oid, oidOf[curve as Curve]));
  return {
    der: der(tag.sequence, derInteger(Uint8Array.of(1)), der(tag.octets, fixed), params),
    form: 'sec1',
  };
}

/** d mod (prime − 1): PKCS#1 wants it and openssh-key-v1 leaves it out. A bigint cannot be zeroed; it is short-lived. */
function remainder(d: Uint8Array, prime: Uint8Array): Uint8Array {
  const big = (bytes: Uint8Array): bigint => BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);
  const modulus = big(prime) - 1n;
  if (modulus <= 0n) return Uint8Array.of(0);
  const digits = (big(d) % modulus).toString(16);
  return Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
}

/** The whole file with its armour, unencrypted, in 70 columns as ssh-keygen writes it. The caller owns the bytes. */
export function encodeOpenSsh(key: KeyObject, parsed: PublicKey, blob: Uint8Array, comment: string): Uint8Array {
  const check = randomBytes(4).readUInt32BE();
  const part = new Writer(4096).u32(check).u32(check);
  writeFields(part, key, parsed);
  part.text(comment);
  for (let i = 1; part.length % 8 !== 0; i++) part.u8(i);
  const inner = part.finish();
  const outer = new Writer(8192).raw(magic).text('none').text('none').text('').u32(1).string(blob).string(inner);
  const bytes = outer.finish();
  const code = Buffer.alloc(4 * Math.ceil(bytes.length / 3));
  // Base64 by way of latin1 lines: node has no encoder into bytes, so the text lives as strings for a moment.
  code.write(Buffer.from(bytes).toString('base64'), 'latin1');
  const lines: Uint8Array[] = [Buffer.from('-----BEGIN OPENSSH PRIVATE KEY-----\n')];
  for (let at = 0; at < code.length; at += 70) lines.push(code.subarray(at, at + 70), Buffer.from('\n'));
  lines.push(Buffer.from('-----END OPENSSH PRIVATE KEY-----\n'));
  const file = Buffer.concat(lines);
  const whole = new Uint8Array(file);
  for (const used of [inner, bytes, code, file]) used.fill(0);
  return whole;
}

function writeFields(part: Writer, key: KeyObject, parsed: PublicKey): void {
  if (parsed.type === 'ssh-ed25519') {
    const exported = key.export({ format: 'der', type: 'pkcs8' });
    const seed = exported.subarray(ed25519Prefix.length, ed25519Prefix.length + 32);
    part.text(parsed.type).string(parsed.point).u32(64).raw(seed).raw(parsed.point);
    exported.fill(0);
  } else if (parsed.type === 'ssh-rsa') {
    const exported = key.export({ format: 'der', type: 'pkcs1' });
    const [, n, e, d, p, q, , , qi] = derElements(derElements(exported)[0] ?? exported);
    for (const number of [n, e, d, qi, p, q]) {
      if (number === undefined) throw new TypeError('RSA key without its primes');
    }
    part.text(parsed.type);
    for (const number of [n, e, d, qi, p, q]) part.mpint(number ?? new Uint8Array(0));
    exported.fill(0);
  } else {
    const exported = key.export({ format: 'der', type: 'sec1' });
    const d = derElements(derElements(exported)[0] ?? exported)[1];
    if (d === undefined) throw new TypeError('EC key without its number');
    // The public blob is type, curve, point: exactly the fields that come first here.
    part.raw(encodePublicKey(parsed)).mpint(d);
    exported.fill(0);
  }
}

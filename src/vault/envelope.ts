/**
 * The sealed envelope (FORMAT.md): AES-256-GCM under a random data key, the data key wrapped under a key of the ring.
 * Both are bound to the place where they stand, so a value moved to another row, table or kind does not open.
 * Opening fails with `vault.tampered` and nothing else; there is no partial result.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { concat, utf8 } from '../base/bytes.ts';
import { Secret } from '../base/secret.ts';
import { VaultError } from './errors.ts';

/** Where a sealed value stands. What a field does not apply to is the empty string. */
export interface Place {
  readonly table: string;
  /** The row: a sigkey, a key's name, a recording's id, a context. */
  readonly row: string;
  readonly account: string;
  readonly kind: string;
}

/** One key of the ring, with the version under which it is filed. */
export interface VersionedKey {
  readonly version: number;
  readonly key: Secret;
}

const format = 1;
const ivLength = 12;
const tagLength = 16;
const keyLength = 32;
/** Bytes that sealing adds: format, IV, tag. */
export const sealOverhead = 1 + ivLength + tagLength;
export const wrappedLength = keyLength + sealOverhead;

/** 32 random bytes. A view, because `slice` of a Buffer is no copy, and no second copy that nobody zeroes. */
export function randomKey(): Secret {
  const { buffer, byteOffset, length } = randomBytes(keyLength);
  return new Secret(new Uint8Array(buffer, byteOffset, length));
}

/** The canonical encoding of a list of texts: the count, then each one's length and UTF-8, all lengths 32 bits. */
export function canonical(texts: readonly string[]): Uint8Array {
  const parts = [uint32(texts.length)];
  for (const text of texts) {
    const bytes = utf8(text);
    parts.push(uint32(bytes.length), bytes);
  }
  return concat(parts);
}

function valueAad(place: Place): Uint8Array {
  return canonical(['v1', place.table, place.row, place.account, place.kind, '1']);
}

function wrapAad(version: number, place: Place): Uint8Array {
  return canonical(['wrap-v1', String(version), place.table, place.row, place.account, place.kind, '1']);
}

/** format ‖ IV ‖ ciphertext ‖ tag, with a fresh IV. */
export function sealUnder(key: Secret, aad: Uint8Array, plain: Uint8Array): Uint8Array {
  const iv = randomBytes(ivLength);
  const cipher = createCipheriv('aes-256-gcm', key.reveal(), iv, { authTagLength: tagLength });
  cipher.setAAD(aad);
  return concat([Uint8Array.of(format), iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** The bytes that `sealUnder` sealed with the same key and AAD. Throws `vault.tampered`. */
export function openUnder(key: Secret, aad: Uint8Array, sealed: Uint8Array): Secret {
  if (sealed.length < sealOverhead || sealed[0] !== format)
    throw new VaultError('vault.tampered', 'not a sealed value');
  const decipher = createDecipheriv('aes-256-gcm', key.reveal(), sealed.subarray(1, 1 + ivLength), {
    authTagLength: tagLength,
  });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - tagLength));
  const plain = decipher.update(sealed.subarray(1 + ivLength, sealed.length - tagLength));
  try {
    decipher.final();
  } catch {
    plain.fill(0);
    throw new VaultError('vault.tampered', 'its authentication tag does not fit');
  }
  return new Secret(new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength));
}

/** A value and its wrapped data key, for tables that keep the two apart. */
export interface Envelope {
  readonly sealed: Uint8Array;
  readonly wrapped: Uint8Array;
}

/** Seals under a fresh data key. */
export function seal(kek: VersionedKey, place: Place, plain: Uint8Array): Envelope {
  using dek = randomKey();
  return {
    sealed: sealUnder(dek, valueAad(place), plain),
    wrapped: sealUnder(kek.key, wrapAad(kek.version, place), dek.reveal()),
  };
}

/** Opens what `seal` made for the same place and key version. Throws `vault.tampered`. */
export function open(kek: VersionedKey, place: Place, envelope: Envelope): Secret {
  if (envelope.wrapped.length !== wrappedLength) throw new VaultError('vault.tampered', 'not a wrapped data key');
  using dek = openUnder(kek.key, wrapAad(kek.version, place), envelope.wrapped);
  return openUnder(dek, valueAad(place), envelope.sealed);
}

/** One byte string that carries all it needs: format ‖ key version ‖ wrapped data key ‖ sealed value. */
export function sealWhole(kek: VersionedKey, place: Place, plain: Uint8Array): Uint8Array {
  const { sealed, wrapped } = seal(kek, place, plain);
  return concat([Uint8Array.of(format), uint32(kek.version), wrapped, sealed]);
}

/** Opens what `sealWhole` made; `keyOf` finds the key of a version. Throws `vault.tampered`. */
export function openWhole(keyOf: (version: number) => VersionedKey, place: Place, whole: Uint8Array): Secret {
  const head = 1 + 4;
  if (whole.length < head + wrappedLength + sealOverhead || whole[0] !== format)
    throw new VaultError('vault.tampered', 'not a sealed value');
  const version = new DataView(whole.buffer, whole.byteOffset, whole.byteLength).getUint32(1);
  return open(keyOf(version), place, {
    wrapped: whole.subarray(head, head + wrappedLength),
    sealed: whole.subarray(head + wrappedLength),
  });
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

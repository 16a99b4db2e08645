/**
 * Packet protection: one `Sealer` for what leaves, one `Opener` for what comes, each with one key. A key is a KeyObject
 * of node:crypto, never raw bytes: importing the key for each packet would cost three times the encryption itself.
 *
 * AES-GCM is RFC 5647 as OpenSSH has it (`@openssh.com`), AES-CTR is RFC 4344 with encrypt-then-MAC (OpenSSH PROTOCOL §1.2) or,
 * for clients and targets that know nothing else, encrypt-and-MAC (RFC 4253 §6.4).
 */
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { chachaOpener, chachaSealer } from './chacha.ts';

interface Protection {
  /** Packets fill blocks of so many bytes. */
  readonly block: number;
  /** Whether packet_length itself counts into the blocks: before the first keys, and with encrypt-and-MAC. */
  readonly lengthInBlocks: boolean;
  /** Bytes after the packet: MAC or tag. */
  readonly tag: number;
}

export interface Sealer extends Protection {
  /**
   * Writes a protected packet at `at`: packet_length, body, tag; `4 + body.length + tag` bytes. `body` is
   * padding_length, payload and padding; it may be overwritten afterwards.
   */
  seal(body: Uint8Array, sequence: number, out: Uint8Array, at: number): void;
}

export interface Opener extends Protection {
  /** packet_length of the packet at `at`, of which only 4 bytes need be there. Asked once a packet; not authenticated yet. */
  length(bytes: Uint8Array, at: number, sequence: number): number;
  /** The body (padding_length, payload, padding) of the whole packet at `at`, or undefined if its tag is wrong. */
  open(bytes: Uint8Array, at: number, length: number, sequence: number): Uint8Array | undefined;
}

/** Lengths of what key derivation must deliver for a cipher and a MAC. */
export interface KeySizes {
  readonly key: number;
  readonly iv: number;
  readonly mac: number;
}

export interface KeyMaterial {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly mac: Uint8Array;
}

/** Whether the cipher authenticates itself, so that no MAC is agreed on. */
export function isAead(cipher: string): boolean {
  return cipher.endsWith('-gcm@openssh.com') || cipher.startsWith('chacha20-poly1305');
}

export function keySizes(cipher: string, mac: string): KeySizes {
  if (cipher.startsWith('chacha20')) return { key: 64, iv: 0, mac: 0 };
  const key = Number(/^aes(\d+)/.exec(cipher)?.[1]) / 8;
  return isAead(cipher) ? { key, iv: 12, mac: 0 } : { key, iv: 16, mac: digestSize(mac) };
}

/** The material is copied into KeyObjects; the caller zeroes its own. */
export function makeSealer(cipher: string, mac: string, { key, iv, mac: macKey }: KeyMaterial): Sealer {
  if (cipher.startsWith('chacha20')) return chachaSealer(key);
  const bits = key.length * 8;
  return isAead(cipher)
    ? gcmSealer(bits, createSecretKey(key), iv)
    : (isEtm(mac) ? etmSealer : eamSealer)(bits, createSecretKey(key), iv, digestOf(mac), createSecretKey(macKey));
}

export function makeOpener(cipher: string, mac: string, { key, iv, mac: macKey }: KeyMaterial): Opener {
  if (cipher.startsWith('chacha20')) return chachaOpener(key);
  const bits = key.length * 8;
  return isAead(cipher)
    ? gcmOpener(bits, createSecretKey(key), iv)
    : (isEtm(mac) ? etmOpener : eamOpener)(bits, createSecretKey(key), iv, digestOf(mac), createSecretKey(macKey));
}

/** Before the first NEWKEYS: no protection at all. */
export const plainSealer: Sealer = {
  block: 8,
  lengthInBlocks: true,
  tag: 0,
  seal(body, _sequence, out, at) {
    writeU32(out, at, body.length);
    out.set(body, at + 4);
  },
};

export const plainOpener: Opener = {
  block: 8,
  lengthInBlocks: true,
  tag: 0,
  length: readU32,
  open: (bytes, at, length) => bytes.subarray(at + 4, at + 4 + length),
};

/** RFC 5647 §7.1: 4 fixed bytes, then a counter of 64 bits that goes up by one for each packet. */
function gcmNonce(iv: Uint8Array): { readonly bytes: Uint8Array; next(): void } {
  const bytes = new Uint8Array(iv);
  return {
    bytes,
    next() {
      for (let i = 11; i >= 4; i--) {
        const byte = ((bytes[i] as number) + 1) & 0xff;
        bytes[i] = byte;
        if (byte !== 0) return;
      }
    },
  };
}

function gcmSealer(bits: number, key: KeyObject, iv: Uint8Array): Sealer {
  const name = `aes-${bits}-gcm` as 'aes-128-gcm';
  const nonce = gcmNonce(iv);
  return {
    block: 16,
    lengthInBlocks: false,
    tag: 16,
    seal(body, _sequence, out, at) {
      writeU32(out, at, body.length);
      const cipher: CipherGCM = createCipheriv(name, key, nonce.bytes);
      cipher.setAAD(out.subarray(at, at + 4));
      out.set(cipher.update(body), at + 4);
      cipher.final();
      out.set(cipher.getAuthTag(), at + 4 + body.length);
      nonce.next();
    },
  };
}

function gcmOpener(bits: number, key: KeyObject, iv: Uint8Array): Opener {
  const name = `aes-${bits}-gcm` as 'aes-128-gcm';
  const nonce = gcmNonce(iv);
  return {
    block: 16,
    lengthInBlocks: false,
    tag: 16,
    length: readU32,
    open(bytes, at, length) {
      const end = at + 4 + length;
      const decipher = createDecipheriv(name, key, nonce.bytes, { authTagLength: 16 });
      decipher.setAAD(bytes.subarray(at, at + 4));
      decipher.setAuthTag(bytes.subarray(end, end + 16));
      const body = decipher.update(bytes.subarray(at + 4, end));
      try {
        decipher.final();
      } catch {
        return undefined;
      }
      nonce.next();
      return body;
    },
  };
}

function etmSealer(bits: number, key: KeyObject, iv: Uint8Array, digest: string, macKey: KeyObject): Sealer {
  const cipher = createCipheriv(`aes-${bits}-ctr`, key, iv);
  return {
    block: 16,
    lengthInBlocks: false,
    tag: digest === 'sha256' ? 32 : 64,
    seal(body, sequence, out, at) {
      writeU32(out, at, body.length);
      out.set(cipher.update(body), at + 4);
      const end = at + 4 + body.length;
      const mac = createHmac(digest, macKey).update(u32(sequence)).update(out.subarray(at, end));
      out.set(mac.digest(), end);
    },
  };
}

function etmOpener(bits: number, key: KeyObject, iv: Uint8Array, digest: string, macKey: KeyObject): Opener {
  const decipher = createDecipheriv(`aes-${bits}-ctr`, key, iv);
  const tag = digest === 'sha256' ? 32 : 64;
  return {
    block: 16,
    lengthInBlocks: false,
    tag,
    length: readU32,
    open(bytes, at, length, sequence) {
      const end = at + 4 + length;
      const mac = createHmac(digest, macKey).update(u32(sequence)).update(bytes.subarray(at, end)).digest();
      return timingSafeEqual(mac, bytes.subarray(end, end + tag))
        ? decipher.update(bytes.subarray(at + 4, end))
        : undefined;
    },
  };
}

/** RFC 4253 §6.4: the MAC is over the plaintext, and packet_length is encrypted with the rest. */
function eamSealer(bits: number, key: KeyObject, iv: Uint8Array, digest: string, macKey: KeyObject): Sealer {
  const cipher = createCipheriv(`aes-${bits}-ctr`, key, iv);
  return {
    block: 16,
    lengthInBlocks: true,
    tag: digest === 'sha256' ? 32 : 64,
    seal(body, sequence, out, at) {
      const length = u32(body.length);
      const mac = createHmac(digest, macKey).update(u32(sequence)).update(length).update(body);
      out.set(cipher.update(length), at);
      out.set(cipher.update(body), at + 4);
      out.set(mac.digest(), at + 4 + body.length);
    },
  };
}

function eamOpener(bits: number, key: KeyObject, iv: Uint8Array, digest: string, macKey: KeyObject): Opener {
  const decipher = createDecipheriv(`aes-${bits}-ctr`, key, iv);
  const tag = digest === 'sha256' ? 32 : 64;
  return {
    block: 16,
    lengthInBlocks: true,
    tag,
    // Asked once a packet: the stream cipher goes on behind these four bytes when the packet is there.
    length: (bytes, at) => readU32(decipher.update(bytes.subarray(at, at + 4)), 0),
    open(bytes, at, length, sequence) {
      const end = at + 4 + length;
      const body = decipher.update(bytes.subarray(at + 4, end));
      const mac = createHmac(digest, macKey).update(u32(sequence)).update(u32(length)).update(body).digest();
      return timingSafeEqual(mac, bytes.subarray(end, end + tag)) ? body : undefined;
    },
  };
}

function isEtm(mac: string): boolean {
  return mac.endsWith('-etm@openssh.com');
}

function digestOf(mac: string): 'sha256' | 'sha512' {
  return mac.startsWith('hmac-sha2-512') ? 'sha512' : 'sha256';
}

function digestSize(mac: string): number {
  return digestOf(mac) === 'sha512' ? 64 : 32;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeU32(bytes, 0, value);
  return bytes;
}

function readU32(b: Uint8Array, at: number): number {
  return (
    (((b[at] as number) << 24) |
      ((b[at + 1] as number) << 16) |
      ((b[at + 2] as number) << 8) |
      (b[at + 3] as number)) >>>
    0
  );
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

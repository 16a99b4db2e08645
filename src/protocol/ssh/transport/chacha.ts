/**
 * chacha20-poly1305@openssh.com (OpenSSH PROTOCOL.chacha20poly1305). Two keys: the first 32 bytes protect the packet,
 * the second 32 only packet_length, so that a peer learns nothing from how we treat a guessed length. The nonce is the
 * packet's sequence number. node:crypto's `chacha20` takes 16 bytes: block counter, little-endian, then the nonce.
 */
import { createCipheriv, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { Opener, Sealer } from './ciphers.ts';
import { poly1305 } from './poly1305.ts';

const zeros = new Uint8Array(32);

export function chachaSealer(key: Uint8Array): Sealer {
  const { main, header } = split(key);
  return {
    block: 8,
    lengthInBlocks: false,
    tag: 16,
    seal(body, sequence, out, at) {
      const length = new Uint8Array(4);
      new DataView(length.buffer).setUint32(0, body.length);
      out.set(stream(header, sequence, 0, length), at);
      out.set(stream(main, sequence, 1, body), at + 4);
      const end = at + 4 + body.length;
      out.set(poly1305(stream(main, sequence, 0, zeros), out.subarray(at, end)), end);
    },
  };
}

export function chachaOpener(key: Uint8Array): Opener {
  const { main, header } = split(key);
  return {
    block: 8,
    lengthInBlocks: false,
    tag: 16,
    length: (bytes, at, sequence) => stream(header, sequence, 0, bytes.subarray(at, at + 4)).readUInt32BE(0),
    open(bytes, at, length, sequence) {
      const end = at + 4 + length;
      const tag = poly1305(stream(main, sequence, 0, zeros), bytes.subarray(at, end));
      return timingSafeEqual(tag, bytes.subarray(end, end + 16))
        ? stream(main, sequence, 1, bytes.subarray(at + 4, end))
        : undefined;
    },
  };
}

function split(key: Uint8Array): { main: KeyObject; header: KeyObject } {
  return { main: createSecretKey(key.subarray(0, 32)), header: createSecretKey(key.subarray(32, 64)) };
}

function stream(key: KeyObject, sequence: number, block: number, data: Uint8Array): Buffer {
  const iv = new Uint8Array(16);
  iv[0] = block;
  new DataView(iv.buffer).setUint32(12, sequence);
  return createCipheriv('chacha20', key, iv).update(data);
}

/** The exchange hash and the keys that come of it (RFC 4253 §7.2, RFC 5656 §4). */
import { createHash } from 'node:crypto';
import type { Role } from '../types.ts';
import { Writer } from '../wire/writer.ts';
import { type KeyMaterial, keySizes } from './ciphers.ts';
import type { KexMethod } from './exchange.ts';

/** Everything that both sides have seen, from the client's and the server's view alike. */
export interface Transcript {
  readonly clientVersion: Uint8Array;
  readonly serverVersion: Uint8Array;
  /** The whole KEXINIT payloads. */
  readonly clientKexinit: Uint8Array;
  readonly serverKexinit: Uint8Array;
  readonly hostKey: Uint8Array;
  readonly clientShare: Uint8Array;
  readonly serverShare: Uint8Array;
}

/** H. `encodedSecret` is K in the method's own encoding. */
export function exchangeHash(hash: KexMethod['hash'], seen: Transcript, encodedSecret: Uint8Array): Uint8Array {
  const writer = new Writer(4096)
    .string(seen.clientVersion)
    .string(seen.serverVersion)
    .string(seen.clientKexinit)
    .string(seen.serverKexinit)
    .string(seen.hostKey)
    .string(seen.clientShare)
    .string(seen.serverShare);
  return createHash(hash).update(writer.finish()).update(encodedSecret).digest();
}

/** What the keys of one exchange are derived from. */
export interface KeySource {
  readonly hash: KexMethod['hash'];
  readonly encodedSecret: Uint8Array;
  readonly exchangeHash: Uint8Array;
  readonly sessionId: Uint8Array;
}

/** Keys for what `sender` sends: letters A, C, E of the RFC for the client, B, D, F for the server. */
export function deriveKeys(source: KeySource, sender: Role, cipher: string, mac: string): KeyMaterial {
  const sizes = keySizes(cipher, mac);
  const [iv, key, macKey] = sender === 'client' ? 'ACE' : 'BDF';
  return {
    iv: expand(source, iv ?? '', sizes.iv),
    key: expand(source, key ?? '', sizes.key),
    mac: expand(source, macKey ?? '', sizes.mac),
  };
}

export function forget(material: KeyMaterial): void {
  for (const bytes of [material.iv, material.key, material.mac]) bytes.fill(0);
}

/** K1 = HASH(K || H || letter || session_id), Kn = HASH(K || H || K1 || … || Kn-1). */
function expand(
  { hash, encodedSecret, exchangeHash: h, sessionId }: KeySource,
  letter: string,
  size: number,
): Uint8Array {
  const out = new Uint8Array(size);
  let made = 0;
  while (made < size) {
    const next = createHash(hash).update(encodedSecret).update(h);
    if (made === 0) next.update(letter).update(sessionId);
    else next.update(out.subarray(0, made));
    const block = next.digest();
    out.set(block.subarray(0, Math.min(block.length, size - made)), made);
    made += block.length;
    block.fill(0);
  }
  return out;
}

/**
 * Signing and sealing after an NTLM exchange (MS-NLMP §3.4), with extended session security, 128-bit keys and key exchange,
 * which are the only ones that this library agrees to.
 *
 * A signature is `01000000 ‖ RC4(HMAC-MD5(key, number ‖ plaintext))[0..8] ‖ number`; RC4 runs over the message first and
 * over the checksum after it, in one stream for each direction.
 */
import { concat } from '../../base/bytes.ts';
import { LittleWriter } from '../wire/little-writer.ts';
import { type Direction, equal, hmacMd5, sealKey, signKey } from './keys.ts';
import { Rc4 } from './wire/rc4.ts';

const signatureLength = 16;

interface Stream {
  readonly signKey: Uint8Array;
  readonly sealKey: Uint8Array;
  rc4: Rc4;
  /** The number of the next message. */
  number: number;
}

/** One end of an established NTLM session. A message that fails to verify leaves it unusable: end the session. */
export class Sealing implements Disposable {
  readonly #out: Stream;
  readonly #in: Stream;

  constructor(exportedKey: Uint8Array, role: 'client' | 'server') {
    const [out, into]: readonly [Direction, Direction] =
      role === 'client' ? ['client-to-server', 'server-to-client'] : ['server-to-client', 'client-to-server'];
    this.#out = stream(exportedKey, out);
    this.#in = stream(exportedKey, into);
  }

  /** 16 bytes over a message that itself is sent in clear. */
  sign(message: Uint8Array): Uint8Array {
    return signature(this.#out, message);
  }

  /** Whether this is the signature of the peer's next message. */
  verify(message: Uint8Array, signed: Uint8Array): boolean {
    return equal(signature(this.#in, message), signed);
  }

  /** The signature, then the encrypted message. */
  seal(message: Uint8Array): Uint8Array {
    const encrypted = this.#out.rc4.apply(message);
    return concat([signature(this.#out, message), encrypted]);
  }

  /** The peer's next message, or undefined if it is not one. */
  open(sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < signatureLength) return undefined;
    const message = this.#in.rc4.apply(sealed.subarray(signatureLength));
    if (this.verify(message, sealed.subarray(0, signatureLength))) return message;
    message.fill(0);
    return undefined;
  }

  /**
   * Starts both ciphers anew and lets the numbers go on. SPNEGO peers do so after they exchanged `mechListMIC`
   * (MS-SPNG §3.1.5.1); the numbers of what follows start at 1.
   */
  restartCiphers(): void {
    for (const each of [this.#out, this.#in]) {
      each.rc4.wipe();
      each.rc4 = new Rc4(each.sealKey);
    }
  }

  [Symbol.dispose](): void {
    for (const each of [this.#out, this.#in]) {
      each.rc4.wipe();
      each.signKey.fill(0);
      each.sealKey.fill(0);
    }
  }
}

function stream(exportedKey: Uint8Array, direction: Direction): Stream {
  const key = sealKey(exportedKey, direction);
  return { signKey: signKey(exportedKey, direction), sealKey: key, rc4: new Rc4(key), number: 0 };
}

function signature(on: Stream, message: Uint8Array): Uint8Array {
  const number = new LittleWriter(4).u32(on.number++).finish();
  const checksum = hmacMd5(on.signKey, number, message).subarray(0, 8);
  return concat([Uint8Array.of(1, 0, 0, 0), on.rc4.apply(checksum), number]);
}

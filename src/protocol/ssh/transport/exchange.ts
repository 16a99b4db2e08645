/**
 * The key exchange methods: ECDH over X25519 and the NIST curves (RFC 8731, RFC 5656) and ML-KEM-768 with X25519
 * (draft-ietf-sshm-mlkem-hybrid-kex). A method knows shares and the shared secret, nothing of messages.
 *
 * A peer's share that is not a valid key, and a shared secret of zeros only, are violations: they would let a peer
 * choose the secret.
 */
import {
  createECDH,
  createHash,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { concat } from '../../../base/bytes.ts';
import type { Violation } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';

/** The shared secret as the exchange hash takes it: K with its own encoding, mpint or string. */
export interface Agreed {
  readonly encodedSecret: Uint8Array;
}

/** The client's half that waits for the server's share. */
export interface ClientExchange {
  readonly share: Uint8Array;
  finish: (serverShare: Uint8Array) => Agreed | Violation;
}

export interface ServerExchange extends Agreed {
  readonly share: Uint8Array;
}

export interface KexMethod {
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  start(): ClientExchange;
  respond(clientShare: Uint8Array): ServerExchange | Violation;
}

/** The method of that name, which must be one of `kexNames`. */
export function kexMethod(name: string): KexMethod {
  switch (name) {
    case 'mlkem768x25519-sha256':
      return hybrid;
    case 'curve25519-sha256':
    case 'curve25519-sha256@libssh.org':
      return fromAgreement('sha256', x25519);
    case 'ecdh-sha2-nistp256':
      return fromAgreement('sha256', nist('prime256v1', 65));
    case 'ecdh-sha2-nistp384':
      return fromAgreement('sha384', nist('secp384r1', 97));
    case 'ecdh-sha2-nistp521':
      return fromAgreement('sha512', nist('secp521r1', 133));
    default:
      throw new RangeError(`no such key exchange: ${name}`);
  }
}

/** One side of a Diffie-Hellman: its public share, and the secret with the other's, or undefined if that is no good. */
type KeyAgreement = () => { share: Uint8Array; secret: (peer: Uint8Array) => Uint8Array | undefined };

function fromAgreement(hash: KexMethod['hash'], agreement: KeyAgreement): KexMethod {
  const encode = (secret: Uint8Array | undefined): Agreed | Violation => {
    if (secret === undefined) return { violation: 'the public share is not valid' };
    const encodedSecret = new Writer(secret.length + 5).mpint(secret).finish();
    secret.fill(0);
    return { encodedSecret };
  };
  return {
    hash,
    start() {
      const { share, secret } = agreement();
      return { share, finish: (peer) => encode(secret(peer)) };
    },
    respond(peer) {
      const { share, secret } = agreement();
      const agreed = encode(secret(peer));
      return 'violation' in agreed ? agreed : { share, ...agreed };
    },
  };
}

/** What stands before the raw key in a SubjectPublicKeyInfo: the only raw import that node:crypto has had for long. */
const x25519Prefix = Buffer.from('302a300506032b656e032100', 'hex');
const mlkemPrefix = Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex');
const mlkemKey = 1184;
const mlkemCiphertext = 1088;

const x25519: KeyAgreement = () => {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return {
    share: rawOf(publicKey, x25519Prefix),
    secret(peer) {
      if (peer.length !== 32) return undefined;
      try {
        const secret = diffieHellman({ privateKey, publicKey: publicOf(peer, x25519Prefix) });
        return secret.some((byte) => byte !== 0) ? secret : undefined;
      } catch {
        return undefined;
      }
    },
  };
};

function nist(curve: string, size: number): KeyAgreement {
  return () => {
    const ecdh = createECDH(curve);
    return {
      share: ecdh.generateKeys(),
      secret(peer) {
        if (peer.length !== size || peer[0] !== 4) return undefined;
        try {
          // refuses points that are not on the curve
          return ecdh.computeSecret(peer);
        } catch {
          return undefined;
        }
      },
    };
  };
}

/** Client: ML-KEM key, X25519 share. Server: ML-KEM ciphertext, X25519 share. K = SHA-256(K_PQ || K_CL), as a string. */
const hybrid: KexMethod = {
  hash: 'sha256',
  start() {
    const kem = generateKeyPairSync('ml-kem-768');
    const classical = x25519();
    return {
      share: concat([rawOf(kem.publicKey, mlkemPrefix), classical.share]),
      finish(serverShare) {
        if (serverShare.length !== mlkemCiphertext + 32) return { violation: 'the share has the wrong length' };
        const quantum = decapsulate(kem.privateKey, serverShare.subarray(0, mlkemCiphertext));
        return combine(quantum, classical.secret(serverShare.subarray(mlkemCiphertext)));
      },
    };
  },
  respond(clientShare) {
    if (clientShare.length !== mlkemKey + 32) return { violation: 'the share has the wrong length' };
    const classical = x25519();
    try {
      // OpenSSL checks the encapsulation key here (FIPS 203 §7.2)
      const kem = encapsulate(publicOf(clientShare.subarray(0, mlkemKey), mlkemPrefix));
      const agreed = combine(kem.sharedKey, classical.secret(clientShare.subarray(mlkemKey)));
      return 'violation' in agreed ? agreed : { share: concat([kem.ciphertext, classical.share]), ...agreed };
    } catch {
      return { violation: 'the ML-KEM key is not valid' };
    }
  },
};

function combine(quantum: Uint8Array, classical: Uint8Array | undefined): Agreed | Violation {
  if (classical === undefined) return { violation: 'the public share is not valid' };
  const secret = createHash('sha256').update(quantum).update(classical).digest();
  const encodedSecret = new Writer(64).string(secret).finish();
  for (const bytes of [quantum, classical, secret]) bytes.fill(0);
  return { encodedSecret };
}

function rawOf(key: KeyObject, prefix: Uint8Array): Uint8Array {
  return key.export({ format: 'der', type: 'spki' }).subarray(prefix.length);
}

function publicOf(raw: Uint8Array, prefix: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([prefix, raw]), format: 'der', type: 'spki' });
}

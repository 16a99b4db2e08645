/** Signing with a private key in this process, and making new key pairs. A key elsewhere is a Signer of its own. */
import { generateKeyPair as generate, type KeyObject, sign as signBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '../../../base/secret.ts';
import { check } from '../../../base/signals.ts';
import { SshError } from '../errors.ts';
import type { Signer } from '../types.ts';
import { algorithmsOf, decodePublicKey, encodeSignature } from '../wire/keys.ts';
import { isViolation } from '../wire/reader.ts';
import { formatKeyLine } from './lines.ts';
import { formatPrivateKey, publicKeyOf } from './private.ts';
import { digestOf } from './verify.ts';

export type KeyKind = 'ed25519' | 'ecdsa-256' | 'ecdsa-384' | 'ecdsa-521' | 'rsa-2048' | 'rsa-4096';

export interface KeyPair {
  /** The file `ssh-keygen` would write, unencrypted. */
  readonly privateKeyOpenSsh: Secret;
  /** Public key blob. */
  readonly publicKey: Uint8Array;
  /** The `.pub` line, with the comment, without a line end. */
  readonly line: string;
}

const generateAsync = promisify(generate) as unknown as (
  type: string,
  options: { namedCurve?: string; modulusLength?: number },
) => Promise<{ privateKey: KeyObject }>;

const recipe: Readonly<Record<KeyKind, readonly [string, { namedCurve?: string; modulusLength?: number }]>> = {
  ed25519: ['ed25519', {}],
  'ecdsa-256': ['ec', { namedCurve: 'P-256' }],
  'ecdsa-384': ['ec', { namedCurve: 'P-384' }],
  'ecdsa-521': ['ec', { namedCurve: 'P-521' }],
  'rsa-2048': ['rsa', { modulusLength: 2048 }],
  'rsa-4096': ['rsa', { modulusLength: 4096 }],
};

/** A new key pair. RSA with 4096 bits takes up to some seconds, off the event loop. */
export async function generateKeyPair(kind: KeyKind, comment = ''): Promise<KeyPair> {
  const [type, options] = recipe[kind];
  const { privateKey } = await generateAsync(type, options);
  const publicKey = publicKeyOf(privateKey);
  if (publicKey === undefined) throw new TypeError(`no SSH key of kind ${kind}`);
  return {
    privateKeyOpenSsh: formatPrivateKey(privateKey, comment),
    publicKey,
    line: formatKeyLine(publicKey, comment),
  };
}

/** A Signer over a private key of ours. Throws a TypeError for a key that is not an SSH key. */
export function signerFromPrivateKey(key: KeyObject): Signer {
  const publicKey = publicKeyOf(key);
  const parsed = publicKey === undefined ? undefined : decodePublicKey(publicKey);
  if (publicKey === undefined || parsed === undefined || isViolation(parsed)) throw new TypeError('no SSH private key');
  const algorithms = algorithmsOf(parsed.type);
  return {
    publicKey,
    algorithms,
    sign: (data, algorithm, signal) =>
      new Promise((resolve, reject) => {
        check(signal);
        const known = algorithms.find((name) => name === algorithm);
        if (known === undefined) throw new SshError('ssh.signing', `${parsed.type} cannot sign with ${algorithm}`);
        signBytes(digestOf[known] ?? null, data, { key, dsaEncoding: 'ieee-p1363' }, (error, raw) => {
          if (error === null) resolve(encodeSignature(known, raw));
          else reject(new SshError('ssh.signing', undefined, { cause: error }));
        });
      }),
  };
}

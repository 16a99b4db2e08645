/**
 * Signature checks. A signature is good or it is not: whatever is malformed, of another key type, weak, a certificate,
 * or made with SHA-1 is simply not a good signature. Nothing here throws because of foreign bytes.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { decodePublicKey, decodeSignature, type PublicKey } from '../wire/keys.ts';
import { isViolation } from '../wire/reader.ts';

const jwkCurve = { nistp256: 'P-256', nistp384: 'P-384', nistp521: 'P-521' } as const;

/** Digest by signature algorithm; Ed25519 has its own inside. */
export const digestOf: Readonly<Record<string, string | null>> = {
  'ssh-ed25519': null,
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
  'rsa-sha2-256': 'sha256',
  'rsa-sha2-512': 'sha512',
};

/** The key as node:crypto wants it, or undefined where the point is not on its curve. */
function publicKeyObject(key: PublicKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwkOf(key), format: 'jwk' });
  } catch {
    return undefined;
  }
}

function jwkOf(key: PublicKey): { kty: string; [field: string]: string } {
  switch (key.type) {
    case 'ssh-ed25519':
      return { kty: 'OKP', crv: 'Ed25519', x: url(key.point) };
    case 'ssh-rsa':
      return { kty: 'RSA', e: url(key.e), n: url(key.n) };
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return { kty: 'EC', crv: jwkCurve[key.curve], x: url(key.x), y: url(key.y) };
  }
}

function url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}

/**
 * Whether `signatureBlob` (string algorithm, string signature; RFC 4253 §6.6) is a signature of `data` with
 * `algorithm` by the key in `publicKeyBlob`. False for everything that is not exactly that.
 */
export function verifySignature(
  publicKeyBlob: Uint8Array,
  algorithm: string,
  data: Uint8Array,
  signatureBlob: Uint8Array,
): boolean {
  const key = decodePublicKey(publicKeyBlob);
  if (isViolation(key)) return false;
  const signature = decodeSignature(key, algorithm, signatureBlob);
  const object = publicKeyObject(key);
  if (object === undefined || isViolation(signature)) return false;
  try {
    return verify(digestOf[algorithm] ?? null, data, { key: object, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    return false;
  }
}

/**
 * The two things that CredSSP needs of a certificate (RFC 5280 §4.1): the bits of its public key, and what it was signed
 * with. Pure. It trusts nothing and judges nothing: whether the certificate is the right one is decided elsewhere.
 */
import { hex } from '../../../base/bytes.ts';
import { DerReader, tag } from '../../wire/der.ts';
import type { Violation } from '../../wire/violation.ts';

export interface CertificateParts {
  /** The content of SubjectPublicKeyInfo's BIT STRING: for RSA, the PKCS#1 key. */
  readonly subjectPublicKey: Uint8Array;
  /** The hash for `tls-server-end-point` (RFC 5929 §4.1): that of the signature, and SHA-256 in place of weaker ones. */
  readonly endPointHash: 'sha256' | 'sha384' | 'sha512';
}

/** Signature algorithms with a longer hash than SHA-256: RSA, then ECDSA. */
const hashes: Readonly<Record<string, 'sha384' | 'sha512'>> = {
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};

export function decodeCertificate(bytes: Uint8Array): CertificateParts | Violation {
  const outer = new DerReader(bytes).into(tag.sequence);
  const body = outer.into(tag.sequence);
  const algorithm = outer.into(tag.sequence);
  const signature = hex(algorithm.content(tag.oid));
  body.optional(tag.context(0));
  body.content(tag.integer);
  // signature, issuer, validity, subject
  for (let i = 0; i < 4; i++) body.content(tag.sequence);
  const key = body.into(tag.sequence);
  key.content(tag.sequence);
  const bits = key.content(tag.bits);
  if (bits[0] !== 0) key.fail('public key is not whole bytes');
  const violation = outer.violation ?? body.violation ?? algorithm.violation ?? key.violation;
  if (violation !== undefined) return { violation };
  return { subjectPublicKey: bits.subarray(1), endPointHash: hashes[signature] ?? 'sha256' };
}

/**
 * Private keys between their file formats and node:crypto. Reads OpenSSH's own format (openssh-key-v1, with or without a
 * passphrase), PEM and PKCS#8; writes openssh-key-v1 without a passphrase, because the vault encrypts what it keeps.
 * Refuses DSA, short RSA, other curves, and files whose public and private halves do not belong together.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { same } from '../../../base/bytes.ts';
import { type Refusal, refuse } from '../../../base/errors.ts';
import { Secret } from '../../../base/secret.ts';
import { type Curve, decodePublicKey, encodePublicKey } from '../wire/keys.ts';
import { isViolation } from '../wire/reader.ts';
import { parsePublicKey } from './lines.ts';
import { decodeOpenSsh, encodeOpenSsh } from './openssh.ts';

export type PrivateKeyRefusal = Refusal<
  | 'ssh.key-malformed'
  | 'ssh.key-unsupported'
  | 'ssh.key-certificate'
  | 'ssh.key-weak'
  | 'ssh.key-encrypted'
  | 'ssh.key-passphrase'
>;

export interface PrivateKey {
  readonly key: KeyObject;
  /** Public key blob. */
  readonly publicKey: Uint8Array;
  /** Only openssh-key-v1 has one; empty otherwise. */
  readonly comment: string;
}

/** Keys of `largestRsaBits` take 13 KiB; nothing longer is looked at. */
const longestFile = 65_536;
const armour = /-----BEGIN OPENSSH PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+?)-----END OPENSSH PRIVATE KEY-----/;
const curveOf: Readonly<Record<string, Curve>> = {
  'P-256': 'nistp256',
  'P-384': 'nistp384',
  'P-521': 'nistp521',
};

/**
 * The private key in a file's text. `passphrase` is used only if the file is encrypted. Deriving a key from it takes
 * about half a second with OpenSSH's default of 16 rounds.
 */
export async function parsePrivateKey(
  file: Secret,
  passphrase: Secret | undefined,
  signal: AbortSignal,
): Promise<PrivateKey | PrivateKeyRefusal> {
  if (file.length > longestFile) return refuse('ssh.key-malformed', 'file too long');
  const text = Buffer.from(file.reveal()).toString('latin1');
  const body = armour.exec(text)?.[1];
  if (body === undefined) return fromPem(file, passphrase);
  const blob = Buffer.from(body, 'base64');
  try {
    const decoded = await decodeOpenSsh(blob, passphrase, signal);
    return 'refused' in decoded ? decoded : whole(decoded.key, decoded.comment, decoded.publicKey);
  } finally {
    blob.fill(0);
  }
}

function fromPem(file: Secret, passphrase: Secret | undefined): PrivateKey | PrivateKeyRefusal {
  const pem = Buffer.from(file.reveal());
  // PKCS#8 says it in the label, the older form in a header. Node would ask the terminal for a missing passphrase.
  const encrypted = pem.includes('ENCRYPTED');
  if (encrypted && passphrase === undefined) return refuse('ssh.key-encrypted', 'PEM file');
  const given = passphrase === undefined ? {} : { passphrase: Buffer.from(passphrase.reveal()) };
  try {
    return whole(createPrivateKey({ key: pem, format: 'pem', ...given }), '');
  } catch {
    // A wrong passphrase mostly ends in bad padding, but sometimes in nonsense that only fails later.
    if (encrypted) return refuse('ssh.key-passphrase', 'PEM file');
    return refuse('ssh.key-malformed', 'not a private key in PEM, PKCS#8 or OpenSSH form');
  } finally {
    pem.fill(0);
    given.passphrase?.fill(0);
  }
}

/** Checks type and strength, and that the public half is the one of this private half. */
function whole(key: KeyObject, comment: string, claimed?: Uint8Array): PrivateKey | PrivateKeyRefusal {
  const publicKey = publicKeyOf(key);
  if (publicKey === undefined) return refuse('ssh.key-unsupported', key.asymmetricKeyType ?? 'no private key');
  if (claimed !== undefined && !same(publicKey, claimed))
    return refuse('ssh.key-malformed', 'public and private half do not belong together');
  const parsed = parsePublicKey(publicKey);
  return 'refused' in parsed ? parsed : { key, publicKey, comment };
}

/** The public key blob of a private or public KeyObject, or undefined for a kind that SSH keys of ours do not have. */
export function publicKeyOf(key: KeyObject): Uint8Array | undefined {
  const kind = key.asymmetricKeyType;
  if (kind !== 'ed25519' && kind !== 'ec' && kind !== 'rsa') return undefined;
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  const field = (name: 'x' | 'y' | 'e' | 'n'): Uint8Array => Buffer.from(jwk[name] ?? '', 'base64url');
  if (kind === 'ed25519') return encodePublicKey({ type: 'ssh-ed25519', point: field('x') });
  if (kind === 'rsa') {
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    return encodePublicKey({ type: 'ssh-rsa', e: field('e'), n: field('n'), bits });
  }
  const curve = curveOf[jwk.crv ?? ''];
  if (curve === undefined) return undefined;
  return encodePublicKey({ type: `ecdsa-sha2-${curve}`, curve, x: field('x'), y: field('y') });
}

/** The file's text of a private key in OpenSSH's own format, unencrypted. Throws for a key that is none of ours. */
export function formatPrivateKey(key: KeyObject, comment: string): Secret {
  const blob = publicKeyOf(key);
  const parsed = blob === undefined ? undefined : decodePublicKey(blob);
  if (blob === undefined || parsed === undefined || isViolation(parsed)) throw new TypeError('no SSH private key');
  return new Secret(encodeOpenSsh(key, parsed, blob, comment));
}

/**
 * SSH private keys as credentials: read once when they come in, so that what is stored is known to be a key, and made
 * into a signer when they are used. The file goes into the vault as it came, with its passphrase if it has one.
 */
import { isRefusal } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import { parsePrivateKey, signerFromPrivateKey } from '../protocol/ssh/ssh.ts';
import type { Signer } from '../protocol/ssh/types.ts';
import type { Credential } from './credential.ts';
import { VaultError } from './errors.ts';

/**
 * The credential for a private key file; it keeps the two secrets, it does not copy them. Throws
 * `vault.key-unreadable` with the reason: a wrong passphrase, a weak or unknown kind of key, no key at all.
 */
export async function importSshKey(
  privateKey: Secret,
  passphrase: Secret | undefined,
  signal: AbortSignal,
): Promise<Extract<Credential, { kind: 'ssh-key' }>> {
  const parsed = await parsePrivateKey(privateKey, passphrase, signal);
  if (isRefusal(parsed)) throw new VaultError('vault.key-unreadable', `${parsed.code}, ${parsed.reason}`);
  const key = { kind: 'ssh-key', privateKey, publicKey: parsed.publicKey } as const;
  return passphrase === undefined ? key : { ...key, passphrase };
}

/** A signer over a stored key. */
export async function signerOf(key: Extract<Credential, { kind: 'ssh-key' }>, signal: AbortSignal): Promise<Signer> {
  const parsed = await parsePrivateKey(key.privateKey, key.passphrase, signal);
  if (isRefusal(parsed)) throw new VaultError('vault.key-unreadable', `${parsed.code}, ${parsed.reason}`);
  return signerFromPrivateKey(parsed.key);
}

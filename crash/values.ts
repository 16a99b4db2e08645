/**
 * Values of accounts as text, as the processes of a run hand them to one another over a pipe. For tests: whoever reads the
 * harness's memory has them. They are drawn here, and nowhere shown.
 */
import { randomBytes } from 'node:crypto';
import { Secret } from '../src/base/secret.ts';
import { generateKeyPair } from '../src/protocol/ssh/ssh.ts';
import type { Credential } from '../src/vault/vault.ts';

export type Value =
  | { readonly kind: 'password'; readonly text: string }
  /** The private half as OpenSSH writes it, the public one as base64 of its blob. */
  | { readonly kind: 'ssh-key'; readonly text: string; readonly publicKey: string };

/** A password that every target takes, and that nobody had before. */
export function drawPassword(): Value {
  return { kind: 'password', text: `Aa1-${randomBytes(12).toString('base64url')}` };
}

export async function drawKey(): Promise<Value> {
  const pair = await generateKeyPair('ed25519', 'crash');
  using secret = pair.privateKeyOpenSsh;
  return { kind: 'ssh-key', text: secret.revealText(), publicKey: Buffer.from(pair.publicKey).toString('base64') };
}

/** As the vault takes it; the caller disposes of it. */
export function credentialOf(value: Value): Credential & Disposable {
  const secret = Secret.fromText(value.text);
  const end = { [Symbol.dispose]: () => secret[Symbol.dispose]() };
  if (value.kind === 'password') return { kind: 'password', secret, ...end };
  const publicKey = new Uint8Array(Buffer.from(value.publicKey, 'base64'));
  return { kind: 'ssh-key', privateKey: secret, publicKey, ...end };
}

/** As the vault gave it. */
export function valueOf(credential: Credential): Value {
  if (credential.kind === 'password') return { kind: 'password', text: credential.secret.revealText() };
  if (credential.kind !== 'ssh-key') throw new Error(`nothing here changes credentials of kind ${credential.kind}`);
  const publicKey = Buffer.from(credential.publicKey).toString('base64');
  return { kind: 'ssh-key', text: credential.privateKey.revealText(), publicKey };
}

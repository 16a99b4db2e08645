/**
 * The kinds of credential and their bytes. `Credential` is what is handed in to be stored, `OpenCredential` what comes
 * out for use. What is sealed is one byte string (FORMAT.md, "Contents"); this file writes and reads it.
 */
import { concat } from '../base/bytes.ts';
import { Secret } from '../base/secret.ts';
import type { Signer } from '../protocol/ssh/types.ts';
import { VaultError } from './errors.ts';

export type CredentialKind = 'password' | 'ssh-key' | 'certificate' | 'api-key';

/** Whether Sallyport changes credentials of a kind by itself: yes, within limits, or only records what people enter. */
export type RotationClass = 'automatic' | 'limited' | 'manual';

export const rotationClass: Readonly<Record<CredentialKind, RotationClass>> = {
  password: 'automatic',
  'ssh-key': 'automatic',
  certificate: 'limited',
  'api-key': 'manual',
};

/** A value to be stored. The vault copies what it needs; whoever handed it in disposes of it. */
export type Credential =
  | { readonly kind: 'password'; readonly secret: Secret }
  | {
      readonly kind: 'ssh-key';
      /** OpenSSH, PKCS#8 or PEM text, encrypted or not. */
      readonly privateKey: Secret;
      readonly passphrase?: Secret;
      /** Public key blob (RFC 4253 §6.6). */
      readonly publicKey: Uint8Array;
    }
  | {
      readonly kind: 'certificate';
      /** X.509, PEM or DER. */
      readonly certificate: Uint8Array;
      readonly privateKey: Secret;
    }
  | { readonly kind: 'api-key'; readonly secret: Secret };

/** A value in use under a hold. Disposing zeroes it. Of a key only signatures come out. */
export type OpenCredential = Disposable &
  (
    | { readonly kind: 'password'; readonly secret: Secret }
    | { readonly kind: 'ssh-key'; readonly signer: Signer; readonly publicKey: Uint8Array }
    | { readonly kind: 'certificate'; readonly certificate: Uint8Array; readonly privateKey: Secret }
    | { readonly kind: 'api-key'; readonly secret: Secret }
  );

/** One stored version as it was handed in, for rotation and its workers only. Disposing zeroes it. */
export type OpenVersion = Disposable & Credential;

const kindByte: Readonly<Record<CredentialKind, number>> = { password: 1, 'ssh-key': 2, certificate: 3, 'api-key': 4 };
const longestField = 64 * 1024;

/** The contents to be sealed: version 1, kind, then fields of 32-bit length and bytes. */
export function encodeContents(credential: Credential): Secret {
  const fields = fieldsOf(credential);
  const parts: Uint8Array[] = [Uint8Array.of(1, kindByte[credential.kind])];
  for (const field of fields) {
    if (field.length > longestField) throw new VaultError('vault.credential-too-long');
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, field.length);
    parts.push(length, field);
  }
  if ((fields[0]?.length ?? 0) === 0) throw new VaultError('vault.credential-too-long');
  return new Secret(concat(parts));
}

function fieldsOf(credential: Credential): Uint8Array[] {
  switch (credential.kind) {
    case 'password':
    case 'api-key':
      return [credential.secret.reveal()];
    case 'ssh-key':
      return [
        credential.privateKey.reveal(),
        credential.passphrase?.reveal() ?? new Uint8Array(0),
        credential.publicKey,
      ];
    case 'certificate':
      return [credential.privateKey.reveal(), credential.certificate];
    default:
      return credential satisfies never;
  }
}

/** Reads contents back. They were authenticated before, so a fault here is `vault.tampered` all the same. */
export function decodeContents(kind: CredentialKind, contents: Uint8Array): OpenVersion {
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
  if (contents.length < 2 || contents[0] !== 1 || contents[1] !== kindByte[kind])
    throw new VaultError('vault.tampered', 'the contents are not of the kind they are filed under');
  const fields: Uint8Array[] = [];
  for (let at = 2; at < contents.length; ) {
    const length = at + 4 <= contents.length ? view.getUint32(at) : Number.POSITIVE_INFINITY;
    if (length > longestField || at + 4 + length > contents.length)
      throw new VaultError('vault.tampered', 'a field of the contents is cut short');
    fields.push(contents.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fromFields(kind, fields);
}

function fromFields(kind: CredentialKind, fields: readonly Uint8Array[]): OpenVersion {
  const [first, second, third, ...more] = fields;
  const wrong = (): VaultError => new VaultError('vault.tampered', 'the contents have the wrong number of fields');
  if (first === undefined || more.length > 0) throw wrong();
  const secret = new Secret(first);
  const zero = (): void => secret[Symbol.dispose]();
  switch (kind) {
    case 'password':
    case 'api-key':
      if (second !== undefined) throw wrong();
      return { kind, secret, [Symbol.dispose]: zero };
    case 'ssh-key': {
      if (second === undefined || third === undefined) throw wrong();
      const key = { kind, privateKey: secret, publicKey: third } as const;
      if (second.length === 0) return { ...key, [Symbol.dispose]: zero };
      const passphrase = new Secret(second);
      return {
        ...key,
        passphrase,
        [Symbol.dispose]: () => {
          zero();
          passphrase[Symbol.dispose]();
        },
      };
    }
    case 'certificate':
      if (second === undefined || third !== undefined) throw wrong();
      return { kind, privateKey: secret, certificate: second, [Symbol.dispose]: zero };
    default:
      return kind satisfies never;
  }
}

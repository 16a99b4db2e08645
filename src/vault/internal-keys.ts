/**
 * The installation's own keys: the gate's host keys, the keys that sign recordings and the audit trail, and those of the
 * gate's own certificates. Each is made on first use, sealed like everything else, and answers with signatures only; but
 * for that of the gate's TLS certificate, which TLS needs where the bytes arrive.
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '../base/secret.ts';
import { inTransaction } from '../db/db.ts';
import { signerFromPrivateKey } from '../protocol/ssh/ssh.ts';
import type { Signer } from '../protocol/ssh/types.ts';
import { openWhole, type Place, sealWhole } from './envelope.ts';
import { VaultError } from './errors.ts';
import { alarmed, type VaultContext } from './sealing.ts';

export type HostKeyName = 'host-ed25519' | 'host-ecdsa-256' | 'host-rsa-3072';
export type SealKeyName = 'recording-seal' | 'audit-head';
/** `gate-authority` signs certificates, `rdp-file` files that clients of RDP open. */
export type CertifiedKeyName = 'gate-authority' | 'rdp-file';
type KeyName = HostKeyName | SealKeyName | CertifiedKeyName | 'gate-tls';

/** Signs with ed25519. */
export interface SealSigner {
  /** 32 bytes (RFC 8032). */
  readonly publicKey: Uint8Array;
  /** 64 bytes. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** Signs with RSASSA-PKCS1-v1_5 over SHA-256, which the oldest clients check. */
export interface RsaSigner {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** See `Vault.rsaSigner`. */
export async function rsaSigner(context: VaultContext, name: CertifiedKeyName): Promise<RsaSigner> {
  const key = await internalKey(context, name);
  return { publicKey: new Uint8Array(spki(key)), sign: async (bytes) => new Uint8Array(sign('sha256', bytes, key)) };
}

/** See `Vault.tlsKey`. */
export async function tlsKey(context: VaultContext): Promise<{ readonly publicKey: Uint8Array; readonly key: Secret }> {
  const key = await internalKey(context, 'gate-tls');
  return {
    publicKey: new Uint8Array(spki(key)),
    key: Secret.fromText(key.export({ format: 'pem', type: 'pkcs8' }).toString()),
  };
}

/** See `Vault.signer`. */
export async function hostSigner(context: VaultContext, name: HostKeyName): Promise<Signer> {
  return signerFromPrivateKey(await internalKey(context, name));
}

/** See `Vault.sealSigner`. */
export async function sealSigner(context: VaultContext, name: SealKeyName): Promise<SealSigner> {
  const key = await internalKey(context, name);
  return { publicKey: rawPublicKey(key), sign: async (bytes) => new Uint8Array(sign(null, bytes, key)) };
}

const generate = promisify(generateKeyPair) as unknown as (
  type: string,
  options: { namedCurve?: string; modulusLength?: number },
) => Promise<{ privateKey: KeyObject }>;

const recipe: Readonly<Record<KeyName, readonly [string, Parameters<typeof generate>[1]]>> = {
  'host-ed25519': ['ed25519', {}],
  'host-ecdsa-256': ['ec', { namedCurve: 'P-256' }],
  'host-rsa-3072': ['rsa', { modulusLength: 3072 }],
  'recording-seal': ['ed25519', {}],
  'audit-head': ['ed25519', {}],
  'gate-authority': ['rsa', { modulusLength: 3072 }],
  // No larger: old clients of RDP take no other kind, and each connection signs once.
  'gate-tls': ['rsa', { modulusLength: 2048 }],
  'rdp-file': ['rsa', { modulusLength: 2048 }],
};

/** Where a key of the installation's own stands. */
export function placeOf(name: string): Place {
  return { table: 'vault_key', row: name, account: '', kind: 'private-key' };
}

/** The key of a name; of two that make it at the same time, the first one's stays. */
async function internalKey(context: VaultContext, name: KeyName): Promise<KeyObject> {
  return (await storedKey(context, name)) ?? (await newKey(context, name));
}

async function storedKey(context: VaultContext, name: KeyName): Promise<KeyObject | undefined> {
  const { db, ring } = context;
  const row = await db
    .selectFrom('vault_key')
    .select(['sealed', 'public_key'])
    .where('name', '=', name)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return alarmed(context, {}, () => {
    using der = openWhole((version) => ring.version(version), placeOf(name), row.sealed);
    const { buffer, byteOffset, length } = der.reveal();
    const key = createPrivateKey({ key: Buffer.from(buffer, byteOffset, length), format: 'der', type: 'pkcs8' });
    if (!spki(key).equals(row.public_key ?? new Uint8Array(0)))
      throw new VaultError('vault.tampered', `the public half of ${name} is not the one that was made with it`);
    return key;
  });
}

async function newKey(context: VaultContext, name: KeyName): Promise<KeyObject> {
  const { privateKey } = await generate(...recipe[name]);
  using der = new Secret(privateKey.export({ format: 'der', type: 'pkcs8' }));
  const sealed = sealWhole(context.ring.current(), placeOf(name), der.reveal());
  const row = { name, sealed, public_key: spki(privateKey) };
  const won = await inTransaction(context.db, async (tx) => {
    const insert = tx
      .insertInto('vault_key')
      .values(row)
      .onConflict((conflict) => conflict.doNothing());
    return ((await insert.executeTakeFirst()).numInsertedOrUpdatedRows ?? 0n) > 0n;
  });
  if (won) return privateKey;
  const other = await storedKey(context, name);
  if (other === undefined) throw new VaultError('vault.tampered', `the key ${name} went away`);
  return other;
}

function spki(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' });
}

function rawPublicKey(key: KeyObject): Uint8Array {
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  return new Uint8Array(Buffer.from(x ?? '', 'base64url'));
}

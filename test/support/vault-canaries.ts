/**
 * Everything secret that a stopped product holds, as canaries: what the product has drawn itself, and nobody else knows,
 * must be looked for, too. It opens the vault with the root key as a keeper would, and gives the decrypted recordings.
 */
import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { parseId, type RecordingId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { openDatabase } from '../../src/db/db.ts';
import { startEmbedded } from '../../src/db/embedded.ts';
import { readRecording } from '../../src/recording/recording.ts';
import { openWhole } from '../../src/vault/envelope.ts';
import { openRing } from '../../src/vault/ring.ts';
import { readRootKey } from '../../src/vault/root-key.ts';
import { accountsOf, openVault, versionsOf } from '../../src/vault/vault.ts';
import { type Canary, canary } from './canary.ts';
import { keyCanaries } from './canary-keys.ts';

export interface VaultContents {
  /** Values of accounts, keys of the product, keys of keys, keys of recordings. */
  readonly canaries: readonly Canary[];
  /** By path: what is in it, decrypted and decompressed. */
  readonly recordings: ReadonlyMap<string, Uint8Array>;
}

/** Opens, reads and closes everything of a product that was stopped. */
export async function vaultContents(data: string, rootKeyPath: string): Promise<VaultContents> {
  const signal = new AbortController().signal;
  const canaries: Canary[] = [canary('root key', readFileSync(rootKeyPath))];
  const recordings = new Map<string, Uint8Array>();
  await using server = await startEmbedded({ dir: join(data, 'db'), log: silent }, signal);
  await using db = await openDatabase(server.appUrl, { max: 2 }, silent);

  using rootKey = await readRootKey(rootKeyPath, data);
  using ring = await openRing(db, rootKey, signal);
  const newest = ring.current().version;
  for (let version = 1; version <= newest; version++)
    canaries.push(canary(`key-encryption key ${version}`, copy(ring.version(version).key.reveal())));
  for (const { name, sealed } of await db.selectFrom('vault_key').select(['name', 'sealed']).execute()) {
    // Of the MAC over former values there is a key, too; all others are key pairs.
    const kind = name === 'history' ? 'mac' : 'private-key';
    using key = openWhole(
      (version) => ring.version(version),
      { table: 'vault_key', row: name, account: '', kind },
      sealed,
    );
    canaries.push(canary(`${name}, whole`, copy(key.reveal())));
    if (kind === 'mac') continue;
    const pair = createPrivateKey({ key: Buffer.from(key.reveal()), format: 'der', type: 'pkcs8' });
    canaries.push(canary(name, Buffer.from(pair.export({ format: 'jwk' }).d ?? '', 'base64url')));
  }

  await using vault = await openVault(
    { db, rootKeyPath, dataDirectory: data, log: silent, clock: systemClock },
    signal,
  );
  for (const account of await accountsOf(db)) {
    for (const [at, { sigkey }] of (await versionsOf(db, account.id)).toReversed().entries()) {
      using opened = await vault.openVersion(account.id, sigkey, 'proof', { kind: 'system', part: 'proof' });
      const name = `${account.label}, value ${at}`;
      if (opened.kind === 'ssh-key') canaries.push(...(await keyCanaries(name, copy(opened.privateKey.reveal()))));
      else if (opened.kind === 'password') canaries.push(canary(name, copy(opened.secret.reveal())));
      else throw new Error(`${name} is a ${opened.kind}`);
    }
  }
  for (const file of readdirSync(join(data, 'recordings'))) {
    const id = parseId<RecordingId>(file.split('.')[0] ?? '');
    if (id === undefined) throw new Error(`${file} is no recording`);
    using key = await vault.openRecordingKey(id);
    if (key === undefined) throw new Error(`${file} has no key`);
    canaries.push(canary(`key of recording ${id}`, copy(key.reveal())));
    const path = join(data, 'recordings', file);
    const pieces: Uint8Array[] = [];
    for await (const { detail } of readRecording(path, key, signal)) {
      const raw = 'bytes' in detail ? detail.bytes : 'payload' in detail ? detail.payload : undefined;
      pieces.push(raw instanceof Uint8Array ? copy(raw) : Buffer.from(JSON.stringify(detail)));
    }
    recordings.set(path, Buffer.concat(pieces));
  }
  return { canaries, recordings };
}

/** Bytes of a Secret are zeroed with it. */
function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

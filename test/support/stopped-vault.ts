/**
 * Looks into a product that has been stopped, with its root key: what its vault and its recordings really hold. For proofs
 * in tests and in the demo; the running product has no way to give these out.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { parseId, type RecordingId, type Sigkey } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import type { Secret } from '../../src/base/secret.ts';
import { openDatabase } from '../../src/db/db.ts';
import { startEmbedded } from '../../src/db/embedded.ts';
import { readRecording } from '../../src/recording/recording.ts';
import { accountNamed, openVault, versionsOf } from '../../src/vault/vault.ts';

export interface StoppedVault extends AsyncDisposable {
  /** The values of an account, newest first: a password's bytes, or a private key as OpenSSH writes it. */
  values(
    account: string,
  ): Promise<{ readonly sigkey: Sigkey; readonly current: boolean; readonly bytes: Uint8Array }[]>;
  /** All events of a recording, decrypted and decompressed, as one string of bytes each. */
  recording(id: string): Promise<{ readonly kind: string; readonly bytes: Uint8Array }[]>;
  /** The file of a recording, and its key, which is the caller's to dispose. */
  recordingFile(id: string): Promise<{ readonly path: string; readonly key: Secret }>;
  readonly url: string;
}

export async function openStoppedVault(data: string, rootKey: string): Promise<StoppedVault> {
  await using undo = new AsyncDisposableStack();
  const signal = new AbortController().signal;
  const server = undo.use(await startEmbedded({ dir: join(data, 'db'), log: silent }, signal));
  const db = undo.use(await openDatabase(server.appUrl, { max: 2 }, silent));
  const vault = undo.use(
    await openVault({ db, rootKeyPath: rootKey, dataDirectory: data, log: silent, clock: systemClock }, signal),
  );
  const actor = { kind: 'system', part: 'proof' } as const;
  const recordingFile: StoppedVault['recordingFile'] = async (id) => {
    const recording = parseId<RecordingId>(id);
    const name = readdirSync(join(data, 'recordings')).find((file) => file === `${id}.recording`);
    const key = recording === undefined ? undefined : await vault.openRecordingKey(recording);
    if (key === undefined || name === undefined) throw new Error(`no recording ${id}`);
    return { path: join(data, 'recordings', name), key };
  };
  const owned = undo.move();
  return {
    url: server.adminUrl,
    values: async (label) => {
      const account = await accountNamed(db, label);
      if (account === undefined) throw new Error(`no account ${label}`);
      const out = [];
      for (const version of await versionsOf(db, account.id)) {
        using opened = await vault.openVersion(account.id, version.sigkey, 'proof', actor);
        const secret =
          opened.kind === 'ssh-key' ? opened.privateKey : opened.kind === 'password' ? opened.secret : undefined;
        if (secret === undefined) throw new Error(`${label} is a ${opened.kind}`);
        out.push({ sigkey: version.sigkey, current: version.current, bytes: secret.reveal().slice() });
      }
      return out;
    },
    recordingFile,
    recording: async (id) => {
      const { path, key: borrowed } = await recordingFile(id);
      using key = borrowed;
      const out = [];
      for await (const { detail } of readRecording(path, key, signal)) {
        const own = 'bytes' in detail ? detail.bytes : 'payload' in detail ? detail.payload : undefined;
        const bytes = own instanceof Uint8Array ? own.slice() : Buffer.from(JSON.stringify(detail));
        out.push({ kind: detail.kind, bytes });
      }
      return out;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

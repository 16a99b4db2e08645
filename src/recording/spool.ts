/** The file of a recording while it is made: created new, appended to, made durable. Nothing is ever read or changed here. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { RecordingError } from './errors.ts';

export interface Spool {
  /** Resolves when all bytes given are on disk, false if the spool has failed. */
  write(blocks: readonly Uint8Array[]): Promise<boolean>;
  close(): Promise<void>;
}

function broken(cause: unknown): RecordingError {
  const code = codeOf(cause);
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new RecordingError(full ? 'recording.no-space' : 'recording.write', code, { cause });
}

/** Makes the file, for its owner only, with `header` in it. Its name is durable before this resolves. Throws RecordingError. */
export async function openSpool(
  path: string,
  header: Uint8Array,
  fail: (error: RecordingError) => void,
): Promise<Spool> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(path, flags, 0o600).catch((error: unknown) => {
    throw broken(error);
  });
  let failed = false;

  async function append(blocks: readonly Uint8Array[]): Promise<void> {
    for (const bytes of blocks) {
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
    }
    await file.datasync();
  }
  try {
    await append([header]);
    await using folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
    await folder.sync();
  } catch (error) {
    await file.close();
    throw broken(error);
  }
  return {
    async write(blocks) {
      if (failed) return false;
      try {
        await append(blocks);
        return true;
      } catch (error) {
        failed = true;
        fail(broken(error));
        return false;
      }
    },
    close: () => file.close(),
  };
}

/**
 * The root key file: 32 random bytes in a file of their own, outside the data directory, which only the keeper's user
 * can read. This file reads and makes it, and refuses every file that somebody else could have read or put there.
 * Whether it is the right key only the key ring can tell (`ring.ts`).
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, open, realpath, unlink } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { randomKey } from './envelope.ts';
import { VaultError } from './errors.ts';

const keyLength = 32;

/** The root key. Throws the `vault.rootkey-*` codes, each naming the path. */
export async function readRootKey(path: string, dataDirectory: string): Promise<Secret> {
  const real = await realpath(path).catch((error: unknown) => {
    throw new VaultError('vault.rootkey-missing', resolve(path), { cause: error });
  });
  await refuseInside(real, path, dataDirectory);
  await using file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      throw new VaultError('vault.rootkey-missing', `${resolve(path)} (${codeOf(error)})`, { cause: error });
    },
  );
  await refuseOpen(file, path);
  const key = new Uint8Array(keyLength);
  const { bytesRead } = await file.read(key, 0, keyLength, 0);
  if (bytesRead !== keyLength) throw new VaultError('vault.rootkey-malformed', resolve(path));
  return new Secret(key);
}

/**
 * Makes a root key file of mode 0400. The file appears whole or not at all, and an existing one is never touched
 * (`vault.rootkey-exists`). Whoever starts the keeper must keep a copy: nothing can be opened without it.
 */
export async function createRootKey(path: string, dataDirectory: string): Promise<void> {
  const folder = await realpath(dirname(resolve(path))).catch((error: unknown) => {
    throw new VaultError('vault.rootkey-missing', `no folder ${dirname(resolve(path))}`, { cause: error });
  });
  await refuseInside(join(folder, 'key'), path, dataDirectory);
  const draft = join(folder, `.root-key-${randomBytes(6).toString('hex')}`);
  using key = randomKey();
  try {
    await using file = await open(draft, 'wx', 0o400);
    await file.writeFile(key.reveal());
    await file.sync();
    // link refuses to overwrite, which rename does not.
    await link(draft, resolve(path)).catch((error: unknown) => {
      if (codeOf(error) === 'EEXIST') throw new VaultError('vault.rootkey-exists', resolve(path), { cause: error });
      throw error;
    });
  } finally {
    await unlink(draft).catch(() => {});
  }
  await using directory = await open(folder, 'r');
  await directory.sync();
}

async function refuseInside(real: string, path: string, dataDirectory: string): Promise<void> {
  const data = await realpath(dataDirectory).catch(() => resolve(dataDirectory));
  if (real === data || real.startsWith(data.endsWith(sep) ? data : data + sep))
    throw new VaultError('vault.rootkey-inside-data', `${resolve(path)} is inside ${data}`);
}

/** Judged on the open file, so that it cannot be exchanged between the look and the read. */
async function refuseOpen(file: FileHandle, path: string): Promise<void> {
  const status = await file.stat();
  if (!status.isFile()) throw new VaultError('vault.rootkey-malformed', resolve(path));
  const mode = status.mode & 0o7777;
  if ((mode & ~0o600) !== 0)
    throw new VaultError('vault.rootkey-too-open', `${resolve(path)} has mode 0${mode.toString(8)}`);
  const user = process.geteuid?.();
  if (status.uid !== user)
    throw new VaultError('vault.rootkey-too-open', `${resolve(path)} belongs to uid ${status.uid}, not to ${user}`);
  if (status.size !== keyLength) throw new VaultError('vault.rootkey-malformed', resolve(path));
}

/** W-03, P-01: the root key file and the files that are refused. */
import { chmod, chown, link, mkdir, mkdtempDisposable, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createRootKey, readRootKey } from '../../src/vault/root-key.ts';

async function folders() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'sallyport-rootkey-'));
  const data = join(dir.path, 'data');
  await mkdir(data);
  return { path: join(dir.path, 'root.key'), dir: dir.path, data, [Symbol.asyncDispose]: () => dir.remove() };
}

function coded(code: string, path: string) {
  return expect.objectContaining({ code: `vault.rootkey-${code}`, message: expect.stringContaining(path) });
}

test('a new root key is 32 random bytes that only its owner can read, and leaves no draft behind', async () => {
  await using at = await folders();
  await createRootKey(at.path, at.data);
  const status = await stat(at.path);
  expect([status.mode & 0o7777, status.size, status.nlink]).toEqual([0o400, 32, 1]);
  expect((await readdir(at.dir)).sort()).toEqual(['data', 'root.key']);
  using key = await readRootKey(at.path, at.data);
  await createRootKey(join(at.dir, 'other.key'), at.data);
  using other = await readRootKey(join(at.dir, 'other.key'), at.data);
  expect(key.equals(other)).toBe(false);
});

test('an existing root key is never overwritten', async () => {
  await using at = await folders();
  await createRootKey(at.path, at.data);
  using before = await readRootKey(at.path, at.data);
  await expect(createRootKey(at.path, at.data)).rejects.toEqual(coded('exists', at.path));
  using after = await readRootKey(at.path, at.data);
  expect(after.equals(before)).toBe(true);
  expect((await readdir(at.dir)).sort()).toEqual(['data', 'root.key']);
});

test('a missing file is refused with its path', async () => {
  await using at = await folders();
  await expect(readRootKey(at.path, at.data)).rejects.toEqual(coded('missing', at.path));
});

test.each([0o440, 0o404, 0o604, 0o620, 0o602, 0o644, 0o700, 0o4400])('mode %o is refused', async (mode) => {
  await using at = await folders();
  await createRootKey(at.path, at.data);
  await chmod(at.path, mode);
  await expect(readRootKey(at.path, at.data)).rejects.toEqual(coded('too-open', at.path));
});

test('modes 0400 and 0600 are taken', async () => {
  await using at = await folders();
  await createRootKey(at.path, at.data);
  for (const mode of [0o400, 0o600]) {
    await chmod(at.path, mode);
    using key = await readRootKey(at.path, at.data);
    expect(key.length).toBe(32);
  }
});

test('a file of another user is refused, even by root', async () => {
  await using at = await folders();
  await createRootKey(at.path, at.data);
  const asRoot = process.geteuid?.() === 0;
  if (asRoot) await chown(at.path, 12_345, 12_345);
  const path = asRoot ? at.path : '/etc/passwd';
  await expect(readRootKey(path, at.data)).rejects.toEqual(coded('too-open', path));
});

test.each([0, 31, 33, 44])('a file of %i bytes is refused', async (size) => {
  await using at = await folders();
  await writeFile(at.path, Buffer.alloc(size), { mode: 0o400 });
  await expect(readRootKey(at.path, at.data)).rejects.toEqual(coded('malformed', at.path));
});

test('a folder is refused', async () => {
  await using at = await folders();
  await mkdir(at.path, { mode: 0o700 });
  await expect(readRootKey(at.path, at.data)).rejects.toEqual(coded('malformed', at.path));
});

test('inside the data directory it is neither read nor made, and a link or a dotted path does not hide that', async () => {
  await using at = await folders();
  const inside = join(at.data, 'root.key');
  await expect(createRootKey(inside, at.data)).rejects.toEqual(coded('inside-data', inside));
  await createRootKey(at.path, at.data);
  await link(at.path, inside);
  await expect(readRootKey(inside, at.data)).rejects.toEqual(coded('inside-data', inside));
  await symlink(inside, join(at.dir, 'alias.key'));
  await expect(readRootKey(join(at.dir, 'alias.key'), at.data)).rejects.toEqual(coded('inside-data', 'alias.key'));
  await symlink(at.data, join(at.dir, 'door'));
  const through = join(at.dir, 'door', 'new.key');
  await expect(createRootKey(through, at.data)).rejects.toEqual(coded('inside-data', through));
  await mkdir(join(at.dir, 'x'));
  await expect(readRootKey(`${at.dir}/x/../data/root.key`, at.data)).rejects.toEqual(coded('inside-data', inside));
});

test('a folder beside the data directory whose name begins the same is outside', async () => {
  await using at = await folders();
  await mkdir(`${at.data}-keys`);
  const path = join(`${at.data}-keys`, 'root.key');
  await createRootKey(path, at.data);
  using key = await readRootKey(path, at.data);
  expect(key.length).toBe(32);
});

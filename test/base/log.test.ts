import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLog } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secret.ts';

test('a line of the log holds nothing that acts on a terminal, and the same value', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'log-'));
  const file = join(folder.path, 'log');
  const nasty = 'a\u001b[2Jb\u009b31mc\u202ed\u2028e\nf\u{e0041}g';
  openLog('test', 'info', file).info({ name: nasty, password: Secret.fromText('hidden word') }, nasty);
  const written = await readFile(file, 'utf8');
  expect(written.trimEnd()).toMatch(/^[^\p{Cc}\p{Cf}\u2028\u2029]*$/u);
  expect(JSON.parse(written)).toMatchObject({ room: 'test', name: nasty, msg: nasty, password: '[secret]' });
});

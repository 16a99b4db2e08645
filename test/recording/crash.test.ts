/** What is left when the recording process dies, or its disk is full: real processes, real signals, a real small disk. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { text } from '../../src/base/bytes.ts';
import { Secret } from '../../src/base/secret.ts';
import type { BlockReport } from '../../src/recording/recorder.ts';
import { sealRecording } from '../../src/recording/sealing.ts';
import { blocksOf, recordBlock, startRecording } from '../../src/recording/store.ts';
import { verifyRecording } from '../../src/recording/verify.ts';
import { testDatabase } from '../support/database.ts';
import { eventsOf, never, sealer, someHeader } from './made.ts';

const program = join(import.meta.dirname, 'recording-process.ts');

/** Lines of a child's standard output, until `stop` says so or it ends. */
async function linesUntil(child: ChildProcess, stop: (line: string) => boolean): Promise<string[]> {
  const lines: string[] = [];
  if (child.stdout === null) throw new Error('no output to read');
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (stop(line)) break;
  }
  return lines;
}

function reportOf(line: string): BlockReport {
  const parsed = JSON.parse(line.slice('reported '.length)) as Record<string, unknown>;
  const bytes = (name: string): Uint8Array => new Uint8Array(Buffer.from(String(parsed[name]), 'hex'));
  return { ...(parsed as unknown as BlockReport), hash: bytes('hash'), previous: bytes('previous') };
}

test('a recording process killed in the middle leaves all but its last two seconds, and is sealed as interrupted', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'sallyport-crash-'));
  await using database = await testDatabase();
  const { db } = database;
  const header = someHeader();
  using key = new Secret(new Uint8Array(randomBytes(32)));
  const { id, session, user, account, target, client } = header;
  await startRecording(db, {
    id,
    session,
    gate: 'gate',
    protocol: 'ssh',
    user,
    account,
    target,
    client,
    startedAt: new Date(header.startedAt),
  });
  const args = [program, folder.path, id, session, Buffer.from(key.reveal()).toString('hex')];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = await linesUntil(child, (line) => line.startsWith('reported {"number":2'));
  child.kill('SIGKILL');
  await once(child, 'close');

  const reports = lines.filter((line) => line.startsWith('reported ')).map(reportOf);
  // The keeper's answer to the last report was lost with the process.
  for (const report of reports.slice(0, -1)) expect(await recordBlock(db, id, 'gate', report)).toBeUndefined();
  const path = join(folder.path, id);
  const events = await eventsOf(path, key);
  const numbers = events.flatMap(({ detail }) => (detail.kind === 'output' ? [Number(text(detail.bytes))] : []));
  expect(numbers).toEqual(numbers.map((_, index) => index));
  const appended = lines.filter((line) => line.startsWith('appended ')).map((line) => line.split(' ').map(Number));
  const [, , last = 0] = appended.at(-1) ?? [];
  const [, , kept = 0] = appended[numbers.length - 1] ?? [];
  expect(last - kept).toBeLessThanOrEqual(2000);

  const store = join(folder.path, 'store');
  await mkdir(store);
  const signer = sealer();
  const row = await sealRecording(
    db,
    id,
    { spool: folder.path, store, signer, reason: 'the gate died', now: Date.now() },
    never,
  );
  expect(row).toMatchObject({ state: 'interrupted', reason: 'the gate died', blocks: 3 });
  const verdict = await verifyRecording(join(store, `${id}.recording`), {
    publicKey: signer.publicKey,
    blocks: await blocksOf(db, id),
    key,
  });
  expect(verdict).toMatchObject({ ok: true, state: 'interrupted', trusted: true });
});

test('a full disk fails the running recorder and refuses the next one; what was written before is whole', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'sallyport-full-'));
  const header = someHeader();
  using key = new Secret(new Uint8Array(randomBytes(32)));
  const hex = Buffer.from(key.reveal()).toString('hex');
  // A file system of its own, in a mount namespace of its own: nothing of it is left on the machine.
  const mount = `mount -t tmpfs -o size=2m,mode=0777 none '${folder.path}'`;
  const run = `'${process.execPath}' '${program}' '${folder.path}' ${header.id} ${header.session} ${hex} 65536`;
  const space = process.getuid?.() === 0 ? ['-m'] : ['-U', '-r', '-m'];
  const child = spawn('unshare', [...space, 'sh', '-c', `${mount} && ${run}; cat '${folder.path}/${header.id}' >&3`], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  });
  const file: Buffer[] = [];
  child.stdio[3]?.on('data', (bytes: Buffer) => file.push(bytes));
  const closed = once(child, 'close');
  const lines = await linesUntil(child, () => false);
  await closed;
  expect(lines.filter((line) => /^(failed|another)/.test(line))).toEqual([
    'failed recording.no-space',
    'another refused recording.no-space',
  ]);
  const path = join(folder.path, 'copy');
  await writeFile(path, Buffer.concat(file));
  const reports = lines.filter((line) => line.startsWith('reported ')).map(reportOf);
  expect(reports.length).toBeGreaterThan(1);
  const verdict = await verifyRecording(path, { blocks: reports, key, unsealed: true, id: header.id });
  expect(verdict).toMatchObject({ ok: true, state: 'open' });
});

/** Connector processes: whom they serve, how long they live, and what is said when they do not. */
import { writeFile } from 'node:fs/promises';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Job } from '../../../src/rotation/connectors/job.ts';
import { processRunner } from '../../../src/rotation/connectors/run.ts';
import { password, placeOf } from './machine.ts';
import { never, nowhere } from '../room.ts';

const frames = join(import.meta.dirname, '../../../src/rotation/connectors/frames.ts');

/** A program in the place of the worker: says its process number to each head, unless the account tells it otherwise. */
const program = `
import { frames, opened, writeFrame } from ${JSON.stringify(frames)};
for await (const parcel of frames(process.stdin)) {
  const [what, bytes] = opened(parcel);
  if (what !== 'head') continue;
  const { account } = JSON.parse(new TextDecoder().decode(bytes)).job.task;
  if (account === 'dies') process.exit(3);
  if (account === 'hangs') continue;
  const kind = account === 'surprises' ? 'unexpected' : 'none';
  const words = String(process.pid);
  writeFrame(process.stdout, new TextEncoder().encode(JSON.stringify({ type: 'answer', outcome: 'accepted', class: kind, words })));
}
process.exit(0);
`;

async function runner() {
  const folder = await mkdtempDisposable(join(tmpdir(), 'runner-'));
  const file = join(folder.path, 'program.ts');
  await writeFile(file, program);
  const run = processRunner(file);
  const ask = (account: string, port = 22, deadlineMs = 10_000, hostKeys: Uint8Array[] = []) => {
    const place = { ...placeOf({ ...nowhere } as never), port, hostKeys };
    const job: Job = {
      connector: 'linux-chpasswd',
      operation: 'verify',
      task: { place, account, settings: {} },
      login: { user: account, credential: password('x') },
    };
    return run(job, { deadlineMs }, never);
  };
  return {
    ask,
    close: () => run[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: async () => {
      await run[Symbol.asyncDispose]();
      await folder.remove();
    },
  };
}

const isGone = (pid: string): boolean => {
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch {
    return true;
  }
};

test('a process serves jobs of one target, one after the other, and never two targets', async () => {
  await using stage = await runner();
  const first = await stage.ask('a');
  const second = await stage.ask('b');
  const elsewhere = await stage.ask('a', 23);
  expect(second.words).toBe(first.words);
  expect(elsewhere.words).not.toBe(first.words);
});

test('two jobs at a time are two processes', async () => {
  await using stage = await runner();
  const [one, two] = await Promise.all([stage.ask('a'), stage.ask('b')]);
  expect(one.words).not.toBe(two.words);
});

test('a process that ends without a word has crashed, and the next job gets another', async () => {
  await using stage = await runner();
  const first = await stage.ask('a');
  expect(await stage.ask('dies')).toMatchObject({ outcome: 'crashed', class: 'unexpected' });
  const next = await stage.ask('b');
  expect(next).toMatchObject({ outcome: 'accepted' });
  expect(next.words).not.toBe(first.words);
});

test('one that died while it waited costs nothing: the job begins in another', async () => {
  await using stage = await runner();
  const first = await stage.ask('a');
  // It is dead before this process has heard of it.
  process.kill(Number(first.words), 'SIGKILL');
  const second = await stage.ask('b');
  expect(second).toMatchObject({ outcome: 'accepted' });
  expect(second.words).not.toBe(first.words);
});

test('whoever shows another host key is another target, at the same address too', async () => {
  await using stage = await runner();
  const first = await stage.ask('a', 22, 10_000, [Uint8Array.of(1)]);
  expect((await stage.ask('a', 22, 10_000, [Uint8Array.of(2)])).words).not.toBe(first.words);
  expect((await stage.ask('a', 22, 10_000, [Uint8Array.of(1)])).words).toBe(first.words);
});

test('after an answer that nobody foresaw the process gets no other job', async () => {
  await using stage = await runner();
  const first = await stage.ask('surprises');
  expect(isGone(first.words)).toBe(true);
  expect((await stage.ask('a')).words).not.toBe(first.words);
});

test('processes that wait end with whoever started them', async () => {
  await using stage = await runner();
  const pids = [(await stage.ask('a')).words, (await stage.ask('a', 23)).words];
  expect(pids.map(isGone)).toEqual([false, false]);
  await stage.close();
  expect(pids.map(isGone)).toEqual([true, true]);
});

test('a process that is late is ended, and nobody gets it again', async () => {
  await using stage = await runner();
  const first = await stage.ask('a');
  expect(await stage.ask('hangs', 22, 300)).toMatchObject({ outcome: 'late', class: 'timeout' });
  expect(isGone(first.words)).toBe(true);
  expect((await stage.ask('b')).words).not.toBe(first.words);
});

/** Playing and exporting: the right bytes at the right times, and nothing harmful in text. */
import { expect, test } from 'vitest';
import { text, utf8 } from '../../src/base/bytes.ts';
import type { EventDetail, RecordedEvent } from '../../src/recording/format/events.ts';
import { exportCast, exportEvents, exportText } from '../../src/recording/export.ts';
import { playTo } from '../../src/recording/playback.ts';
import { manualClock, never, someHeader } from './made.ts';

async function* events(
  list: readonly (readonly [seconds: number, channel: number, detail: EventDetail])[],
): AsyncGenerator<RecordedEvent> {
  for (const [seconds, channel, detail] of list) yield { at: seconds * 1e6, channel, detail };
}

const output = (words: string): EventDetail => ({ kind: 'output', bytes: utf8(words) });
const pty: EventDetail = { kind: 'pty', term: 'xterm', columns: 100, rows: 30, modes: new Uint8Array() };

async function gather<T>(parts: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const part of parts) all.push(part);
  return all;
}

async function played(options: { speed: number; maxIdle?: number; channel?: number }): Promise<[number, string][]> {
  const clock = manualClock(0);
  const seen: [number, string][] = [];
  const list = events([
    [0, 1, pty],
    [1, 1, output('a')],
    [1.5, 2, output('elsewhere')],
    [2, 1, output('b')],
    [100, 1, output('c')],
    [101, 1, output('d')],
  ]);
  let over = false;
  const playing = playTo((bytes) => void seen.push([clock.now(), text(bytes)]), list, options, clock, never).then(
    () => {
      over = true;
    },
  );
  while (!over) {
    clock.advance(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await playing;
  return seen;
}

test('a terminal sees what it saw, when it saw it', async () => {
  expect(await played({ speed: 10 })).toEqual([
    [100, 'a'],
    [200, 'b'],
    [10_000, 'c'],
    [10_100, 'd'],
  ]);
});

test('long pauses are cut to the limit, and only they', async () => {
  expect(await played({ speed: 1, maxIdle: 2000 })).toEqual([
    [1000, 'a'],
    [2000, 'b'],
    [4000, 'c'],
    [5000, 'd'],
  ]);
});

test('another channel can be asked for', async () => {
  expect(await played({ speed: 1, channel: 2 })).toEqual([[1500, 'elsewhere']]);
});

test('playing ends with its signal', async () => {
  const stop = new AbortController();
  const clock = manualClock(0);
  const playing = playTo(() => {}, events([[5, 1, output('late')]]), { speed: 1 }, clock, stop.signal);
  await clock.sleeper(5000);
  stop.abort(new Error('enough'));
  await expect(playing).rejects.toThrow('enough');
});

test('an asciicast of version 2: header, output, input, resizes, markers; split characters come whole', async () => {
  const bytes = utf8('žluť');
  const list = events([
    [0, 1, pty],
    [0.5, 1, { kind: 'output', bytes: bytes.subarray(0, 1) }],
    [0.6, 1, { kind: 'output', bytes: bytes.subarray(1) }],
    [1, 1, { kind: 'input', bytes: utf8('ls\r') }],
    [2, 1, { kind: 'resize', columns: 80, rows: 24 }],
    [3, 9, output('another channel')],
    [4, 0xffffffff, { kind: 'note', text: 'killed: revoked' }],
  ]);
  const header = someHeader({ startedAt: 1_760_000_000_500 });
  const lines = (await gather(exportCast(header, list, { idleLimit: 2 }))).map((line) => JSON.parse(line) as unknown);
  expect(lines).toEqual([
    {
      version: 2,
      width: 100,
      height: 30,
      timestamp: 1_760_000_000,
      idle_time_limit: 2,
      title: 'alice on root@web-01',
      env: { TERM: 'xterm' },
    },
    [0.6, 'o', 'žluť'],
    [1, 'i', 'ls\r'],
    [2, 'r', '80x24'],
    [4, 'm', 'killed: revoked'],
  ]);
});

test('text has the words and no escape sequence, wherever the bytes were cut', async () => {
  const whole = utf8(
    '\x1b]0;title\x07\x1b[1;32mgreen\x1b[0m plain\r\n\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x9b31m\x08tab\tend\x1b(B.\n',
  );
  for (let cut = 0; cut <= whole.length; cut++) {
    const parts = [whole.subarray(0, cut), whole.subarray(cut)].filter((part) => part.length > 0);
    const list = events(parts.map((bytes, index) => [index, 1, { kind: 'output', bytes }] as const));
    expect((await gather(exportText(list))).join('')).toBe('green plain\nlink tab\tend.\n');
  }
});

test('events as JSON lines: commands and files, but no terminal output', async () => {
  const list = events([
    [0, 1, { kind: 'exec', command: utf8('rsync --server') }],
    [1, 1, output('not here')],
    [
      2,
      1,
      {
        kind: 'file',
        action: 'transfer',
        direction: 'up',
        path: '/a',
        to: '',
        size: 3,
        sha256: 'ab'.repeat(32),
        remark: '',
      },
    ],
    [3, 1, { kind: 'request', name: 'x', bytes: utf8('\x1b') }],
  ]);
  const lines = (await gather(exportEvents(list))).map((line) => JSON.parse(line) as unknown);
  expect(lines).toEqual([
    { at: 0, channel: 1, kind: 'exec', command: 'rsync --server' },
    {
      at: 2,
      channel: 1,
      kind: 'file',
      action: 'transfer',
      direction: 'up',
      path: '/a',
      to: '',
      size: 3,
      sha256: 'ab'.repeat(32),
      remark: '',
    },
    { at: 3, channel: 1, kind: 'request', name: 'x', bytes: '1b' },
  ]);
});

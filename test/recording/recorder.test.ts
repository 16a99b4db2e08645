/** The recorder: what is appended is in the file, encrypted, in order, in time, and reported. */
import { existsSync, readFileSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { text, utf8 } from '../../src/base/bytes.ts';
import { refuse } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import type { EventDetail } from '../../src/recording/format/events.ts';
import { maxBody, sessionChannel } from '../../src/recording/format/limits.ts';
import { type BlockReport, openRecorder } from '../../src/recording/recorder.ts';
import { joinUpdates } from '../../src/recording/updates.ts';
import { canary, searchBytes } from '../support/canary.ts';
import { desktopDetails } from './desktop-details.ts';
import { eventsOf, made, manualClock, never, someHeader } from './made.ts';

const details = fc.oneof<fc.Arbitrary<EventDetail>[]>(
  fc.record({ kind: fc.constant('output' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }) }),
  fc.record({ kind: fc.constant('error-output' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
  fc.record({ kind: fc.constant('note' as const), text: fc.string({ unit: 'grapheme' }) }),
  fc.record({ kind: fc.constant('resize' as const), columns: fc.nat(5000), rows: fc.nat(5000) }),
  fc.record({ kind: fc.constant('exec' as const), command: fc.uint8Array({ maxLength: 100 }) }),
  fc.record({ kind: fc.constant('env' as const), name: fc.string(), value: fc.string({ unit: 'grapheme' }) }),
  fc.record({
    kind: fc.constant('file' as const),
    action: fc.constantFrom('transfer' as const, 'remove' as const, 'rename' as const, 'chmod' as const),
    direction: fc.constantFrom('up' as const, 'down' as const),
    path: fc.string({ unit: 'grapheme' }),
    to: fc.string(),
    size: fc.maxSafeNat(),
    remark: fc.string(),
    mode: fc.nat(0o7777),
    sha256: fc.constantFrom('0'.repeat(64), 'f'.repeat(64)),
  }),
  fc.record({ kind: fc.constant('exit-status' as const), status: fc.nat() }),
  fc.record({
    kind: fc.constant('unknown' as const),
    code: fc.integer({ min: 0xc0, max: 0xff }),
    bytes: fc.uint8Array(),
  }),
  desktopDetails,
);

test('what is recorded is read back, in order and at its time, over any number of blocks', async () => {
  const step = fc.record({ after: fc.nat(5000), channel: fc.nat(0xffffffff), detail: details, cut: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 200, 5000), async (steps, blockBytes) => {
      await using it = await made({ limits: { blockBytes }, keys: 'all' });
      const expected = [{ at: 0, channel: sessionChannel, detail: { kind: 'start', text: '' } as EventDetail }];
      let at = 0;
      for (const { after, channel, detail, cut } of steps) {
        at += after;
        it.recorder.record(detail, channel, it.at(at / 1000));
        expected.push({ at: at * 1000, channel, detail });
        if (cut) it.clock.advance(1000);
      }
      it.recorder.finish('done');
      await it.recorder[Symbol.asyncDispose]();
      const events = await it.events();
      expect(events.at(-1)?.detail).toEqual({ kind: 'end', reason: 'done' });
      expect(events.slice(0, -1)).toEqual(expected);
      expect(it.reports.map((block) => block.number)).toEqual(it.reports.map((_, index) => index));
    }),
    { numRuns: 40 },
  );
});

test('an update longer than an event is split, and joined again', async () => {
  await using it = await made();
  const payload = Uint8Array.from({ length: 3 * maxBody + 5 }, (_, index) => index % 251);
  it.recorder.record({ kind: 'picture', code: 1, payload }, 4, it.at(1));
  it.recorder.record({ kind: 'pointer', code: 5, payload: new Uint8Array() }, 4, it.at(2));
  await it.recorder[Symbol.asyncDispose]();
  expect((await it.events()).filter(({ detail }) => detail.kind === 'picture')).toHaveLength(4);
  const updates = joinUpdates();
  const joined = (await it.events()).map((event) => updates.join(event)).filter((event) => event !== undefined);
  expect(joined.slice(1, 3)).toEqual([
    { at: 1_000_000, channel: 4, detail: { kind: 'picture', code: 1, payload } },
    { at: 2_000_000, channel: 4, detail: { kind: 'pointer', code: 5, payload: new Uint8Array() } },
  ]);
});

test('no recorder before its first block is durable and the keeper knows it', async () => {
  const asked = Promise.withResolvers<{ block: BlockReport; size: number }>();
  const answer = Promise.withResolvers<undefined>();
  let path = '';
  let resolved = false;
  const header = someHeader();
  const opening = made({
    header,
    report: async (block) => {
      asked.resolve({ block, size: 0 });
      return answer.promise;
    },
  }).then((it) => {
    resolved = true;
    path = it.path;
    return it;
  });
  const { block } = await asked.promise;
  expect(block.number).toBe(0);
  expect(resolved).toBe(false);
  answer.resolve(undefined);
  await using it = await opening;
  expect((await stat(path)).size).toBe(block.offset + block.length);
  expect((await it.events()).map((event) => event.detail.kind)).toEqual(['start']);
});

test('a block is closed after a second, however little is in it', async () => {
  await using it = await made();
  it.recorder.append('output', 1, utf8('$ '), it.at(0.1));
  const reported = waitFor(it.reports, 2);
  await it.clock.sleeper(1000);
  it.clock.advance(1000);
  await reported;
  expect((await it.events()).at(-1)?.detail).toEqual({ kind: 'output', bytes: utf8('$ ') });
});

/** Resolves when the list has so many members. */
async function waitFor(list: readonly unknown[], length: number): Promise<void> {
  while (list.length < length) await new Promise((resolve) => setImmediate(resolve));
}

test('long stream data is split, and nothing of it is lost', async () => {
  await using it = await made();
  const bytes = new Uint8Array(3 * maxBody + 17).map((_, index) => (index * 7) % 251);
  it.recorder.append('output', 4, bytes, it.at(1));
  await it.recorder[Symbol.asyncDispose]();
  const parts = (await it.events()).flatMap(({ detail }) => (detail.kind === 'output' ? [detail.bytes] : []));
  expect(parts.every((part) => part.length <= maxBody)).toBe(true);
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
});

test('a bulk transfer is kept byte for byte, though the memory of written blocks is used again', async () => {
  await using it = await made();
  const pieces = Array.from({ length: 120 }, (_, index) => new Uint8Array(32_768).fill(index));
  for (const piece of pieces) {
    it.recorder.append('output', 1, piece, it.at(1));
    while (it.recorder.congested) await new Promise((resolve) => setImmediate(resolve));
  }
  await it.recorder[Symbol.asyncDispose]();
  const parts = (await it.events()).flatMap(({ detail }) => (detail.kind === 'output' ? [detail.bytes] : []));
  expect(Buffer.concat(parts).equals(Buffer.concat(pieces))).toBe(true);
  expect(it.reports.length).toBeGreaterThan(10);
});

test('a clock that goes backwards does not make time run backwards in the recording', async () => {
  await using it = await made();
  it.recorder.append('output', 1, utf8('a'), it.at(5));
  it.recorder.append('output', 1, utf8('b'), it.at(3));
  it.recorder.append('output', 1, utf8('c'), it.at(-9));
  await it.recorder[Symbol.asyncDispose]();
  expect((await it.events()).map((event) => event.at)).toEqual([0, 5e6, 5e6, 5e6, 5e6]);
});

test('a canary that went through the session is not on the disk in any form', async () => {
  await using it = await made();
  const secret = canary('typed', 'Hb7-canary-gilt-finch');
  it.recorder.record({ kind: 'exec', command: secret.bytes }, 1, it.at(1));
  it.recorder.append('output', 1, secret.bytes, it.at(1));
  it.recorder.append('input', 1, secret.bytes, it.at(1));
  await it.recorder[Symbol.asyncDispose]();
  expect((await it.events()).filter(({ detail }) => detail.kind === 'output')).toHaveLength(1);
  const file = readFileSync(it.path);
  expect(searchBytes([secret], it.path, file)).toEqual([]);
  expect(searchBytes([canary('who', 'root@web-01')], it.path, file)).not.toEqual([]);
  expect(file.includes(Buffer.from(it.key.reveal()))).toBe(false);
});

test('the file is for its owner alone, and an existing one is not touched', async () => {
  await using it = await made();
  expect((await stat(it.path)).mode & 0o777).toBe(0o600);
  const before = readFileSync(it.path);
  await expect(made({ spool: it.path })).rejects.toMatchObject({ code: 'recording.write' });
  expect(readFileSync(it.path).equals(before)).toBe(true);
});

test('a key of another length is refused before a file is made', async () => {
  await using it = await made();
  const path = `${it.path}.other`;
  const options = { header: it.header, key: new Secret(new Uint8Array(16)), spool: path, clock: it.clock };
  const report = (): Promise<undefined> => Promise.resolve(undefined);
  await expect(openRecorder({ ...options, report }, never)).rejects.toMatchObject({ code: 'recording.key' });
  expect(existsSync(path)).toBe(false);
});

test('a keeper that refuses a block ends the recording at once', async () => {
  let refused = false;
  await using it = await made({
    report: () => Promise.resolve(refused ? refuse('recording.block-rewritten', 'not so') : undefined),
  });
  refused = true;
  it.recorder.append('output', 1, utf8('x'), it.at(1));
  const failed = new Promise((resolve) => it.recorder.failed.addEventListener('abort', resolve, { once: true }));
  await it.clock.sleeper(1000);
  it.clock.advance(1000);
  await failed;
  expect(it.recorder.failed.reason).toMatchObject({ code: 'recording.refused' });
});

test('a keeper that is away for less than the limit gets every block later, in order', async () => {
  let away = false;
  const told: number[] = [];
  const clock = manualClock();
  await using it = await made({
    clock,
    report: (block) => {
      if (away) return Promise.reject(new Error('ECONNREFUSED'));
      told.push(block.number);
      return Promise.resolve(undefined);
    },
  });
  away = true;
  it.recorder.append('output', 1, utf8('while the keeper was away'), it.at(1));
  await clock.sleeper(1000);
  clock.advance(1000);
  await clock.sleeper(29_000);
  const until = clock.now() + 29_000;
  while (clock.now() < until) {
    clock.advance(50);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(it.recorder.failed.aborted).toBe(false);
  expect((await it.events()).map(({ detail }) => detail.kind)).toContain('output');
  expect(told).toEqual([0]);
  away = false;
  while (told.length < 2) {
    clock.advance(50);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(told).toEqual([0, 1]);
});

test.each(['refuses connections', 'never answers'])(
  'a keeper that %s for 30 s fails the recorder, and the file stays',
  async (how) => {
    let away = false;
    const clock = manualClock();
    await using it = await made({
      clock,
      report: () => {
        if (!away) return Promise.resolve(undefined);
        return how === 'never answers' ? new Promise(() => {}) : Promise.reject(new Error('ECONNREFUSED'));
      },
    });
    away = true;
    it.recorder.append('output', 1, utf8('kept'), it.at(1));
    await clock.sleeper(1000);
    clock.advance(1000);
    await clock.sleeper(29_000);
    const since = clock.now();
    while (!it.recorder.failed.aborted) {
      clock.advance(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(it.recorder.failed.reason).toMatchObject({ code: 'recording.keeper-away' });
    expect(clock.now() - since).toBeGreaterThanOrEqual(29_000);
    expect(clock.now() - since).toBeLessThan(32_000);
    await it.recorder[Symbol.asyncDispose]();
    const events = await it.events();
    expect(events.map(({ detail }) => detail.kind)).toEqual(['start', 'output', 'end']);
  },
);

test('too much that is not durable is congestion, and it is told when it is over', async () => {
  await using it = await made({ limits: { queueBytes: 100_000, blockBytes: 40_000 } });
  expect(it.recorder.congested).toBe(false);
  const drained = new Promise<void>((resolve) => it.recorder.onDrain(resolve));
  for (let n = 0; n < 4; n++) it.recorder.append('output', 1, new Uint8Array(40_000), it.at(1));
  expect(it.recorder.congested).toBe(true);
  await drained;
  expect(it.recorder.congested).toBe(false);
  expect(it.recorder.failed.aborted).toBe(false);
});

test('who ignores the congestion loses the recorder, not the memory of the gate', async () => {
  await using it = await made({ limits: { queueBytes: 100_000, blockBytes: 40_000 } });
  for (let n = 0; n < 100; n++) it.recorder.append('output', 1, new Uint8Array(40_000), it.at(1));
  expect(it.recorder.failed.reason).toMatchObject({ code: 'recording.overrun' });
});

test('after its end a recorder takes nothing more', async () => {
  await using it = await made();
  await it.recorder[Symbol.asyncDispose]();
  const { size } = await stat(it.path);
  it.recorder.append('output', 1, utf8('late'), it.at(9));
  await it.recorder[Symbol.asyncDispose]();
  expect((await stat(it.path)).size).toBe(size);
});

test('what a person types blindly is not in the recording', async () => {
  await using it = await made();
  const { recorder } = it;
  recorder.record({ kind: 'pty', term: 'xterm', columns: 80, rows: 24, modes: new Uint8Array() }, 1, it.at(0));
  for (const character of 'sudo id') {
    recorder.append('input', 1, utf8(character), it.at(1));
    recorder.append('output', 1, utf8(character), it.at(1));
  }
  recorder.append('input', 1, utf8('\r'), it.at(2));
  recorder.append('output', 1, utf8('\r\n[sudo] password for alice: '), it.at(2));
  for (const character of 'hunter2!') recorder.append('input', 1, utf8(character), it.at(3));
  recorder.append('input', 1, utf8('\r'), it.at(3));
  recorder.append('output', 1, utf8('\r\nuid=0(root)\r\n'), it.at(4));
  recorder.append('input', 1, utf8('half a secr'), it.at(5));
  recorder.record({ kind: 'channel-close' }, 1, it.at(6));
  await recorder[Symbol.asyncDispose]();
  const events = await eventsOf(it.path, it.key);
  const typed = events.flatMap(({ detail }) => {
    return detail.kind === 'input' ? [text(detail.bytes)] : detail.kind === 'input-masked' ? ['(masked)'] : [];
  });
  expect(typed).toEqual(['sudo id\r', '(masked)', '(masked)']);
});

test('a file that stands in the way of the spool is an error of the recorder', async () => {
  await using it = await made();
  const path = `${it.path}.taken`;
  await writeFile(path, 'mine');
  await expect(made({ spool: path })).rejects.toMatchObject({ code: 'recording.write' });
});

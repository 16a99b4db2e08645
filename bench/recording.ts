/**
 * What recording costs: CPU on the hot path and in all, throughput to the disk, and the size of files.
 *
 *   node bench/recording.ts [FOLDER]     FOLDER is where the spool lies; the system's temporary folder unless given
 */
import { randomBytes } from 'node:crypto';
import { mkdtempDisposable, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../src/base/clock.ts';
import type { RecordingId, SessionId } from '../src/base/ids.ts';
import { newId } from '../src/base/new-id.ts';
import { Secret } from '../src/base/secret.ts';
import { openRecorder, type Recorder } from '../src/recording/recorder.ts';
import { readRecording, verifyRecording } from '../src/recording/recording.ts';

const never = new AbortController().signal;
await using folder = await mkdtempDisposable(join(process.argv[2] ?? tmpdir(), 'sallyport-bench-'));
const key = new Secret(new Uint8Array(randomBytes(32)));
let clock: Clock = systemClock;

async function recorder(name: string): Promise<Recorder> {
  const header = {
    id: newId<RecordingId>(),
    session: newId<SessionId>(),
    protocol: 'ssh',
    user: 'bench',
    account: 'root@bench',
    target: 'bench',
    client: '',
    startedAt: clock.now(),
  } as const;
  const report = (): Promise<undefined> => Promise.resolve(undefined);
  return openRecorder({ header, key, spool: join(folder.path, name), report, clock }, never);
}

function seconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1e6;
}

/** Text as a directory listing makes it. */
function listing(size: number): Uint8Array {
  let out = '';
  for (let n = 0; out.length < size; n++) {
    const digits = ((n * 2654435761) >>> 0).toString(16);
    out += `-rw-r--r-- 1 root root ${(n * 7919) % 1000000} Nov ${n % 28} 10:${n % 60} file-${digits}.txt\r\n`;
  }
  return new TextEncoder().encode(out.slice(0, size));
}

/** Appends `total` bytes in pieces of 32 KiB, pausing when the recorder is congested. */
async function bulk(name: string, data: Uint8Array, total: number): Promise<void> {
  const one = await recorder(name);
  let drained = Promise.withResolvers<void>();
  one.onDrain(() => drained.resolve());
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  let hot = 0;
  for (let done = 0; done < total; done += 32768) {
    const from = done % (data.length - 32768);
    const before = performance.now();
    one.append('output', 1, data.subarray(from, from + 32768), clock.now());
    hot += performance.now() - before;
    if (one.congested) {
      drained = Promise.withResolvers();
      if (one.congested) await drained.promise;
    }
    if (one.failed.aborted) throw one.failed.reason;
  }
  await one[Symbol.asyncDispose]();
  const took = (performance.now() - began) / 1000;
  const gigabytes = total / 1e9;
  const { size } = await stat(join(folder.path, name));
  console.log(
    `${name}: ${(total / 1e6 / took).toFixed(0)} MB/s, CPU ${(seconds(process.cpuUsage(cpu)) / gigabytes).toFixed(2)} s/GB,`,
    `of that append ${(hot / 1000 / gigabytes).toFixed(2)} s/GB; file ${((100 * size) / total).toFixed(1)} % of the stream`,
  );
}

/** An interactive session of `minutes`, played at once on a clock of its own: `each` second gives the outputs of that second. */
async function interactive(name: string, minutes: number, each: (second: number) => readonly string[]): Promise<void> {
  const real = clock;
  let now = real.now();
  const sleepers: { until: number; wake: () => void }[] = [];
  clock = {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        sleepers.push({ until: now + ms, wake: resolve });
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
  };
  const one = await recorder(name);
  const cpu = process.cpuUsage();
  let raw = 0;
  for (let second = 0; second < 60 * minutes; second++) {
    for (const words of each(second)) {
      now += 100;
      raw += words.length;
      one.append('output', 1, new TextEncoder().encode(words), now);
    }
    now = real.now() + 1000 * (second + 1) + 1_000_000;
    for (const sleeper of sleepers.splice(0)) sleeper.wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await one[Symbol.asyncDispose]();
  clock = real;
  const { size } = await stat(join(folder.path, name));
  const hours = minutes / 60;
  console.log(
    `${name}: raw ${(raw / 1e6 / hours).toFixed(2)} MB/h, file ${(size / 1e6 / hours).toFixed(2)} MB/h,`,
    `CPU ${((1000 * seconds(process.cpuUsage(cpu))) / (60 * minutes)).toFixed(2)} ms per recorded second`,
  );
}

const text = listing(4_000_000);
for (let round = 0; round < 3; round++) await bulk(`listing-${round}`, text, 400_000_000);
await bulk('random', new Uint8Array(randomBytes(4_000_000)), 400_000_000);

const cell = (n: number): string => ((n * 2654435761) >>> 0).toString(10).slice(0, 4);
await interactive('top', 10, (second) => [
  `\x1b[H${Array.from({ length: 38 }, (_, row) => `${1000 + row} root  20   0 ${cell(second * 40 + row)}00 ${cell(row)} S  0.${(second + row) % 9}  process-${row}\x1b[K`).join('\r\n')}`,
]);
await interactive('typing', 10, (second) => {
  const command = `ls -l /var/log/file-${cell(second >> 3)}.log`;
  const phase = second % 8;
  if (phase < 6) return command.slice(phase * 6, phase * 6 + 6).split('');
  if (phase === 6)
    return ['\r\n', new TextDecoder().decode(listing(300 + (second % 5) * 200)), '\x1b[1;32mroot@web-01\x1b[0m:~# '];
  return [];
});

const before = process.memoryUsage().rss;
const idle: Recorder[] = [];
for (let n = 0; n < 500; n++) idle.push(await recorder(`idle-${n}`));
for (const one of idle) one.append('output', 1, new TextEncoder().encode('$ '), clock.now());
await new Promise((resolve) => setTimeout(resolve, 3000));
console.log(`idle recorders: ${((process.memoryUsage().rss - before) / 500 / 1024).toFixed(1)} KiB each`);
for (const one of idle) await one[Symbol.asyncDispose]();

const path = join(folder.path, 'listing-0');
const [began, size] = [performance.now(), (await readFile(path)).length];
await verifyRecording(path, { unsealed: true });
console.log(`verify: ${(size / 1e6 / ((performance.now() - began) / 1000)).toFixed(0)} MB/s of file`);
const reading = performance.now();
let bytes = 0;
for await (const { detail } of readRecording(path, key, never))
  if (detail.kind === 'output') bytes += detail.bytes.length;
console.log(`read: ${(bytes / 1e6 / ((performance.now() - reading) / 1000)).toFixed(0)} MB/s of stream`);

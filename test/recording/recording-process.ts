/**
 * A process that records, to be killed, or to run out of disk: `FOLDER ID SESSION KEY`. It appends the number of the event as output,
 * and writes lines to standard output: `appended N MS`, `reported N`, `failed CODE`. It ends when its recorder fails.
 */
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { codeOf } from '../../src/base/errors.ts';
import type { RecordingId, SessionId } from '../../src/base/ids.ts';
import { Secret } from '../../src/base/secret.ts';
import { type BlockReport, openRecorder } from '../../src/recording/recorder.ts';
import { someHeader } from './made.ts';

const [folder = '', id = '', session = '', key = '', filler = '0'] = process.argv.slice(2);
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const header = someHeader({
  id: id as RecordingId,
  session: session as SessionId,
  startedAt: 1_760_000_000_000,
});

async function recorder(name: string): ReturnType<typeof openRecorder> {
  const secret = new Secret(new Uint8Array(Buffer.from(key, 'hex')));
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const report = (block: BlockReport): Promise<undefined> => {
    say(`reported ${JSON.stringify({ ...block, hash: hex(block.hash), previous: hex(block.previous) })}`);
    return Promise.resolve(undefined);
  };
  return openRecorder(
    { header, key: secret, spool: join(folder, name), report, clock: systemClock },
    new AbortController().signal,
  );
}

const begun = Date.now();
const running = await recorder(id);
const noise = new Uint8Array(Number(filler));
let number = 0;
const ticker = setInterval(() => {
  const now = Date.now() - begun;
  if (noise.length > 0) crypto.getRandomValues(noise.subarray(0, 65536));
  running.append('output', 1, new TextEncoder().encode(`${number}\n`), header.startedAt + now);
  if (noise.length > 0 && !running.congested) running.append('output', 1, noise, header.startedAt + now);
  say(`appended ${number++} ${now}`);
}, 5);
running.failed.addEventListener('abort', () => {
  say(`failed ${codeOf(running.failed.reason)}`);
  clearInterval(ticker);
  recorder('another').then(
    () => say('another opened'),
    (error: unknown) => say(`another refused ${codeOf(error)}`),
  );
});

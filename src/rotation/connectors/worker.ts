/**
 * The connector process: one job from standard input, one answer to standard output, then the end. It parses what a
 * hostile target may say, so it holds one account's secrets for one login and nothing else. When its input ends before
 * it has answered, whoever started it is gone, and it ends at once.
 */
import type { Secret } from '../../base/secret.ts';
import { wordsOf } from '../../base/errors.ts';
import { RotationError } from '../errors.ts';
import type { Connector } from './connector.ts';
import { frames, writeFrame } from './frames.ts';
import { type Answer, type Job, secretsOf, unpackJob } from './job.ts';
import { connectorNamed } from './registry.ts';
import { scan } from './scan.ts';

const waiting: ((signature: Uint8Array) => void)[] = [];

async function main(): Promise<void> {
  const input = frames(process.stdin);
  const head = await take(input);
  const bytes: Uint8Array[] = [];
  for (let left = secretsOf(head); left > 0; left--) bytes.push(await take(input));
  const { job, secrets } = unpackJob(head, bytes, (signer, data, algorithm) => {
    const signature = new Promise<Uint8Array>((resolve) => waiting.push(resolve));
    say({ type: 'sign', signer, algorithm, data: Buffer.from(data).toString('base64') });
    return signature;
  });
  void answerSignatures(input);
  const { outcome, class: kind, words } = await run(job).catch(broken(job));
  const shown = job.operation === 'scan' && outcome === 'confirmed' ? words : presentable(words, secrets);
  say({ type: 'answer', outcome, class: kind, words: shown });
  for (const secret of secrets) secret[Symbol.dispose]();
  process.stdout.end(() => process.exit(0));
}

async function run(job: Job): Promise<Answer> {
  const signal = new AbortController().signal;
  if (job.operation === 'scan') return scan(job.address, job.port, signal);
  const connector = connectorNamed(job.connector);
  if (connector === undefined) throw new RotationError('rotation.no-connector', job.connector);
  if (job.operation === 'verify') {
    const { answer, ...rest } = await connector.verify(job.place, job.login, signal);
    return { outcome: answer, ...rest };
  }
  const { said, ...rest } = await change(connector, job, signal);
  return { outcome: said, ...rest };
}

async function change(connector: Connector, job: Exclude<Job, { operation: 'verify' | 'scan' }>, signal: AbortSignal) {
  switch (job.operation) {
    case 'precheck':
      return connector.precheck(job.work, signal);
    case 'change':
      return connector.change(job.work, job.fresh, signal);
    case 'retire':
      return connector.retire(job.work, job.former, signal);
    default:
      return job satisfies never;
  }
}

/** Connectors answer; what they throw nobody foresaw, so nobody knows what the target did. */
function broken(job: Job): (error: unknown) => Answer {
  return (error) => ({
    outcome: job.operation === 'verify' ? 'unknown' : 'uncertain',
    class: 'unexpected',
    words: wordsOf(error),
  });
}

async function answerSignatures(input: AsyncGenerator<Uint8Array>): Promise<void> {
  for await (const signature of input) waiting.shift()?.(signature);
  process.exit(1);
}

async function take(input: AsyncGenerator<Uint8Array, void, void>): Promise<Uint8Array> {
  const next = await input.next();
  if (next.done === true) process.exit(1);
  return next.value;
}

function say(message: object): void {
  writeFrame(process.stdout, new TextEncoder().encode(JSON.stringify(message)));
}

/** One line of at most 500 characters, without control characters and without any secret of the job. */
function presentable(words: string, secrets: readonly Secret[]): string {
  let clean = words;
  for (const secret of secrets)
    if (secret.length > 0) clean = clean.replaceAll(Buffer.from(secret.reveal()).toString(), '[secret]');
  return clean
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 500);
}

await main();

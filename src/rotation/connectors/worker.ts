/**
 * The connector process: jobs from standard input, one after the other, an answer to each on standard output. It parses
 * what a hostile target may say, so all its jobs are about one target, and it holds the secrets of one job at a time.
 * When its input ends, whoever started it is gone or has no further job, and it ends at once.
 */
import type { Secret } from '../../base/secret.ts';
import { wordsOf } from '../../base/errors.ts';
import { RotationError } from '../errors.ts';
import type { ChangeAnswer, VerifyAnswer } from './connector.ts';
import { entries } from './entries.ts';
import { frames, opened, writeFrame } from './frames.ts';
import { type Answer, type Job, secretsOf, unpackJob } from './job.ts';

const waiting: ((signature: Uint8Array) => void)[] = [];

async function main(): Promise<void> {
  let head: Uint8Array | undefined;
  let secrets: Uint8Array[] = [];
  for await (const parcel of frames(process.stdin)) {
    const [kind, bytes] = opened(parcel);
    if (kind === 'signature') waiting.shift()?.(bytes);
    else if (kind === 'head') head = bytes;
    else secrets.push(bytes);
    if (head === undefined || secrets.length < secretsOf(head)) continue;
    void serve(head, secrets);
    head = undefined;
    secrets = [];
  }
  process.exit(0);
}

/** One job. It is not waited for: while it runs, signatures come by the same pipe. */
async function serve(head: Uint8Array, bytes: readonly Uint8Array[]): Promise<void> {
  say({ type: 'begun' });
  const { job, secrets } = unpackJob(head, bytes, (signer, data, algorithm) => {
    const signature = new Promise<Uint8Array>((resolve) => waiting.push(resolve));
    say({ type: 'sign', signer, algorithm, data: Buffer.from(data).toString('base64') });
    return signature;
  });
  const answer = await run(job).catch(broken(job));
  const shown = job.operation === 'scan' && answer.outcome === 'confirmed' ? answer : presentable(answer, secrets);
  for (const secret of secrets) secret[Symbol.dispose]();
  say({ type: 'answer', ...shown });
}

async function run(job: Job): Promise<Answer> {
  const signal = new AbortController().signal;
  if (job.operation === 'scan') {
    const { protocol, address, port } = job;
    if (protocol === 'rdp') return (await import('./scan-certificate.ts')).scanCertificate(address, port, signal);
    return (await import('./scan.ts')).scan(address, port, signal);
  }
  const connector = await entries.get(job.connector)?.();
  if (connector === undefined) throw new RotationError('rotation.no-connector', job.connector);
  switch (job.operation) {
    case 'verify':
      return verified(await connector.verify(job.task, job.login, signal));
    case 'adminverify': {
      const { task, admin, candidates, budget } = job;
      const each = await connector.adminverify(task, admin, candidates, budget, signal);
      return { outcome: 'confirmed', class: 'none', words: '', each };
    }
    case 'precheck':
      return changed(await connector.precheck(job.work, signal));
    case 'change':
      return changed(await connector.change(job.work, job.fresh, signal));
    case 'reconcile':
      return changed(await (connector.reconcile ?? connector.change)(job.work, job.fresh, signal));
    case 'retire':
      return changed((await connector.retire?.(job.work, job.former, signal)) ?? nothingToDo);
    case 'fence':
      return changed((await connector.fence?.(job.work, signal)) ?? unfenced);
    default:
      return job satisfies never;
  }
}

const nothingToDo: ChangeAnswer = { said: 'confirmed', class: 'none', words: '' };
const unfenced: ChangeAnswer = { said: 'uncertain', class: 'unsupported', words: 'nothing there can be ended by name' };

function changed({ said, ...rest }: ChangeAnswer): Answer {
  return { outcome: said, ...rest };
}

function verified({ answer, class: kind, words, counts }: VerifyAnswer): Answer {
  return { outcome: answer, class: kind, words, ...(counts === true ? { counts } : {}) };
}

/** Connectors answer; what they throw nobody foresaw, so nobody knows what the target did. */
function broken(job: Job): (error: unknown) => Answer {
  return (error) => ({
    outcome: job.operation === 'verify' || job.operation === 'adminverify' ? 'unknown' : 'uncertain',
    class: 'unexpected',
    words: wordsOf(error),
  });
}

function say(message: object): void {
  writeFrame(process.stdout, new TextEncoder().encode(JSON.stringify(message)));
}

/** Words are one line of at most 500 characters, without control characters and without any secret of the job. */
function presentable(answer: Answer, secrets: readonly Secret[]): Answer {
  const texts = secrets.filter((secret) => secret.length > 0).map((secret) => Buffer.from(secret.reveal()).toString());
  const clean = (words: string): string => {
    let shown = words;
    for (const text of texts) shown = shown.replaceAll(text, '[secret]');
    return shown
      .replace(/\p{Cc}+/gu, ' ')
      .trim()
      .slice(0, 500);
  };
  const { each } = answer;
  const parts = each === undefined ? {} : { each: each.map((one) => ({ ...one, words: clean(one.words) })) };
  return { ...answer, words: clean(answer.words), ...parts };
}

await main();

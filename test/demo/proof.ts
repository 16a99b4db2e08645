/**
 * What both tours of the demo look at from outside when a session is over: where the secret is, which secret the target
 * takes, and what the product says of its own records. Every look writes into the findings what it found, not what it hoped for.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, wordsOf } from '../../src/base/errors.ts';
import type { LoginAnswer } from '../lab/client.ts';
import { canary, searchBytes } from '../support/canary.ts';
import type { Product } from '../support/sallyport.ts';
import type { StoppedVault } from '../support/stopped-vault.ts';
import type { Step } from './report.ts';

export const sabotages = ['leak', 'rotation', 'recording'] as const;
export type Sabotage = (typeof sabotages)[number];

/** What was seen; null is what nobody looked at, or could not. */
export interface Findings {
  session: string | null;
  recording: string | null;
  secretLeaked: boolean | null;
  rotated: boolean | null;
  oldRefused: boolean | null;
  /** What is not as it should be, in words. */
  readonly noticed: string[];
}

export function noFindings(): Findings {
  return { session: null, recording: null, secretLeaked: null, rotated: null, oldRefused: null, noticed: [] };
}

/** The account that the tour is about, and who can try it without Sallyport. */
export interface Proved {
  readonly account: string;
  /** What opened it before Sallyport knew it. */
  readonly secret: string;
  /** What the target says to this value, without Sallyport. */
  tryAtTarget(value: Uint8Array): Promise<LoginAnswer>;
  /** Whether the value, in any common form, is in these bytes. */
  isIn(value: Uint8Array, bytes: Uint8Array): Promise<boolean>;
}

export interface Looking {
  readonly step: Step;
  readonly findings: Findings;
}

/** All bytes of one place that is searched, and texts that have to be there: a search that misses them proves nothing. */
export interface Searched {
  readonly bytes: Uint8Array;
  readonly holds: readonly string[];
}

type Values = Awaited<ReturnType<StoppedVault['values']>>;

/** In all that the client got and said, and in the decrypted recording. */
export async function lookForSecret(
  stage: Proved,
  vault: StoppedVault,
  values: Values,
  { client, inRecording }: { readonly client: Searched; readonly inRecording: readonly string[] },
  { step, findings }: Looking,
): Promise<void> {
  const recording = findings.recording ?? '';
  const recorded = await step(
    'the recording is decrypted with its key',
    () => decrypt(vault, recording),
    ({ fault }) => ({
      good: fault === undefined,
      words: fault ?? 'all of it can be read',
    }),
  );
  if (recorded.fault !== undefined) findings.noticed.push(`recording ${recording}: ${recorded.fault}`);
  const places = [
    ['what the client got', client.bytes, client.holds],
    ...(recorded.fault === undefined ? [['the recording', recorded.bytes, inRecording] as const] : []),
  ] as const;
  for (const [name, bytes, markers] of places)
    for (const marker of markers)
      if (searchBytes([canary('marker', marker)], name, bytes).length === 0)
        findings.noticed.push(`${marker} is not in ${name}`);
  const leaks = await step(
    `looking for the secret in ${places.map(([name]) => name).join(' and in ')}`,
    async () => {
      const found = new Set<string>();
      for (const { bytes: value } of values)
        for (const [name, bytes] of places) if (await stage.isIn(value, bytes)) found.add(name);
      return [...found];
    },
    (found) => ({ good: found.length === 0, words: found.length === 0 ? 'it is not there' : 'IT IS THERE' }),
  );
  for (const name of leaks) findings.noticed.push(`the secret of ${stage.account} is in ${name}`);
  // Half a search finds leaks, but does not prove that there are none.
  findings.secretLeaked = leaks.length > 0 ? true : recorded.fault === undefined && values.length > 0 ? false : null;
}

async function decrypt(
  vault: StoppedVault,
  recording: string,
): Promise<{ readonly bytes: Uint8Array; readonly fault?: string }> {
  try {
    const events = await vault.recording(recording);
    return { bytes: Buffer.concat(events.map((event) => event.bytes)) };
  } catch (error) {
    return { bytes: new Uint8Array(), fault: `${wordsOf(error)} (${codeOf(error)})` };
  }
}

/** The old secret and the new one, directly at the target. Only the target's own no counts as a refusal. */
export async function trySecrets(
  stage: Proved,
  values: Values,
  changed: string,
  { step, findings }: Looking,
): Promise<void> {
  const attempt = (words: string, value: Uint8Array, wanted: 'in' | 'refused') =>
    step(
      words,
      () => stage.tryAtTarget(value),
      (answer) => ({
        good: answer.answer === wanted,
        words:
          answer.answer === 'broken' ? `no answer (${answer.words})` : answer.answer === 'in' ? 'accepted' : 'refused',
      }),
    );
  const old = await attempt('the old secret, directly at the target', Buffer.from(stage.secret), 'refused');
  findings.oldRefused = old.answer === 'broken' ? null : old.answer === 'refused';
  if (old.answer === 'broken') findings.noticed.push(`the old secret could not be tried: ${old.words}`);
  if (old.answer === 'in') findings.noticed.push(`the old secret still opens ${stage.account}`);
  const [newest] = values;
  if (newest === undefined || values.length < 2) {
    findings.rotated = false;
    findings.noticed.push('there is no new secret');
    return;
  }
  const fresh = await attempt('the new secret, directly at the target', newest.bytes, 'in');
  findings.rotated = changed === 'confirmed' && newest.current && fresh.answer === 'in';
  if (fresh.answer !== 'in') findings.noticed.push(`the new secret does not open ${stage.account}`);
}

/** The recording and the audit trail, verified by the product itself. */
export async function verify(product: Product, recording: string, { step, findings }: Looking): Promise<void> {
  for (const argv of [
    ['recording', 'verify', recording],
    ['audit', 'verify'],
  ]) {
    const ran = await step(
      `sallyport ${argv.join(' ')}`,
      () => product.cli(argv),
      ({ code, stdout, stderr }) => ({ good: code === 0, words: `${stdout}${stderr}`.trim() }),
    );
    if (ran.code !== 0) findings.noticed.push(`sallyport ${argv[0]} verify: ${`${ran.stdout}${ran.stderr}`.trim()}`);
  }
}

const outcomes: Readonly<Record<string, string>> = { C: 'confirmed', U: 'uncertain', F: 'failed' };

/** Asks until there is one: the outcome of the rotation that the session's end has caused. */
export async function outcomeOfRotation(product: Product, account: string): Promise<string> {
  for (const late = Date.now() + 60_000; Date.now() < late; ) {
    const { versions } = await product.ask<{ versions: { status: string }[] }>(['history', account]);
    const outcome = versions.length > 1 ? outcomes[versions.at(-1)?.status ?? ''] : undefined;
    if (outcome !== undefined) return outcome;
  }
  return 'no outcome in a minute';
}

/** Changes one bit in the middle of a stored recording. */
export function flipOneBit(folder: string, recording: string): void {
  const name = readdirSync(folder).find((one) => one.startsWith(recording));
  if (name === undefined) throw new Error(`there is no file of recording ${recording}`);
  const bytes = readFileSync(join(folder, name));
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(join(folder, name), bytes);
}

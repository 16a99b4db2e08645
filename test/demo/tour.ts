/**
 * The demo's tour: from nothing to a session that was injected, recorded and rotated, and then a look at each of these
 * from outside. It writes down what it finds as it goes, so that a tour that fails halfway still tells what it saw.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, wordsOf } from '../../src/base/errors.ts';
import type { Product } from '../support/sallyport.ts';
import { openStoppedVault, type StoppedVault } from '../support/stopped-vault.ts';
import { quote, type Step } from './report.ts';
import type { Stage } from './stage.ts';

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

export interface Tour {
  readonly home: string;
  readonly sabotage: Sabotage | undefined;
  readonly step: Step;
  readonly start: () => Promise<Product>;
  readonly findings: Findings;
}

interface Markers {
  readonly typed: string;
  readonly printed: string;
}

/**
 * Goes all the way, and gives the product that runs at its end. Throws where it cannot go on; what it sees until then is in
 * `findings`.
 */
export async function tour(stage: Stage, { home, sabotage, step, start, findings }: Tour): Promise<Product> {
  const markers = {
    typed: `typed-${randomBytes(12).toString('hex')}`,
    printed: `printed-${randomBytes(12).toString('hex')}`,
  };

  // -- The gate, with a database of its own, and the estate ----------------------------------------------------------
  const product = await step('starting Sallyport: database, keeper, gate', start);
  await step('the first administrator enrols with the one-time code', () =>
    product.ask(
      ['enrol', 'alice', '--stdin', '--key', stage.person.line],
      `${product.code ?? ''}\n${stage.person.password}\n`,
    ),
  );
  await step('sallyport apply -f estate.yaml', () => product.ask(['apply', '-f', '-'], stage.estate));
  await step("the target's host keys are compared and trusted", () =>
    product.ask(['target', 'trust', stage.target, '--yes']),
  );
  await step(`the present secret of ${stage.account} enters the vault`, () =>
    product.ask(['account', 'set', stage.account, '--stdin'], stage.secret),
  );
  await stage.plant(sabotage === 'leak' ? `${markers.printed} ${stage.secret}` : markers.printed);
  if (sabotage === 'rotation') await stage.breakRotation();

  // -- A person comes with the stock client --------------------------------------------------------------------------
  const client = await step(`ssh -p ${product.ssh.port} alice@${stage.account}@${product.ssh.address}`, () =>
    stage.visit(product.ssh, markers.typed),
  );
  const [one] = await product.ask<{ session: string; recording: string }[]>(['sessions']);
  if (one === undefined) throw new Error('there was no session');
  const { recording } = Object.assign(findings, { session: one.session, recording: one.recording });
  const changed = await step(
    'the session is over; its credential is changed on the target',
    () => outcomeOfRotation(product, stage.account),
    (outcome) => ({ good: outcome === 'confirmed', words: outcome }),
  );
  if (changed !== 'confirmed') findings.noticed.push(`the credential of ${stage.account} was not changed: ${changed}`);
  await product.stop();

  // -- What was proved: the vault is opened with the root key while nothing runs --------------------------------------
  if (sabotage === 'recording') flipOneBit(join(home, 'data/recordings'), recording);
  {
    await using vault = await openStoppedVault(join(home, 'data'), join(home, 'key/root.key'));
    const values = await vault.values(stage.account);
    await lookForSecret(stage, vault, values, client, markers, { step, findings });
    await trySecrets(stage, values, changed, { step, findings });
  }

  // -- The recording, played and verified by the product itself ------------------------------------------------------
  const again = await step('starting Sallyport again', start);
  await playAndVerify(again, recording, markers, { step, findings });
  return again;
}

type Values = Awaited<ReturnType<StoppedVault['values']>>;
type Looking = Pick<Tour, 'step' | 'findings'>;

/** In all that the client got and said, and in the decrypted recording. */
async function lookForSecret(
  stage: Stage,
  vault: StoppedVault,
  values: Values,
  client: Uint8Array,
  markers: Markers,
  { step, findings }: Looking,
): Promise<void> {
  const recording = findings.recording ?? '';
  const recorded = await step(
    'the recording is decrypted with its key',
    () => decrypt(vault, recording),
    ({ fault }) => ({
      good: fault === undefined,
      words: fault ?? 'it holds what was typed and what was printed',
    }),
  );
  if (recorded.fault !== undefined) findings.noticed.push(`recording ${recording}: ${recorded.fault}`);
  const places = [
    ['what the client got', client],
    ...(recorded.fault === undefined ? [['the recording', recorded.bytes] as const] : []),
  ] as const;
  for (const [name, bytes] of places)
    for (const marker of [markers.typed, markers.printed])
      if (!Buffer.from(bytes).includes(marker)) findings.noticed.push(`${marker} is not in ${name}`);
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
async function trySecrets(stage: Stage, values: Values, changed: string, { step, findings }: Looking): Promise<void> {
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

async function playAndVerify(
  product: Product,
  recording: string,
  markers: Markers,
  { step, findings }: Looking,
): Promise<void> {
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
  const played = await step(
    `sallyport play ${recording}`,
    () => product.cli(['play', recording, '--format', 'text']),
    ({ code }) => ({ good: code === 0, words: code === 0 ? 'it plays' : 'it does not play' }),
  );
  quote(`${played.stdout}${played.stderr}`);
  if (played.code !== 0 || !played.stdout.includes(markers.printed))
    findings.noticed.push('playing the recording does not show what was printed');
}

const outcomes: Readonly<Record<string, string>> = { C: 'confirmed', U: 'uncertain', F: 'failed' };

/** Asks until there is one: the outcome of the rotation that the session's end has caused. */
async function outcomeOfRotation(product: Product, account: string): Promise<string> {
  for (const late = Date.now() + 60_000; Date.now() < late; ) {
    const { versions } = await product.ask<{ versions: { status: string }[] }>(['history', account]);
    const outcome = versions.length > 1 ? outcomes[versions.at(-1)?.status ?? ''] : undefined;
    if (outcome !== undefined) return outcome;
  }
  return 'no outcome in a minute';
}

/** Changes one bit in the middle of a stored recording. */
function flipOneBit(folder: string, recording: string): void {
  const name = readdirSync(folder).find((one) => one.startsWith(recording));
  if (name === undefined) throw new Error(`there is no file of recording ${recording}`);
  const bytes = readFileSync(join(folder, name));
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(join(folder, name), bytes);
}

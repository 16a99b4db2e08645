/**
 * The tour of the demo of desktops: a token, a desktop with injection, a recording, a new password; then a look at each of
 * these from outside, and the last picture of the recording beside the target's own screen. It writes down what it finds as it goes.
 */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runWell } from '../lab/run.ts';
import { differingPixels } from '../lab/rdp/compare.ts';
import type { Picture } from '../lab/rdp/picture.ts';
import type { Product } from '../support/sallyport.ts';
import { openStoppedVault } from '../support/stopped-vault.ts';
import type { DesktopStage, Token } from './desktop-stage.ts';
import {
  type Findings,
  flipOneBit,
  type Looking,
  lookForSecret,
  outcomeOfRotation,
  type Sabotage,
  trySecrets,
  verify,
} from './proof.ts';
import { quote, type Step } from './report.ts';

export interface DesktopFindings extends Findings {
  /** The PNG of what the recording shows last. It stays. */
  picture: string | null;
  /** How many of its pixels are not those of the target's screen. */
  pixelsDifferent: number | null;
}

export interface DesktopTour {
  readonly home: string;
  readonly sabotage: Sabotage | undefined;
  readonly step: Step;
  readonly start: () => Promise<Product>;
  readonly findings: DesktopFindings;
}

/** Goes all the way, and gives the product that runs at its end. Throws where it cannot go on. */
export async function desktopTour(
  stage: DesktopStage,
  { home, sabotage, step, start, findings }: DesktopTour,
): Promise<Product> {
  // Short enough for one line of the terminal.
  const words = {
    typed: `typed-${randomBytes(6).toString('hex')}`,
    copied: `copied-${randomBytes(12).toString('hex')}`,
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
  await step("the target's host keys and its certificate of RDP are compared and trusted", async () => {
    for (const service of [stage.target, `${stage.target},rdp`])
      await product.ask(['target', 'trust', service, '--yes']);
  });
  await step(`the present password of ${stage.account} enters the vault`, () =>
    product.ask(['account', 'set', stage.account, '--stdin'], stage.secret),
  );
  if (sabotage === 'rotation') await stage.breakRotation();

  // -- A person comes with a stock client and a token ----------------------------------------------------------------
  const token = await step(
    `sallyport rdp alice@${stage.account}`,
    () => product.ask<Token & Record<string, unknown>>(['rdp', `alice@${stage.account}`]),
    () => ({ good: true, words: 'a token, for once' }),
  );
  const { client, screen } = await step(`${token.command}, and a command is typed into the terminal there`, () =>
    stage.visit(
      product.rdp,
      token,
      sabotage === 'leak' ? { ...words, copied: `${words.copied} ${stage.secret}` } : words,
    ),
  );
  const [one] = await product.ask<{ session: string; recording: string }[]>(['sessions']);
  if (one === undefined) throw new Error('there was no session');
  const { recording } = Object.assign(findings, { session: one.session, recording: one.recording });
  const changed = await step(
    'the session is over; its password is changed on the target, by passwd over ssh',
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
    const searched = { client: { bytes: client, holds: [words.copied] }, inRecording: [words.copied] };
    await lookForSecret(stage, vault, values, searched, { step, findings });
    await trySecrets(stage, values, changed, { step, findings });
  }

  // -- The recording, verified and drawn by the product itself -------------------------------------------------------
  const again = await step('starting Sallyport again', start);
  await verify(again, recording, { step, findings });
  await readTyped(again, recording, words.typed, { step, findings });
  await drawLast(again, recording, screen, { step, findings });
  return again;
}

async function readTyped(
  product: Product,
  recording: string,
  typed: string,
  { step, findings }: Looking,
): Promise<void> {
  const ran = await step(
    `sallyport recording export ${recording} --text`,
    () => product.cli(['recording', 'export', recording, '--text']),
    ({ code, stdout }) => {
      const good = code === 0 && stdout.includes(typed);
      return { good, words: good ? 'what was typed is there' : 'what was typed is not there' };
    },
  );
  quote(`${ran.stdout}${ran.stderr}`);
  if (ran.code !== 0 || !ran.stdout.includes(typed))
    findings.noticed.push('the recording does not tell what was typed');
}

/** Draws what the recording shows last, and counts how far it is from the target's own screen. */
async function drawLast(
  product: Product,
  recording: string,
  screen: Picture,
  { step, findings }: { readonly step: Step; readonly findings: DesktopFindings },
): Promise<void> {
  const file = join(tmpdir(), `sallyport-demo-${recording}.png`);
  const argv = ['recording', 'export', recording, '--png', '99:59:59', '--out', file];
  const ran = await step(
    `sallyport ${argv.join(' ')}`,
    () => product.cli(argv),
    ({ code }) => ({ good: code === 0, words: code === 0 ? 'the last picture' : 'no picture' }),
  );
  if (ran.code !== 0) {
    findings.noticed.push(`the recording was not drawn: ${`${ran.stdout}${ran.stderr}`.trim()}`);
    return;
  }
  findings.picture = file;
  findings.pixelsDifferent = await step(
    'beside the screen that the target had',
    async () => differingPixels(await readPng(file), screen),
    (count) => ({ good: count === 0, words: `${count} of ${screen.width * screen.height} pixels differ` }),
  );
  if (findings.pixelsDifferent > 0)
    findings.noticed.push(`${findings.pixelsDifferent} pixels of the recording's last picture are not the target's`);
}

/** Read by somebody else's program, because ours has written it. */
async function readPng(file: string): Promise<Picture> {
  const size = (await runWell(['identify', '-format', '%w %h', file])).stdout.split(' ').map(Number);
  const [width = 0, height = 0] = size;
  const { output } = await runWell(['convert', file, '-depth', '8', 'rgba:-']);
  return { width, height, rgba: new Uint8Array(output) };
}

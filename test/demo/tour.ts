/**
 * The demo's tour: from nothing to a session that was injected, recorded and rotated, and then a look at each of these
 * from outside. It writes down what it finds as it goes, so that a tour that fails halfway still tells what it saw.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Product } from '../support/sallyport.ts';
import { openStoppedVault } from '../support/stopped-vault.ts';
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
import type { Stage } from './stage.ts';

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
    const both = [markers.typed, markers.printed];
    const searched = { client: { bytes: client, holds: both }, inRecording: both };
    await lookForSecret(stage, vault, values, searched, { step, findings });
    await trySecrets(stage, values, changed, { step, findings });
  }

  // -- The recording, played and verified by the product itself ------------------------------------------------------
  const again = await step('starting Sallyport again', start);
  await verify(again, recording, { step, findings });
  await play(again, recording, markers, { step, findings });
  return again;
}

async function play(product: Product, recording: string, markers: Markers, { step, findings }: Looking): Promise<void> {
  const played = await step(
    `sallyport play ${recording}`,
    () => product.cli(['play', recording, '--format', 'text']),
    ({ code }) => ({ good: code === 0, words: code === 0 ? 'it plays' : 'it does not play' }),
  );
  quote(`${played.stdout}${played.stderr}`);
  if (played.code !== 0 || !played.stdout.includes(markers.printed))
    findings.noticed.push('playing the recording does not show what was printed');
}

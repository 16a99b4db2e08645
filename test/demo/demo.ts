/**
 * `npm run demo`: Sallyport, a real sshd behind it, and the stock `ssh` in front, on this machine and without touching it.
 * With `--once` it ends after the tour, and its last line says as JSON what was proved. No field is true by default:
 * each is the outcome of looking. `--break leak|rotation|recording` sabotages one thing, and the demo must notice.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { wordsOf } from '../../src/base/errors.ts';
import { fullMachines } from '../lab/machine.ts';
import { makeHome, type Product, startProduct } from '../support/sallyport.ts';
import { openStoppedVault } from '../support/stopped-vault.ts';
import { foundIn, say, step } from './report.ts';
import { openStage, type Stage } from './stage.ts';

const { values: options } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    break: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const sabotage = options.break;
if (sabotage !== undefined && !['leak', 'rotation', 'recording'].includes(sabotage)) {
  process.stderr.write('demo: --break is one of leak, rotation, recording\n');
  process.exit(2);
}

interface Proof {
  readonly session: string | null;
  readonly recording: string | null;
  readonly secretLeaked: boolean | null;
  readonly rotated: boolean | null;
  readonly oldRefused: boolean | null;
  readonly seconds: number;
}

const began = Date.now();
const home = makeHome();
const scratch = mkdtempSync(join(tmpdir(), 'sallyport-demo-'));
let proof: Proof = { session: null, recording: null, secretLeaked: null, rotated: null, oldRefused: null, seconds: 0 };
let good = false;
try {
  await using stage = await openStage(scratch);
  proof = await tour(stage);
  good = proof.secretLeaked === false && proof.rotated === true && proof.oldRefused === true;
  if (good && !options.once) await stayUp(stage);
} catch (error) {
  say(`\nThe demo failed: ${wordsOf(error)}`);
} finally {
  if (!options.keep) rmSync(home, { recursive: true, force: true });
  rmSync(scratch, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify({ ...proof, seconds: Math.round((Date.now() - began) / 100) / 10 })}\n`);
process.exit(good ? 0 : 1);

/** From nothing to a session that was injected, recorded and rotated, and the proof of each. */
async function tour(stage: Stage): Promise<Proof> {
  const typed = `typed-${randomBytes(12).toString('hex')}`;
  const printed = `printed-${randomBytes(12).toString('hex')}`;
  let session: string;
  let recording: string;
  let client: Uint8Array;
  {
    // -- The gate, with a database of its own, and the estate --------------------------------------------------------
    await using product = await step('starting Sallyport: database, keeper, gate', () => startProduct({ home }));
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
    await stage.plant(printed);
    if (sabotage === 'leak') await stage.plant(`${printed} ${stage.secret}`);
    if (sabotage === 'rotation') await stage.breakRotation();

    // -- A person comes with the stock client --------------------------------------------------------------------------
    client = await step(`ssh -p ${product.ssh.port} alice@${stage.account}@${product.ssh.address}`, () =>
      stage.visit(product.ssh, typed),
    );
    const [one] = await product.ask<{ session: string; recording: string }[]>(['sessions']);
    if (one === undefined) throw new Error('there was no session');
    ({ session, recording } = one);
    await step('the session is over; its credential is changed on the target', () =>
      untilRotated(product, stage.account),
    );
  }

  // -- What was proved: the vault is opened with the root key while nothing runs ------------------------------------
  if (sabotage === 'recording') flipOneByte(join(home, 'data/recordings'), recording);
  const { leaked, values } = await step(
    'looking for the secret in what the client got and in the decrypted recording',
    async () => {
      await using vault = await openStoppedVault(join(home, 'data'), join(home, 'key/root.key'));
      const events = await vault.recording(recording);
      const recorded = Buffer.concat(events.map((event) => event.bytes));
      for (const marker of [typed, printed]) {
        if (!foundIn(marker, recorded)) throw new Error(`the recording does not hold ${marker}`);
        if (!foundIn(marker, client)) throw new Error(`the client did not get ${marker}`);
      }
      const all = await vault.values(stage.account);
      return { leaked: all.some(({ bytes }) => stage.leaks(bytes, [client, recorded])), values: all };
    },
  );
  const current = values.find((value) => value.current);
  const former = values.find((value) => !value.current);
  const oldRefused = await step(
    'the old secret, directly at the target',
    async () => !(await stage.opens(Buffer.from(stage.secret))),
    'refused',
  );
  const newAccepted = await step(
    'the new secret, directly at the target',
    async () => current !== undefined && former !== undefined && (await stage.opens(current.bytes)),
    'accepted',
  );

  // -- The recording, played and verified by the product itself ------------------------------------------------------
  await using product = await startProduct({ home });
  const played = await step(`sallyport play ${recording}`, () => product.cli(['play', recording, '--format', 'text']));
  say(
    played.stdout
      .trimEnd()
      .split('\n')
      .map((line) => `      │ ${line.trimEnd()}`)
      .join('\n'),
  );
  if (!played.stdout.includes(printed)) throw new Error('playing the recording does not show what was printed');
  await step('sallyport recording verify, sallyport audit verify', async () => {
    await product.ask(['recording', 'verify', recording]);
    await product.ask(['audit', 'verify']);
  });
  return { session, recording, secretLeaked: leaked, rotated: newAccepted, oldRefused, seconds: 0 };
}

/** Waits for the event, not for time: the outcome of the rotation that the session's end has caused. */
async function untilRotated(product: Product, account: string): Promise<void> {
  for (const late = Date.now() + 30_000; Date.now() < late; ) {
    const { versions } = await product.ask<{ versions: { status: string; current: boolean }[] }>(['history', account]);
    if (versions.length > 1 && versions.at(-1)?.status === 'C') return;
    if (versions.length > 1 && ['U', 'F'].includes(versions.at(-1)?.status ?? ''))
      throw new Error(`the rotation ended as ${versions.at(-1)?.status}`);
  }
  throw new Error('no rotation in 30 seconds');
}

/** Changes one bit in the middle of a stored recording. */
function flipOneByte(folder: string, recording: string): void {
  const file = join(folder, readdirSync(folder).find((name) => name.startsWith(recording)) ?? '');
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

/** Leaves everything running and says what to type. */
async function stayUp(stage: Stage): Promise<void> {
  await using product = await startProduct({ home, port: 2222 });
  const key = stage.person.keyFile;
  say(`
Sallyport stays up until you press Ctrl-C. In another terminal:

  ssh -p ${product.ssh.port} -i ${key} alice@${stage.account}@${product.ssh.address}

  bin/sallyport --data ${product.data} sessions
  bin/sallyport --data ${product.data} recordings
  bin/sallyport --data ${product.data} play RECORDING
  bin/sallyport --data ${product.data} history ${stage.account}
  bin/sallyport --data ${product.data} rotate ${stage.account}
  bin/sallyport --data ${product.data} audit tail

Everything is in ${home} and goes away at the end.${fullMachines ? '' : ' (As an ordinary user the target is an sshd of yours, with a key.)'}`);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

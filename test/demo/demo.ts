/**
 * `npm run demo`: Sallyport, a real sshd behind it, and the stock `ssh` in front, on this machine and without touching it.
 * With `--rdp`: a real desktop behind it and xfreerdp in front; one picture of it stays in the folder for temporary files.
 * With `--once` it ends after the tour, and its last line says as JSON what was proved. No field is true by default:
 * each is the outcome of looking. `--break leak|rotation|recording` sabotages one thing, and the demo must notice.
 * However it ends, also by Ctrl-C, no process and no folder of it is left (`--keep` leaves the folder).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { wordsOf } from '../../src/base/errors.ts';
import { orAborted } from '../../src/base/signals.ts';
import { fullMachines } from '../lab/machine.ts';
import { runWell } from '../lab/run.ts';
import { freePort } from '../lab/server.ts';
import { makeHome, type Product, root, startProduct } from '../support/sallyport.ts';
import { invitation } from './desktop-invitation.ts';
import { lacking, openDesktopStage } from './desktop-stage.ts';
import { type DesktopFindings, desktopTour } from './desktop-tour.ts';
import { noFindings, type Sabotage, sabotages } from './proof.ts';
import { say, stepsUntil } from './report.ts';
import { openStage, type Stage } from './stage.ts';
import { tour } from './tour.ts';

const { once, keep, rdp, sabotage } = readOptions();
const lack = rdp ? await lacking() : undefined;
if (lack !== undefined) {
  process.stderr.write(`demo: ${lack}\n`);
  process.exit(2);
}
const began = Date.now();
const interrupted = new AbortController();
// npm passes on a Ctrl-C that the terminal has already sent to everybody: a second one is the same one.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => interrupted.abort(new Error('interrupted')));

const home = makeHome();
const scratch = mkdtempSync(join(tmpdir(), 'sallyport-demo-'));
const life = new AsyncDisposableStack();
const step = stepsUntil(interrupted.signal);
const findings: DesktopFindings = { ...noFindings(), picture: null, pixelsDifferent: null };
let seconds = 0;

const work = rdp ? showDesktop() : show();
try {
  await orAborted(work, interrupted.signal);
} catch (error) {
  if (!interrupted.signal.aborted) findings.noticed.push(wordsOf(error));
}
seconds ||= Math.round((Date.now() - began) / 100) / 10;
if (interrupted.signal.aborted) say('\nStopping, and taking everything away…');
await life.disposeAsync();
// What was interrupted fails now that everything it used has ended; its own folders go with it.
await Promise.allSettled([work]);
if (!keep) rmSync(home, { recursive: true, force: true });
rmSync(scratch, { recursive: true, force: true });

const { session, recording, secretLeaked, rotated, oldRefused, picture, pixelsDifferent } = findings;
const drawn = !rdp || (picture !== null && pixelsDifferent === 0);
const good =
  secretLeaked === false && rotated === true && oldRefused === true && drawn && findings.noticed.length === 0;
if (findings.noticed.length > 0)
  say(`\nNOT as it should be:\n${findings.noticed.map((words) => `  - ${words}`).join('\n')}`);
const more = rdp ? { picture, pixelsDifferent } : {};
process.stdout.write(
  `${JSON.stringify({ session, recording, secretLeaked, rotated, oldRefused, seconds, ...more })}\n`,
);
process.exit(good ? 0 : interrupted.signal.aborted ? 130 : 1);

/** The tour, and then, without `--once`, everything stays up for whoever wants to try it. */
async function show(): Promise<void> {
  const stage = await owned(openStage(scratch, step));
  const stays = !once && sabotage === undefined;
  const start = async (): Promise<Product> =>
    owned(startProduct({ home, port: stays && (await isFree(2222)) ? 2222 : 0 }));
  const product = await tour(stage, { home, sabotage, step, start, findings });
  seconds = Math.round((Date.now() - began) / 100) / 10;
  if (stays && findings.noticed.length === 0) await stayUp(await sshInvitation(stage, product));
}

/** The same for a desktop. */
async function showDesktop(): Promise<void> {
  const stage = await owned(openDesktopStage(scratch, step));
  // Sallyport prints the port that it was told, so it is told one.
  const rdpPort = await freePort();
  const start = (): Promise<Product> => owned(startProduct({ home, rdpPort, env: { SALLYPORT_CONFIG: stage.config } }));
  const product = await desktopTour(stage, { home, sabotage, step, start, findings });
  seconds = Math.round((Date.now() - began) / 100) / 10;
  if (!once && sabotage === undefined && findings.noticed.length === 0)
    await stayUp(await invitation(stage, product, cliOf(product), findings));
}

/** Ends with the demo, from the moment on in which it begins to start. */
function owned<T extends AsyncDisposable>(starting: Promise<T>): Promise<T> {
  life.defer(() =>
    starting.then(
      (one) => one[Symbol.asyncDispose](),
      () => {},
    ),
  );
  return starting;
}

/** Leaves everything running and says what to type. */
async function stayUp(words: string): Promise<void> {
  say(`
Sallyport stays up until you press Ctrl-C. In another terminal, in this folder:

${words}

Everything is in ${home} and goes away at the end.`);
  await new Promise<void>((resolve) => {
    interrupted.signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** How a person calls the command line. */
function cliOf(product: Product): string {
  return `${relative(process.cwd(), join(root, 'bin/sallyport'))} --data ${product.data}`;
}

async function sshInvitation(stage: Stage, product: Product): Promise<string> {
  const known = await pinHostKeys(product);
  const cli = cliOf(product);
  return `  ssh -p ${product.ssh.port} -i ${stage.person.keyFile} -o UserKnownHostsFile=${known} alice@${stage.account}@${product.ssh.address}

  ${cli} sessions
  ${cli} recordings
  ${cli} play ${findings.recording}
  ${cli} history ${stage.account}
  ${cli} rotate --wait ${stage.account}
  ${cli} audit tail${fullMachines ? '' : '\n\n(As an ordinary user the target is an sshd of yours, with a key. As root it is a machine with accounts of its own.)'}`;
}

/** So that ssh does not ask, and tomorrow's demo does not look like an attack on today's. */
async function pinHostKeys({ ssh }: Product): Promise<string> {
  const path = join(scratch, 'known_hosts');
  await runWell([
    'sh',
    '-c',
    'exec ssh-keyscan -p "$1" "$2" 2>/dev/null >"$3"',
    'sh',
    String(ssh.port),
    ssh.address,
    path,
  ]);
  return path;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function readOptions(): { once: boolean; keep: boolean; rdp: boolean; sabotage: Sabotage | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        once: { type: 'boolean', default: false },
        break: { type: 'string' },
        keep: { type: 'boolean', default: false },
        rdp: { type: 'boolean', default: false },
      },
    });
    const wanted = values.break;
    const known = sabotages.find((one) => one === wanted);
    if (wanted !== undefined && known === undefined) throw new Error(`--break is one of ${sabotages.join(', ')}`);
    return { once: values.once, keep: values.keep, rdp: values.rdp, sabotage: known };
  } catch (error) {
    process.stderr.write(
      `demo: ${wordsOf(error)}\nusage: npm run demo -- [--rdp] [--once] [--break ${sabotages.join('|')}] [--keep]\n`,
    );
    process.exit(2);
  }
}

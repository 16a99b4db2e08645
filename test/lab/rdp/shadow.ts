/**
 * A target that insists on network level authentication: FreeRDP's shadow server, which shows a display of its own and
 * lets in whoever proves by NTLM that he knows the password of one of its accounts. It needs no root, knows no PAM, and
 * ends with the test process. All that come see the same screen.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { displayPackages, requirePackages } from '../install.ts';
import { runWell } from '../run.ts';
import { freePort } from '../server.ts';
import { startTethered } from '../tethered.ts';
import { paint, windowManager } from './desktop.ts';
import { fingerprintOf } from './self-signed.ts';
import { startDisplay, type Display } from './display.ts';

export interface ShadowServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** What it shows in TLS, as PEM; self-signed, RSA. */
  readonly certificate: string;
  /** SHA-256 of that certificate, 64 hexadecimal digits. */
  readonly fingerprint: string;
  /** The display that it shows; pictures of it are what clients should see. */
  readonly screen: Display;
  /** Replaces the accounts; a session that is there stays. */
  setAccounts(accounts: readonly ShadowAccount[]): Promise<void>;
  readonly log: () => string;
}

export interface ShadowAccount {
  readonly name: string;
  /** Throw-away: winpr-hash takes it as an argument and no other way. */
  readonly password: string;
}

export interface ShadowOptions {
  readonly accounts: readonly ShadowAccount[];
  readonly width?: number;
  readonly height?: number;
  /** Default `nla`. Without NLA it asks nobody who he is. */
  readonly security?: 'nla' | 'tls' | 'rdp';
}

/** Starts it on a free port of 127.0.0.1, over a desktop with one terminal; ready when it takes connections. */
export async function startShadow(options: ShadowOptions, signal?: AbortSignal): Promise<ShadowServer> {
  await requirePackages([...displayPackages, 'freerdp2-shadow-x11', 'winpr-utils']);
  await using undo = new AsyncDisposableStack();
  const { width = 1024, height = 768, security = 'nla' } = options;
  const screen = undo.use(await startDisplay({ width, height }, signal));
  const accountsFile = join(screen.folder, 'sam');
  const setAccounts = async (accounts: readonly ShadowAccount[]): Promise<void> => {
    const lines = accounts.map(async ({ name, password }) => {
      const { stdout } = await runWell(['winpr-hash', '-u', name, '-p', password, '-f', 'sam'], {}, signal);
      return `${stdout.trim()}\n`;
    });
    await writeFile(accountsFile, (await Promise.all(lines)).join(''), { mode: 0o600 });
  };
  await setAccounts(options.accounts);

  await writeFile(join(screen.folder, '.twmrc'), windowManager);
  const desktop = undo.use(await startTethered(['bash', '-c', script], '', [], screen.env));
  await desktop.said(/^painted$/m, signal);

  const address = '127.0.0.1';
  const port = await freePort();
  await mkdir(join(screen.folder, '.config'));
  const where = [`/bind-address:${address}`, `/port:${port}`];
  const how = [`/sec:${security}`, ...(security === 'nla' ? ['+auth', `/sam-file:${accountsFile}`] : ['-auth'])];
  const server = undo.use(
    await startTethered(['stdbuf', '-oL', 'freerdp-shadow-cli', ...where, ...how], address, [port], screen.env),
  );
  const file = join(screen.folder, '.config/freerdp/shadow/shadow.crt');
  const certificate = await readFile(file, 'utf8');
  const life = undo.move();
  return {
    address,
    port,
    certificate,
    fingerprint: fingerprintOf(certificate),
    screen,
    setAccounts,
    log: server.output,
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

const script = `
${paint('#402060', '120x120+820+20', { shell: `-geometry 80x20+10+10 -bg white -fg black -e 'PS1="$ " exec bash --norc'` })}
echo painted
wait
`;

/**
 * What the database servers of the lab share: a temporary folder of an unprivileged user's, a certificate of an authority
 * of its own, a free port, and a process that ends with the process that runs the tests, however that dies.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainEnv, runWell } from './run.ts';

/** As whom a server runs: nobody, where the tests run as root, because none of them wants to be root's. */
export const serverUser: { readonly uid: number; readonly gid: number } | undefined =
  process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/** A folder that the server's user owns. It goes with everything in it. */
export async function serverFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'lab-'));
  if (serverUser !== undefined) await chown(folder.path, serverUser.uid, serverUser.gid);
  return { path: folder.path, [Symbol.asyncDispose]: () => folder.remove() };
}

/** Runs a program as the server's user, in `folder`. */
export async function runAsServer(argv: readonly string[], folder: string): Promise<void> {
  const as = serverUser === undefined ? [] : ['setpriv', `--reuid=${serverUser.uid}`, `--regid=${serverUser.gid}`];
  await runWell([...as, ...(as.length === 0 ? [] : ['--clear-groups']), ...argv], { env: serverEnv, cwd: folder });
}

const serverEnv = { ...plainEnv, HOME: '/nonexistent' };

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  if (bound === null || typeof bound === 'string') throw new Error('no port on loopback');
  return bound.port;
}

/** The name in the servers' certificates, besides 127.0.0.1. */
export const certificateName = 'db.test';

export interface Certificate {
  /** PEM of the authority that signed it. */
  readonly authority: string;
  readonly authorityFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Makes an authority and a server's certificate in `folder`. */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const file = (name: string): string => join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const openssl = (...args: string[]) => runWell(['openssl', ...args], { cwd: folder });
  await openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=lab', '-days', '2');
  await openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', `/CN=${certificateName}`);
  await writeFile(file('server.ext'), `subjectAltName=DNS:${certificateName},IP:127.0.0.1\n`);
  const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  await openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    ...ca,
    '-days',
    '2',
    '-extfile',
    'server.ext',
    '-out',
    'server.pem',
  );
  const made = ['ca.pem', 'server.pem', 'server.key'].map(file);
  if (serverUser !== undefined) for (const one of made) await chown(one, serverUser.uid, serverUser.gid);
  const [authorityFile = '', certificateFile = '', keyFile = ''] = made;
  return { authority: await readFile(authorityFile, 'utf8'), authorityFile, certificateFile, keyFile };
}

/** An authority that signed nothing here. */
export async function strangeAuthority(): Promise<string> {
  await using folder = await serverFolder();
  return (await makeCertificate(folder.path)).authority;
}

/** Ends the server when our end of its standard input closes, however this process dies. $1 is the signal. */
const watch =
  'set -m; how=$1; shift; "$@" <&- & child=$!; { cat >/dev/null; kill -$how $child; } & wait $child; kill -- -$! 2>/dev/null';

export interface Running extends AsyncDisposable {
  /** What it has said so far. */
  readonly words: () => string;
}

/** Starts a server and resolves when its words match `ready`. `end` is the signal that ends it at once. */
export async function startServer(
  argv: readonly string[],
  { folder, ready, end }: { readonly folder: string; readonly ready: RegExp; readonly end: string },
): Promise<Running> {
  const child: ChildProcess = spawn('bash', ['-c', watch, 'watch', end, ...argv], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: serverEnv,
    cwd: folder,
    ...serverUser,
  });
  const chunks: Buffer[] = [];
  const words = (): string => Buffer.concat(chunks).toString();
  const started = Promise.withResolvers<void>();
  const take = (chunk: Buffer): void => {
    chunks.push(chunk);
    if (ready.test(words())) started.resolve();
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  child.stdin?.on('error', () => {});
  const exited = once(child, 'exit');
  void exited.then(() => started.reject(new Error(`${argv[0]} ended: ${words().slice(-2000)}`)));
  await started.promise;
  return {
    words,
    [Symbol.asyncDispose]: async () => {
      child.stdin?.destroy();
      await exited;
    },
  };
}

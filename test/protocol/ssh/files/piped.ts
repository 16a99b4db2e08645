/**
 * Real scp and sftp with nothing but pipes between client and server, and an observer at the pipes: the client's `-S`
 * program connects to us instead of making a connection to a host, and we run the server that it asks for.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { observeFiles } from '../../../../src/protocol/ssh/files/observe.ts';
import type { FileFact } from '../../../../src/protocol/ssh/files/wire/facts.ts';

const sftpServer = ['/usr/lib/openssh/sftp-server', '/usr/libexec/sftp-server', '/usr/lib/ssh/sftp-server'].find(
  existsSync,
);

export interface Transfer {
  readonly facts: readonly FileFact[];
  /** What each side sent, piece by piece in the order of the relay: for replaying it broken. */
  readonly pieces: readonly { readonly from: 'client' | 'server'; readonly bytes: Uint8Array }[];
  readonly status: number | null;
  readonly words: string;
}

/** Runs a client (`scp` or `sftp`) with the arguments, `-S` added, and its batch on standard input. */
export async function transfer(client: 'scp' | 'sftp', args: readonly string[], batch = ''): Promise<Transfer> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'sallyport-files-'));
  const facts: FileFact[] = [];
  const pieces: { from: 'client' | 'server'; bytes: Uint8Array }[] = [];
  const socket = join(folder.path, 'socket');
  const over: Promise<void>[] = [];
  const server = createServer((connection) => over.push(serve(connection, facts, pieces)));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const program = join(folder.path, 'connect');
  await writeFile(program, `#!${process.execPath}\n${connector(socket)}`);
  await chmod(program, 0o700);
  const child = spawn(client, ['-S', program, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(batch);
  const [words, , status] = await Promise.all([
    text(child.stderr),
    text(child.stdout),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ]);
  await Promise.all(over);
  server.close();
  return { facts, pieces, status, words };
}

/** What runs in place of ssh: says what it was asked for, then passes bytes both ways. */
function connector(socket: string): string {
  return `
const net = require('node:net');
const connection = net.connect(${JSON.stringify(socket)});
connection.write(JSON.stringify(process.argv.slice(2)) + '\\n');
process.stdin.pipe(connection);
connection.pipe(process.stdout);
`;
}

async function serve(
  connection: Socket,
  facts: FileFact[],
  pieces: { from: 'client' | 'server'; bytes: Uint8Array }[],
): Promise<void> {
  let head = Buffer.alloc(0);
  const asked = await new Promise<string[]>((resolve) => {
    const read = (): void => {
      for (let bytes = connection.read() as Buffer | null; bytes !== null; bytes = connection.read() as Buffer | null) {
        head = Buffer.concat([head, bytes]);
      }
      const end = head.indexOf(10);
      if (end < 0) return;
      connection.off('readable', read);
      const rest = head.subarray(end + 1);
      if (rest.length > 0) connection.unshift(rest);
      resolve(JSON.parse(head.subarray(0, end).toString()) as string[]);
    };
    connection.on('readable', read);
  });
  const command = asked.at(-1) ?? '';
  const sftp = asked.includes('-s');
  const kind = sftp ? 'sftp' : / -[a-z]*t/.test(command) ? 'scp-up' : 'scp-down';
  if (sftpServer === undefined) throw new Error('there is no sftp-server on this machine');
  const child = sftp ? spawn(sftpServer) : spawn('sh', ['-c', command]);
  const observer = observeFiles(
    kind,
    () => createHash('sha256'),
    (fact) => facts.push(fact),
  );
  connection.on('data', (bytes: Buffer) => {
    pieces.push({ from: 'client', bytes: Uint8Array.from(bytes) });
    observer.clientBytes(bytes);
    child.stdin.write(bytes);
  });
  connection.on('end', () => child.stdin.end());
  child.stdin.on('error', () => {});
  connection.on('error', () => {});
  child.stdout.on('data', (bytes: Buffer) => {
    pieces.push({ from: 'server', bytes: Uint8Array.from(bytes) });
    observer.serverBytes(bytes);
    connection.write(bytes);
  });
  child.stderr.resume();
  await new Promise((resolve) => child.on('close', resolve));
  observer.end();
  connection.end();
}

/** From an address to a client that is logged in. The server's host key is checked before any name or secret leaves. */
import { connect as connectSocket, type Socket } from 'node:net';
import { wordsOf } from '../../../base/errors.ts';
import { deadline, orAborted } from '../../../base/signals.ts';
import { type LoginCredential, type LoginRefusal, logIn } from '../auth/client.ts';
import { SshError } from '../errors.ts';
import { openTransport } from '../transport/transport.ts';
import type { AlgorithmLists } from '../types.ts';
import { disconnectReason } from '../wire/numbers.ts';
import { SshClient } from './client.ts';

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly credential: LoginCredential;
  /** Whether this host key is the server's. There is no default: a client that trusts any key trusts nobody. */
  readonly checkHostKey: (publicKey: Uint8Array, algorithm: string) => Promise<boolean> | boolean;
  readonly hostKeyAlgorithms?: readonly string[];
  readonly algorithms?: Partial<AlgorithmLists>;
  /** Until TCP stands. Default 15 000 ms. */
  readonly connectMs?: number;
  readonly version?: string;
}

/**
 * Connects and logs in. A login that the server refused is returned; everything else that goes wrong is thrown, so
 * that nobody takes a broken network for a wrong password.
 */
export async function connect(options: ConnectOptions, signal: AbortSignal): Promise<SshClient | LoginRefusal> {
  const socket = await dial(options, signal);
  const { checkHostKey, hostKeyAlgorithms, algorithms } = options;
  const transport = await openTransport(
    socket,
    {
      role: 'client',
      version: options.version ?? 'SSH-2.0-Sallyport',
      checkHostKey,
      ...(hostKeyAlgorithms === undefined ? {} : { hostKeyAlgorithms }),
      ...(algorithms === undefined ? {} : { algorithms }),
    },
    signal,
  );
  try {
    const answer = await logIn(transport, options.user, options.credential, signal);
    if ('accepted' in answer) return new SshClient(transport, answer.banner);
    await transport.disconnect(disconnectReason.authCancelled, 'login refused');
    await transport[Symbol.asyncDispose]();
    return answer;
  } catch (error) {
    await transport[Symbol.asyncDispose]();
    throw error;
  }
}

async function dial(options: ConnectOptions, signal: AbortSignal): Promise<Socket> {
  const ms = options.connectMs ?? 15_000;
  using limit = deadline(signal, ms, () => new SshError('ssh.unreachable', `no connection in ${ms} ms`));
  const socket = connectSocket({ host: options.host, port: options.port, noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('connect', resolve);
  socket.once('error', reject);
  try {
    await orAborted(promise, limit.signal);
    socket.off('error', reject);
    return socket;
  } catch (error) {
    socket.destroy();
    // The loser of the race may still fail; nobody listens to it any more.
    socket.on('error', () => {});
    if (signal.aborted || error instanceof SshError) throw error;
    throw new SshError('ssh.unreachable', wordsOf(error), { cause: error });
  }
}

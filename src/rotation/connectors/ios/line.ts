/**
 * The bytes of a command line, over ssh (a shell on a terminal) or over telnet: typing, and reading what comes next. What
 * the connection does to it is a value; nothing is understood here. Telnet is clear text: whoever is on the way reads all.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { concat, empty, utf8 } from '../../../base/bytes.ts';
import { codeOf } from '../../../base/errors.ts';
import { deadline } from '../../../base/signals.ts';
import { type Shell, type SshClient, SshError } from '../../../protocol/ssh/ssh.ts';
import type { AnswerClass, Login, Place } from '../connector.ts';
import { classOf, type Fault, isFault, reach } from '../target.ts';
import { fresh, receive, send } from './wire/telnet.ts';

export interface Line extends AsyncDisposable {
  /** Types bytes, and Enter unless told otherwise. False if the other side is gone. */
  type(bytes: Uint8Array, enter: boolean, signal: AbortSignal): Promise<boolean>;
  /** What comes next; undefined after so many milliseconds of nothing, a fault when the connection is over. */
  read(ms: number, signal: AbortSignal): Promise<string | undefined | Fault>;
}

const over: Fault = { fault: 'cut', words: 'the device closed the connection' };

/** Wide enough for our longest command: a line that scrolls is hard to read back. */
const terminal = { term: 'vt100', cols: 511, rows: 100 };

/** By ssh the login is made here, with the host key checked; by telnet nobody has proven anything yet. */
export async function openLine(place: Place, login: Login, signal: AbortSignal): Promise<Line | Fault> {
  if (place.protocol === 'telnet') return telnetLine(place, signal);
  const client = await reach(place, login, signal);
  if (isFault(client)) return client;
  try {
    return sshLine(client, await client.shell(terminal, signal));
  } catch (error) {
    await client[Symbol.asyncDispose]();
    if (!(error instanceof SshError)) throw error;
    const refused = error.code === 'ssh.channel-refused' || error.code === 'ssh.request-refused';
    return { fault: refused ? 'permission' : classOf(error), words: error.message };
  }
}

function sshLine(client: SshClient, shell: Shell): Line {
  return {
    type: async (bytes, enter, signal) => {
      using whole = owned(enter ? concat([bytes, utf8('\r')]) : bytes.slice());
      return await shell.write(whole.bytes, signal);
    },
    read: async (ms, signal) => {
      try {
        const { match } = await shell.waitFor({ anything: /[^]+/ }, ms, signal);
        return match[0];
      } catch (error) {
        if (!(error instanceof SshError)) throw error;
        return error.code === 'ssh.prompt-timeout' ? undefined : { fault: 'cut', words: error.message };
      }
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function telnetLine(place: Place, signal: AbortSignal): Promise<Line | Fault> {
  const socket = connect({ host: place.address, port: place.port, noDelay: true });
  // Whoever waits for something sees the error there; an error that comes when nobody waits is no crash.
  socket.on('error', () => {});
  try {
    await once(socket, 'connect', { signal });
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    return { fault: classOfSocket(error), words: `${place.address}: ${codeOf(error)}` };
  }
  return lineOf(socket);
}

function lineOf(socket: Socket): Line {
  let telnet = fresh;
  let waiting: Uint8Array = empty;
  let end: Fault | undefined;
  let wake = (): void => {};
  const finish = (fault: Fault): void => {
    end ??= fault;
    wake();
  };
  socket.on('data', (chunk: Uint8Array) => {
    const received = receive(telnet, chunk);
    if ('violation' in received) {
      finish({ fault: 'unexpected', words: received.violation });
      socket.destroy();
      return;
    }
    telnet = received.telnet;
    if (received.reply.length > 0) socket.write(received.reply);
    waiting = concat([waiting, received.data]);
    if (waiting.length > longestUnread) {
      finish({ fault: 'unexpected', words: 'the device does not stop talking' });
      socket.destroy();
    } else wake();
  });
  socket.on('end', () => finish(over));
  socket.on('error', (error) => finish({ fault: 'cut', words: `the connection broke: ${codeOf(error)}` }));
  socket.on('close', () => finish(over));
  const decoder = new TextDecoder();
  return {
    type: async (bytes, enter) => {
      if (end !== undefined || !socket.writable) return false;
      using plain = owned(enter ? concat([bytes, utf8('\r\n')]) : bytes.slice());
      const escaped = send(plain.bytes);
      socket.write(escaped, () => escaped.fill(0));
      return true;
    },
    read: async (ms, signal) => {
      signal.throwIfAborted();
      using limit = deadline(signal, ms, () => new Error('quiet'));
      while (waiting.length === 0) {
        if (end !== undefined) return end;
        if (limit.signal.aborted) break;
        const more = Promise.withResolvers<void>();
        wake = more.resolve;
        limit.signal.addEventListener('abort', wake, { once: true });
        await more.promise;
        limit.signal.removeEventListener('abort', wake);
      }
      signal.throwIfAborted();
      if (waiting.length === 0) return undefined;
      const text = decoder.decode(waiting, { stream: true });
      waiting.fill(0);
      waiting = empty;
      return text;
    },
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
    },
  };
}

const longestUnread = 1 << 20;

/** A copy of our own that is zeroed at the end of the block. */
function owned(bytes: Uint8Array): Disposable & { readonly bytes: Uint8Array } {
  return {
    bytes,
    [Symbol.dispose]: () => {
      bytes.fill(0);
    },
  };
}

function classOfSocket(error: unknown): AnswerClass {
  const code = codeOf(error);
  if (code === 'ECONNREFUSED') return 'unreachable-refused';
  if (code === 'ETIMEDOUT') return 'unreachable-timeout';
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'cut' : 'unreachable';
}

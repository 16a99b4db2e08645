/**
 * The gate process: it owns the listeners, parses what strangers send, and holds nothing. What it may do it asks the
 * keeper. Several gates share one port; each takes its part of the connections.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fromHex } from '../base/bytes.ts';
import { systemClock } from '../base/clock.ts';
import { isRefusal, wordsOf } from '../base/errors.ts';
import { type Log, type LogLevel, openLog } from '../base/log.ts';
import type { Keeper } from '../link/link.ts';
import { ProxyError } from '../proxy/errors.ts';
import { type Peer, type Place, proxyRdp, proxySsh } from '../proxy/proxy.ts';
import { GateError } from './errors.ts';
import { eventServer, renewCertificate } from './events.ts';
import { keepLine, type KeeperLine, type Welcome } from './keeper-line.ts';
import { desktopServer } from './desktops.ts';
import { openRegister } from './register.ts';
import { openStrangers, strangerLimits, type Strangers } from './strangers.ts';

interface Greeting {
  readonly token: string;
  readonly link: string;
  readonly logLevel: LogLevel;
  readonly drainSeconds: number;
  readonly comebackSeconds: number;
}

/** Without a supervisor nobody starts the keeper or a gate again: what runs gets this long to finish. */
const aloneMs = 5000;
/** How often the certificate for events is read again. */
const renewalMs = 3_600_000;

/** Runs until SIGTERM, the end of `input` (the supervisor is gone), or a drain that has come to its end. */
export async function runGate(input: Readable, say: (line: object) => void): Promise<void> {
  const lines = createInterface({ input });
  const greeting = await new Promise<Greeting>((resolve) =>
    lines.once('line', (line) => resolve(JSON.parse(line) as Greeting)),
  );
  const log = openLog('gate', greeting.logLevel);
  const register = openRegister();
  const stop = new AbortController();
  const draining = Promise.withResolvers<number>();
  const drain = (until: number): void => draining.resolve(until);
  const line = keepLine(
    {
      socket: greeting.link,
      token: fromHex(greeting.token) ?? new Uint8Array(),
      register,
      clock: systemClock,
      log,
      comebackMs: greeting.comebackSeconds * 1000,
      drain,
    },
    stop.signal,
  );
  const drainMs = greeting.drainSeconds * 1000;
  process.on('SIGTERM', () => drain(Date.now() + drainMs));
  // A Ctrl-C reaches the whole process group; the supervisor turns it into what everybody has to do.
  process.on('SIGINT', () => {});
  lines.once('close', () => drain(Date.now() + Math.min(drainMs, aloneMs)));

  const shutdown = new AbortController();
  const servers: Server[] = [];
  try {
    const welcome = await Promise.race([line.welcome, draining.promise]);
    if (typeof welcome === 'number') process.exit();
    const place: Place = {
      keeper: line.keeper,
      spool: welcome.spool,
      hostKeys: hostKeysOf(welcome, line.keeper),
      clock: systemClock,
      log,
      comebackMs: greeting.comebackSeconds * 1000,
      register: (one) => register.add(one),
    };
    const strangers = openStrangers(strangerLimits);
    const accept = (socket: Socket, run: Run): void => {
      if (!line.connected) return void socket.destroy();
      void take(socket, place, strangers, run);
    };
    const serverFor = async (listener: Welcome['listeners'][number]): Promise<Server | undefined> => {
      switch (listener.protocol) {
        case 'ssh':
          return createServer(sshSockets, (socket) =>
            accept(socket, (peer, known) => proxySsh(socket, peer, place, known, shutdown.signal)),
          );
        case 'rdp':
          return await desktopServer(
            line.keeper['gate.certificate'],
            (socket, certificate) =>
              accept(socket, (peer, known) => proxyRdp(socket, peer, place, certificate, known, shutdown.signal)),
            log,
            shutdown.signal,
          );
        case 'events':
          return await eventsOf(listener.https, line, log, shutdown.signal);
        default:
          return listener satisfies never;
      }
    };
    const listening: Listening[] = [];
    for (const listener of welcome.listeners) {
      const server = await serverFor(listener);
      if (server === undefined) continue;
      servers.push(server);
      listening.push({ protocol: listener.protocol, ...(await listenOn(server, listener)) });
    }
    say({ listening });
    log.info({ listening }, 'the gate is open');

    // -- Until someone wants it to end: take nothing new, let what runs finish, then end it -------------------------
    const until = await draining.promise;
    const answered = servers.map((server, at) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Connections that have not logged in are not waited for; an event that is being judged is.
      return listening[at]?.protocol === 'events' ? closed : undefined;
    });
    const finished = Promise.all([register.empty(), ...answered]);
    await Promise.race([finished, systemClock.sleep(Math.max(0, until - Date.now()), stop.signal)]);
    shutdown.abort(new ProxyError('proxy.shutdown'));
    await Promise.race([register.empty(), systemClock.sleep(5000, stop.signal)]);
  } catch (error) {
    log.error({ error: wordsOf(error) }, 'the gate cannot go on');
    if (error instanceof GateError && error.code === 'gate.cannot-listen')
      say({ failed: { code: error.code, words: error.message, remedy: error.remedy } });
    process.exitCode = 1;
  } finally {
    stop.abort();
    lines.close();
    input.destroy();
  }
  process.exit();
}

/** Takes a connection through its story. `known` is called when its client has logged in. */
type Run = (peer: Peer, known: () => void) => Promise<void>;

/** One connection, from its first byte to its end. Whatever goes wrong in it stays in it. */
async function take(socket: Socket, place: Place, strangers: Strangers, run: Run): Promise<void> {
  const peer = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
  using stranger = strangers.admit(peer.address, () => {
    place.log.debug({ peer: peer.address, strangers: strangers.size }, 'a stranger had to make room');
    socket.destroy();
  });
  socket.on('error', () => {});
  try {
    await run(peer, () => stranger[Symbol.dispose]());
  } catch (error) {
    place.log.debug({ peer: peer.address, reason: wordsOf(error) }, 'a connection ended');
  } finally {
    socket.destroy();
  }
}

/** The gate's host keys: the public halves, and the keeper to sign with the private ones. */
function hostKeysOf(welcome: Welcome, keeper: Keeper): Place['hostKeys'] {
  return welcome.hostKeys.map(({ publicKey, algorithms }) => ({
    publicKey,
    algorithms,
    sign: async (data, algorithm, signal) => {
      const answer = await keeper['hostkey.sign']({ publicKey, algorithm, data }, signal);
      if (isRefusal(answer)) throw new GateError('gate.refused', answer.reason);
      return answer.signature;
    },
  }));
}

const sshSockets = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };

interface Listening {
  readonly protocol: Welcome['listeners'][number]['protocol'];
  readonly address: string;
  readonly port: number;
}

/**
 * The server for events, with a certificate that is asked for again every hour, because such are renewed. Undefined if there
 * is none that can be used: people must not lose their sessions for it, and the keeper's log says why.
 */
async function eventsOf(https: boolean, line: KeeperLine, log: Log, signal: AbortSignal): Promise<Server | undefined> {
  const options = { post: line.keeper['event.post'], connected: () => line.connected, clock: systemClock, log };
  if (!https) return eventServer(options, signal);
  const ask = (): ReturnType<Keeper['event.certificate']> => line.keeper['event.certificate'](null, signal);
  const tls = await ask();
  if (isRefusal(tls)) return undefined;
  const server = eventServer({ ...options, tls }, signal);
  const renewing = setInterval(() => {
    ask().then(
      (renewed) => (isRefusal(renewed) ? undefined : renewCertificate(server, renewed)),
      (error: unknown) => log.warn({ reason: wordsOf(error) }, 'the certificate for events could not be asked for'),
    );
  }, renewalMs);
  signal.addEventListener('abort', () => clearInterval(renewing));
  return server;
}

function listenOn(
  server: Server,
  { address, port }: { readonly address: string; readonly port: number },
): Promise<Omit<Listening, 'protocol'>> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new GateError('gate.cannot-listen', `${address}:${port}: ${wordsOf(error)}`, { cause: error })),
    );
    server.listen({ host: address, port, reusePort: port !== 0 }, () => {
      const at = server.address();
      resolve(typeof at === 'object' && at !== null ? { address: at.address, port: at.port } : { address, port });
    });
  });
}

/**
 * Peers that do not keep to the rules, made of our own transport: clients that have logged in and then misbehave, and
 * servers that a target's address leads to. And an honest bystander, whose session must not notice.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import {
  type ConnectionMessage,
  decodeConnection,
  encodeConnection,
  encodeRequest,
  generateKeyPair,
  logIn,
  openTransport,
  parsePrivateKey,
  type Signer,
  signerFromPrivateKey,
  type Transport,
} from '../../src/protocol/ssh/ssh.ts';
import { Secret } from '../../src/base/secret.ts';
import { authMsg, decodeAuthRequest, encodeFailure, encodeService } from '../../src/protocol/ssh/wire/auth.ts';
import { isViolation } from '../../src/protocol/ssh/wire/reader.ts';
import { openSsh, type Reach } from '../lab/client.ts';
import { type Product, partsOf } from '../support/sallyport.ts';

const never = new AbortController().signal;

/** Everything that was read of a transport, one message at a time. Nothing is read unless somebody asks. */
export interface Reading {
  readonly transport: Transport;
  /** The next message of this kind; those before it are kept in `seen`. Throws at the end of the connection. */
  next<K extends ConnectionMessage['kind']>(kind: K): Promise<Extract<ConnectionMessage, { kind: K }>>;
  /** The next message, whatever it is. */
  any(): Promise<void>;
  /** Reads to the end of the connection; gives how it ended. */
  end(): Promise<string>;
  readonly seen: ConnectionMessage[];
  send(message: Exclude<ConnectionMessage, { kind: 'request' }>): void;
}

export function reading(transport: Transport): Reading {
  const seen: ConnectionMessage[] = [];
  const one = async (): Promise<ConnectionMessage | undefined> => {
    const payload = await transport.next(never);
    if (payload === undefined) return undefined;
    const message = decodeConnection(payload);
    if (isViolation(message)) throw new Error(message.violation);
    seen.push(message);
    return message;
  };
  return {
    transport,
    seen,
    next: async (kind) => {
      for (;;) {
        const message = await one();
        if (message === undefined) throw new Error(`ended without ${kind}: ${await wordsOfEnd(transport)}`);
        if (message.kind === kind) return message as never;
      }
    },
    any: async () => {
      if ((await one()) === undefined) throw new Error(`ended: ${await wordsOfEnd(transport)}`);
    },
    end: async () => {
      while ((await one().catch(() => undefined)) !== undefined);
      return await wordsOfEnd(transport);
    },
    send: (message) => transport.send(encodeConnection(message)),
  };
}

async function wordsOfEnd(transport: Transport): Promise<string> {
  const end = await transport.ended;
  return end.kind === 'peer' ? end.message : end.kind === 'broken' ? end.error.message : end.kind;
}

/** A client that has logged in with its key, and is not bound to anything any more. */
export async function intruder(
  gate: Reach,
  user: string,
  keyFile: string,
): Promise<Reading & AsyncDisposable & { readonly socket: Socket }> {
  const socket = connect({ host: gate.address, port: gate.port });
  await once(socket, 'connect');
  const transport = await openTransport(
    socket,
    { role: 'client', version: 'SSH-2.0-Intruder', checkHostKey: () => true },
    never,
  );
  using file = new Secret(await readFile(keyFile));
  const parsed = await parsePrivateKey(file, undefined, never);
  if ('refused' in parsed) throw new Error(parsed.reason);
  const login = await logIn(transport, user, { signers: [signerFromPrivateKey(parsed.key)] }, never);
  if ('refused' in login) throw new Error(login.reason);
  return {
    ...reading(transport),
    socket,
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
      await transport[Symbol.asyncDispose]();
    },
  };
}

/** Opens a session channel; gives the number by which the other side knows it. */
export async function channel(one: Reading, sender = 0, window = 2 ** 21, maxPacket = 32_768): Promise<number> {
  one.send({ kind: 'open', type: 'session', sender, window, maxPacket, body: new Uint8Array() });
  return (await one.next('open-confirmation')).sender;
}

export function exec(one: Reading, recipient: number, command: string | Uint8Array): void {
  const bytes = typeof command === 'string' ? Buffer.from(command) : command;
  one.transport.send(encodeRequest(recipient, { type: 'exec', command: new Uint8Array(bytes) }, true));
}

/** What a hostile server does with one connection. */
export type Behaviour = (socket: Socket, target: HostileTarget) => Promise<void>;

export interface HostileTarget extends AsyncDisposable {
  /** What the next connections meet. */
  behave: Behaviour;
  readonly port: number;
  /** The key that the estate trusts. */
  readonly signer: Signer;
  /** Every secret that anybody sent here: passwords and answers. */
  readonly secrets: string[];
  /** Connections that got past the key exchange. */
  readonly transports: Transport[];
}

export async function freshSigner(): Promise<Signer> {
  const pair = await generateKeyPair('ed25519');
  const parsed = await parsePrivateKey(pair.privateKeyOpenSsh, undefined, never);
  if ('refused' in parsed) throw new Error(parsed.reason);
  return signerFromPrivateKey(parsed.key);
}

/** A server that is honest until it is told something else. */
export async function hostileTarget(): Promise<HostileTarget> {
  const signer = await freshSigner();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    target.behave(socket, target).catch(() => {});
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target: HostileTarget = {
    behave: honest,
    port: (server.address() as AddressInfo).port,
    signer,
    secrets: [],
    transports: [],
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return target;
}

/** The key exchange, and the request for user authentication granted. */
export async function greet(socket: Socket, target: HostileTarget, signer = target.signer): Promise<Transport> {
  const transport = await openTransport(
    socket,
    { role: 'server', version: 'SSH-2.0-Hostile', hostKeys: [signer] },
    never,
  );
  target.transports.push(transport);
  await transport.next(never);
  transport.send(encodeService('accept', 'ssh-userauth'));
  return transport;
}

/** The next request for authentication, whose password is noted. */
export async function authRequest(transport: Transport, target: HostileTarget): Promise<string> {
  const payload = await transport.next(never);
  const request = payload?.[0] === authMsg.request ? decodeAuthRequest(payload) : undefined;
  if (request === undefined || isViolation(request)) throw new Error('no request for authentication');
  if (request.method === 'password') target.secrets.push(Buffer.from(request.password).toString());
  return request.method;
}

/** Refuses until the method is this one. */
export async function until(method: string, transport: Transport, target: HostileTarget): Promise<void> {
  while ((await authRequest(transport, target)) !== method) transport.send(encodeFailure([method], false));
}

/** Lets anybody in. */
export async function admit(socket: Socket, target: HostileTarget): Promise<Reading> {
  const transport = await greet(socket, target);
  await authRequest(transport, target);
  transport.send(Uint8Array.of(authMsg.success));
  return reading(transport);
}

/** Confirms the client's channel as number 7 and grants its program. */
export async function grant(one: Reading): Promise<number> {
  const { sender } = await one.next('open');
  one.send({
    kind: 'open-confirmation',
    recipient: sender,
    sender: 7,
    window: 2 ** 21,
    maxPacket: 32_768,
    body: new Uint8Array(),
  });
  while (!['exec', 'shell'].includes((await one.next('request')).request.type));
  one.send({ kind: 'success', recipient: sender });
  return sender;
}

/** An honest server: says `here`, then gives back whatever it is given, until the end of input. */
export const honest: Behaviour = async (socket, target) => {
  const one = await admit(socket, target);
  const recipient = await grant(one);
  one.send({ kind: 'data', recipient, data: Buffer.from('here\n') });
  one.transport.relay((payload) => {
    const message = decodeConnection(payload);
    if (isViolation(message)) return;
    if (message.kind === 'data') {
      one.send({ kind: 'window-adjust', recipient, bytes: message.data.length });
      one.send({ kind: 'data', recipient, data: message.data });
    }
    if (message.kind !== 'eof') return;
    one.transport.send(encodeRequest(recipient, { type: 'exit-status', status: 0 }, false));
    one.send({ kind: 'eof', recipient });
    one.send({ kind: 'close', recipient });
  });
};

/** An honest session that stays: `cat`, asked again and again whether it still answers. */
export interface Bystander extends AsyncDisposable {
  /** Says something new and waits until it comes back. */
  echo(): Promise<void>;
}

export async function bystander(gate: Reach, user: string, keyFile: string): Promise<Bystander> {
  const { child, [Symbol.asyncDispose]: close } = await openSsh(gate, { user, keyFile, command: 'cat' });
  let said = '';
  let errors = '';
  let look = (): void => {};
  let over = false;
  child.stdout?.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(-1000);
    look();
  });
  child.stderr?.on('data', (bytes: Buffer) => {
    errors += bytes.toString();
  });
  child.once('close', () => {
    over = true;
    look();
  });
  let count = 0;
  const echo = async (): Promise<void> => {
    const word = `echo ${++count};`;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    look = () => {
      if (said.includes(word)) resolve();
      else if (over) reject(new Error(`the bystander was thrown out: ${errors}`));
    };
    child.stdin?.write(`${word}\n`);
    look();
    await promise;
  };
  await echo();
  return { echo, [Symbol.asyncDispose]: close };
}

/** Resident memory of the product's only gate, in MB. */
export function gateMemory(product: Product): number {
  const gates = partsOf(product.pid).filter((part) => part.name === 'gate');
  if (gates.length !== 1) throw new Error(`${gates.length} gates`);
  const status = readFileSync(`/proc/${gates[0]?.pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

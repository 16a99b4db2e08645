/**
 * A client of RDP made of our own connector, which keeps every byte that it is sent after TLS: what no stock client shows.
 * It activates a desktop as it is asked to and looks at no picture; it can be told to stop reading, and to say whatever.
 */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Secret } from '../../src/base/secret.ts';
import { openInitiator } from '../../src/protocol/ntlm/ntlm.ts';
import { joinTarget, type Joined, RdpStream, sendClientInfo } from '../../src/protocol/rdp/rdp.ts';
import { sound } from '../../src/protocol/rdp/acceptor.ts';
import { decodeActive, encodeActive } from '../../src/protocol/rdp/wire/capabilities.ts';
import { encodeClientInfo, infoFlag } from '../../src/protocol/rdp/wire/client-info.ts';
import { frameAt } from '../../src/protocol/rdp/wire/frame.ts';
import { type Block, block } from '../../src/protocol/rdp/wire/gcc.ts';
import { decodeMcs, sendDataRequest } from '../../src/protocol/rdp/wire/mcs.ts';
import type { ChannelRequest } from '../../src/protocol/rdp/wire/settings.ts';
import { decodeShareData, shareData, shareDataType, sharePdu, walkShare } from '../../src/protocol/rdp/wire/share.ts';
import {
  type ConnectionConfirm,
  decodeConnectionConfirm,
  encodeConnectionRequest,
  security,
} from '../../src/protocol/rdp/wire/x224.ts';
import { isViolation } from '../../src/protocol/wire/violation.ts';
import { LittleWriter } from '../../src/protocol/wire/little-writer.ts';
import { chance, now } from '../protocol/ntlm/stage.ts';

export interface Gate {
  readonly address: string;
  readonly port: number;
}

export interface WireLogin {
  readonly user: string;
  readonly password: string;
  readonly security?: 'nla' | 'tls';
  /** The address it comes from; 127.0.0.1 unless given. */
  readonly from?: string;
  readonly channels?: readonly ChannelRequest[];
}

export interface WireClient extends AsyncDisposable {
  /** Everything that came inside TLS. */
  received(): Buffer;
  /** Numbers of Set Error Info that it was sent. */
  readonly errors: readonly number[];
  /** Bytes of pictures so far. */
  readonly pictures: number;
  /** Resolves when the desktop is activated; rejects if it ends before. */
  readonly active: Promise<void>;
  /** Resolves when the gate has closed. */
  readonly closed: Promise<void>;
  /** Resolves when so many bytes of pictures have come; rejects if it ends before. */
  shown(bytes: number): Promise<void>;
  /** Reads no more, or again. */
  pause(): void;
  resume(): void;
  /** More is waiting to be sent than the gate takes. */
  readonly congested: boolean;
  /** Sends bytes as they are, inside TLS. */
  say(bytes: Uint8Array): void;
  readonly joined: Joined;
}

/** A bare connection to the gate, from an address of this machine's. */
export async function dialGate(gate: Gate, from = '127.0.0.1'): Promise<Socket> {
  const socket = connectTcp({ host: gate.address, port: gate.port, localAddress: from });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Sends a Connection Request (whole, as it is) and gives the gate's answer. Reads nothing behind it. */
export async function negotiate(socket: Socket, request: Uint8Array): Promise<ConnectionConfirm> {
  socket.write(request);
  const closed = once(socket, 'close').then(() => undefined);
  for (;;) {
    const answer = socket.read(19) as Buffer | null;
    if (answer !== null) return sound(decodeConnectionConfirm(answer));
    const more = await Promise.race([once(socket, 'readable'), closed]);
    if (more === undefined) throw new Error('closed without an answer');
  }
}

/** As far as TLS, with nothing said inside. */
export async function secured(gate: Gate, protocols: number, from?: string): Promise<TLSSocket> {
  const socket = await dialGate(gate, from);
  const confirm = await negotiate(socket, encodeConnectionRequest(protocols));
  if (confirm.kind !== 'selected') throw new Error(`refused to negotiate: ${confirm.code}`);
  const tls = connectTls({ socket, rejectUnauthorized: false });
  tls.on('error', () => {});
  await once(tls, 'secureConnect');
  return tls;
}

/** Logs in as far as Client Info. Throws the code of CredSSP's refusal. */
export async function enter(gate: Gate, login: WireLogin, signal: AbortSignal): Promise<WireClient> {
  const nla = login.security !== 'tls';
  const tls = await secured(gate, nla ? security.nla | security.tls : security.tls, login.from);
  const received: Buffer[] = [];
  tls.on('data', (chunk: Buffer) => void received.push(chunk));
  await using undo = new AsyncDisposableStack();
  const stream = undo.use(new RdpStream(tls));
  if (nla) await proveToken(stream, tls, login, signal);
  const channels = login.channels ?? [];
  const edit = { selected: nla ? security.nla : security.tls, depth: 24, width: 1024, height: 768, monitors: true };
  const joined = await joinTarget(stream, settings, edit, channels, signal);
  const password = Buffer.from(nla ? '' : login.password, 'utf16le');
  const about = { domain: '', user: login.user, password, shell: '' };
  sendClientInfo(stream, joined, encodeClientInfo(machine, about));
  const client = listen(stream, joined, received);
  const life = undo.move();
  return Object.assign(client, { [Symbol.asyncDispose]: () => life.disposeAsync() });
}

async function proveToken(stream: RdpStream, tls: TLSSocket, login: WireLogin, signal: AbortSignal): Promise<void> {
  const certificate = new Uint8Array(tls.getPeerCertificate().raw);
  using password = Secret.fromText(login.password);
  using machine = openInitiator({ user: login.user, domain: '', password, host: 'gate', certificate, now, chance });
  stream.write(machine.first);
  for (;;) {
    const step = machine.step(await stream.der(signal));
    if (step.refused !== undefined) throw new Error(step.refused.code);
    stream.write(step.send);
    if (step.done) return;
  }
}

function listen(stream: RdpStream, joined: Joined, received: Buffer[]) {
  const errors: number[] = [];
  const active = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const looking = new Set<() => void>();
  active.promise.catch(() => {});
  let pictures = 0;
  const say = (data: Uint8Array): void => stream.write(sendDataRequest(joined.user, joined.io, data));
  let licensed = false;

  function share(bytes: Uint8Array): void {
    for (const { type, bytes: one } of sound(walkShare(bytes))) {
      if (type === sharePdu.demandActive) {
        const demand = sound(decodeActive(one));
        say(confirm(demand.shareId, joined.user));
        for (const [kind, body] of finalization(joined.user)) say(clientShare(demand.shareId, joined.user, kind, body));
      } else if (type === sharePdu.data) {
        const data = sound(decodeShareData(one));
        if (data.type === shareDataType.fontMap) active.resolve();
        if (data.type === shareDataType.update) pictures += data.body.length;
        if (data.type === shareDataType.setErrorInfo)
          errors.push(new DataView(data.body.slice().buffer).getUint32(0, true));
      }
    }
  }

  function take(message: Uint8Array): void {
    if (message[0] !== 3) {
      pictures += message.length;
      return;
    }
    const pdu = sound(decodeMcs(message));
    if (pdu.kind !== 'data' || pdu.channel !== joined.io) return;
    if (licensed) return share(pdu.data);
    licensed = pdu.data[4] === 0xff;
    if (!licensed) say(Uint8Array.of(0x80, 0, 0, 0, 0x13, 3, 8, 0, 1, 0, 0, 0));
  }

  let held: Uint8Array = new Uint8Array();
  stream.relay((chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (;;) {
      const frame = frameAt(held, 0);
      if (frame === undefined || isViolation(frame) || frame.length > held.length) break;
      take(held.subarray(0, frame.length));
      held = held.subarray(frame.length);
    }
    for (const look of looking) look();
  });
  const over = (): void => {
    closed.resolve();
    active.reject(new Error(`the gate closed; errors ${errors.join()}`));
    for (const look of looking) look();
  };
  stream.gone.addEventListener('abort', over);
  if (stream.gone.aborted) over();
  return {
    received: () => Buffer.concat(received),
    errors,
    get pictures() {
      return pictures;
    },
    active: active.promise,
    closed: closed.promise,
    shown: async (bytes: number) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = (): void => {
        if (pictures >= bytes) resolve();
        else if (stream.gone.aborted)
          reject(new Error(`the gate closed after ${pictures} bytes; errors ${errors.join()}`));
      };
      looking.add(look);
      look();
      await promise.finally(() => looking.delete(look));
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    get congested() {
      return stream.congested;
    },
    say: (bytes: Uint8Array) => stream.write(bytes),
    joined,
  };
}

// -- What this client says of itself ---------------------------------------------------------------------------------

const core = new LittleWriter(216)
  .u32(0x00080004)
  .u16(1024)
  .u16(768)
  .u16(0xca01)
  .u16(0xaa03)
  .u32(0x409)
  .u32(2600)
  .utf16('wire-client')
  .zeros(32 - 22)
  .u32(4)
  .u32(0)
  .u32(12)
  .zeros(64)
  .u16(0xca01)
  .u16(1)
  .u32(0)
  .u16(24)
  .u16(0x0f)
  .u16(0x21)
  .zeros(64)
  .u16(0)
  .u32(0)
  .finish();

/** The blocks of its settings. */
export const settings: readonly Block[] = [
  { type: block.csCore, data: core },
  { type: block.csSecurity, data: new Uint8Array(8) },
];

/** Of its Client Info what is not a login. */
export const machine = {
  codePage: 0x409,
  // xrdp takes nobody without the four of them
  flags: infoFlag.mouse | infoFlag.disableCtrlAltDel | infoFlag.unicode | infoFlag.maximizeShell,
  domain: '',
  user: '',
  password: new Uint8Array(),
  shell: '',
  workingDirectory: '',
  extra: new LittleWriter().u16(2).u16(2).u16(0).u16(2).u16(0).zeros(172).u32(0).u32(7).u16(0).finish(),
};

const set = (length: number, ...words: readonly number[]): Uint8Array => {
  const writer = new LittleWriter(length);
  for (const word of words) writer.u16(word);
  return writer.zeros(length - 2 * words.length).finish();
};

function confirm(shareId: number, user: number): Uint8Array {
  const order = set(84);
  order.set(new LittleWriter().u32(0).u16(1).u16(20).u16(0).u16(1).u16(0).u16(0x0a).finish(), 16);
  return encodeActive({
    kind: 'confirm',
    source: user,
    shareId,
    originator: 1002,
    descriptor: Buffer.from('wire\0'),
    sessionId: 0,
    capabilities: [
      // general: Windows, version, fast-path output, long credentials, no compression header
      { type: 1, data: set(20, 1, 3, 0x200, 0, 0, 0x0405) },
      { type: 2, data: set(24, 24, 1, 1, 1, 1024, 768, 0, 1, 1, 0, 1) },
      { type: 3, data: order },
      { type: 8, data: set(6, 1, 20, 21) },
      { type: 13, data: set(84, 0x35, 0, 0x409, 0, 4, 0, 0, 0, 12) },
    ],
  });
}

function finalization(user: number): readonly (readonly [number, Uint8Array])[] {
  return [
    [shareDataType.synchronize, new LittleWriter().u16(1).u16(user).finish()],
    [shareDataType.control, new LittleWriter().u16(4).u16(0).u32(0).finish()],
    [shareDataType.control, new LittleWriter().u16(1).u16(0).u32(0).finish()],
    [shareDataType.fontList, new LittleWriter().u16(0).u16(0).u16(3).u16(50).finish()],
  ];
}

/** Share data as a client sends it. */
export function clientShare(shareId: number, user: number, type: number, body: Uint8Array): Uint8Array {
  const pdu = shareData(shareId, type, body);
  pdu[4] = user & 0xff;
  pdu[5] = user >>> 8;
  return pdu;
}

/**
 * A target of RDP made of our own encoders, that a test drives: it goes along with a client as far as it is told, then does
 * what no server does that can be installed here. It keeps what it was sent inside TLS.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { sound } from '../../src/protocol/rdp/acceptor.ts';
import { frameAt, RdpStream, sendDataIndication } from '../../src/protocol/rdp/rdp.ts';
import { encodeActive } from '../../src/protocol/rdp/wire/capabilities.ts';
import { type ClientInfo, decodeClientInfo } from '../../src/protocol/rdp/wire/client-info.ts';
import { block, decodeConnectInitial, encodeConnectResponse } from '../../src/protocol/rdp/wire/gcc.ts';
import { attachConfirm, decodeMcs, joinConfirm } from '../../src/protocol/rdp/wire/mcs.ts';
import { encodeOutput } from '../../src/protocol/rdp/wire/output.ts';
import { validClient } from '../../src/protocol/rdp/wire/refusal.ts';
import { decodeClientNet, serverBlocks } from '../../src/protocol/rdp/wire/settings.ts';
import { decodeShareData, shareData, shareDataType, sharePdu, walkShare } from '../../src/protocol/rdp/wire/share.ts';
import { encodeConnectionConfirm, security } from '../../src/protocol/rdp/wire/x224.ts';
import { isViolation } from '../../src/protocol/wire/violation.ts';
import { LittleWriter } from '../../src/protocol/wire/little-writer.ts';
import { makeSelfSigned } from '../lab/rdp/self-signed.ts';

/** How far a visit has come; each is reached after the one before. */
export const stages = [
  'connected',
  'negotiated',
  'secured',
  'settled',
  'joined',
  'informed',
  'licensed',
  'active',
] as const;
export type Stage = (typeof stages)[number];

export interface Visit {
  readonly stream: RdpStream;
  readonly socket: Socket;
  /** Goes along as far as that. */
  reach(stage: Stage): Promise<void>;
  /** Sends bytes as they are. */
  send(bytes: Uint8Array): void;
  /** Sends data of the share, once it is active. */
  share(type: number, body: Uint8Array): void;
  /** Sends pictures as fast as they are taken, until the visitor is gone or the signal fires. */
  paint(bytes: number, pauseMs?: number): Promise<void>;
  /** Client Info, once it came. */
  readonly info: ClientInfo | undefined;
  /** Ends with the visitor. */
  readonly over: Promise<void>;
}

export type Script = (visit: Visit) => Promise<void>;

export interface WireTarget extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** SHA-256 of what it shows, 64 hexadecimal digits. */
  readonly fingerprint: string;
  /** What it does with each visitor from now on; until then it shows a desktop that stays as it is. */
  script: Script;
  /** Visits so far. */
  readonly visits: number;
  /** Client Infos so far. */
  readonly infos: readonly ClientInfo[];
}

const io = 1003;
const shareId = 0x103ea;

/** A desktop that is shown, and nothing happens on it. */
export const quiet: Script = async (visit) => {
  await visit.reach('active');
  await visit.paint(64 * 1024);
  await visit.over;
};

export async function startWireTarget(address = '127.0.0.1'): Promise<WireTarget> {
  const { certificate, key, fingerprint } = await makeSelfSigned('wire target');
  const context = createSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' });
  const sockets = new Set<Socket>();
  const infos: ClientInfo[] = [];
  let visits = 0;
  const target = { script: quiet };
  const server = createServer((socket) => {
    visits++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    void receive(
      socket,
      context,
      (info) => infos.push(info),
      (visit) => target.script(visit),
    )
      .catch(() => {})
      .finally(() => socket.destroy());
  });
  server.listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('it has no port');
  return Object.defineProperties(
    {
      address,
      port: bound.port,
      fingerprint,
      infos,
      script: quiet,
      visits: 0,
      [Symbol.asyncDispose]: async () => {
        const closed = once(server, 'close');
        server.close();
        for (const socket of sockets) socket.destroy();
        await closed;
      },
    },
    {
      script: {
        get: () => target.script,
        set: (script: Script) => {
          target.script = script;
        },
      },
      visits: { get: () => visits },
    },
  );
}

async function receive(
  socket: Socket,
  context: ReturnType<typeof createSecureContext>,
  told: (info: ClientInfo) => void,
  script: Script,
): Promise<void> {
  const never = new AbortController().signal;
  const stream = new RdpStream(socket);
  const over = new Promise<void>((resolve) => stream.gone.addEventListener('abort', () => resolve()));
  const drained = new Set<() => void>();
  stream.onDrain(() => {
    for (const one of drained) one();
  });
  let info: ClientInfo | undefined;
  let channels: number[] = [];
  let reached = 0;

  const steps: Readonly<Record<Stage, () => Promise<void>>> = {
    connected: async () => {},
    negotiated: async () => {
      await stream.frame(never);
      stream.write(encodeConnectionConfirm(security.tls));
    },
    secured: () => stream.secureServer(context, never),
    settled: async () => {
      const blocks = sound(decodeConnectInitial(await stream.frame(never)));
      const net = blocks.find(({ type }) => type === block.csNet);
      channels = net === undefined ? [] : sound(decodeClientNet(net.data)).map((_, i) => io + 1 + i);
      stream.write(encodeConnectResponse(serverBlocks(security.tls, { io, channels })));
    },
    joined: async () => {
      const user = io + channels.length + 8;
      for (let left = channels.length + 2; left > 0; ) {
        const pdu = sound(decodeMcs(await stream.frame(never)));
        if (pdu.kind === 'attach-user') stream.write(attachConfirm(user));
        if (pdu.kind !== 'join') continue;
        stream.write(joinConfirm(user, pdu.channel));
        left--;
      }
    },
    informed: async () => {
      const pdu = sound(decodeMcs(await stream.frame(never)));
      if (pdu.kind !== 'data') throw new Error(`${pdu.kind} where Client Info is due`);
      info = sound(decodeClientInfo(pdu.data));
      told(info);
    },
    licensed: async () => stream.write(sendDataIndication(io, validClient())),
    active: async () => {
      stream.write(sendDataIndication(io, demand()));
      for (let ready = false; !ready; ) {
        const message = await stream.frame(never);
        if (message[0] !== 3) continue;
        const pdu = sound(decodeMcs(message));
        if (pdu.kind !== 'data' || pdu.channel !== io) continue;
        for (const { type, bytes } of sound(walkShare(pdu.data)))
          if (type === sharePdu.data && sound(decodeShareData(bytes)).type === shareDataType.fontList) ready = true;
      }
      share(shareDataType.synchronize, new LittleWriter().u16(1).u16(1002).finish());
      share(shareDataType.control, new LittleWriter().u16(4).u16(0).u32(0).finish());
      share(shareDataType.control, new LittleWriter().u16(2).u16(io).u32(1002).finish());
      share(shareDataType.fontMap, new LittleWriter().u16(0).u16(0).u16(3).u16(4).finish());
    },
  };
  const share = (type: number, body: Uint8Array): void =>
    stream.write(sendDataIndication(io, shareData(shareId, type, body)));

  await script({
    stream,
    socket,
    over,
    get info() {
      return info;
    },
    reach: async (stage) => {
      for (const until = stages.indexOf(stage); reached <= until; reached++) await steps[stages[reached] ?? 'active']();
    },
    send: (bytes) => stream.write(bytes),
    share,
    paint: async (bytes, pauseMs = 0) => {
      for (let sent = 0; sent < bytes && !stream.gone.aborted; sent += onePicture.length) {
        stream.write(onePicture);
        if (stream.congested)
          await Promise.race([
            new Promise<void>((resolve) => drained.add(resolve)).finally(() => drained.clear()),
            over,
          ]);
        else await new Promise<void>((resolve) => setTimeout(resolve, pauseMs));
      }
    },
  });
}

function demand(): Uint8Array {
  return encodeActive({
    kind: 'demand',
    source: 1002,
    shareId,
    originator: 0,
    descriptor: Buffer.from('RDP\0'),
    sessionId: 0,
    capabilities: [
      { type: 1, data: new LittleWriter(20).u16(1).u16(3).u16(0x200).u16(0).u16(0).u16(0x0405).zeros(8).finish() },
      { type: 2, data: new LittleWriter(24).u16(24).u16(1).u16(1).u16(1).u16(1024).u16(768).zeros(12).finish() },
    ],
  });
}

/** 64 by 64 points of noise that hardly compresses, as one fast-path message. */
const onePicture: Uint8Array = (() => {
  const [width, height] = [64, 64];
  const noise = new Uint8Array(width * height * 3);
  for (let i = 0, state = 1; i < noise.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    noise[i] = state >>> 24;
  }
  const rectangle = new LittleWriter(noise.length + 22)
    .u16(1)
    .u16(1)
    .u16(0)
    .u16(0)
    .u16(width - 1)
    .u16(height - 1)
    .u16(width)
    .u16(height)
    .u16(24)
    .u16(0)
    .u16(noise.length)
    .raw(noise)
    .finish();
  return encodeOutput(1, rectangle);
})();

/** Where the messages in some bytes begin and end, for looking at what passed. */
export function messagesIn(bytes: Uint8Array): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const frame = frameAt(bytes, at);
    if (frame === undefined || isViolation(frame) || at + frame.length > bytes.length) break;
    found.push(bytes.subarray(at, at + frame.length));
    at += frame.length;
  }
  return found;
}

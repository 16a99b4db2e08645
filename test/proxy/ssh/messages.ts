/** A relay with nothing around it: both ways and the onlooker are lists. Messages are named as RFC 4254 names them. */
import { utf8 } from '../../../src/base/bytes.ts';
import {
  type ChannelRequest,
  type ConnectionMessage,
  decodeConnection,
  encodeConnection,
  encodeRequest,
} from '../../../src/protocol/ssh/ssh.ts';
import { Relay, type Watcher } from '../../../src/proxy/ssh/relay.ts';

export type Known = Exclude<ChannelRequest, { type: 'unknown' }>;

export interface Rig {
  readonly relay: Relay;
  readonly toClient: Uint8Array[];
  readonly toTarget: Uint8Array[];
  /** What the onlooker was told, in words. */
  readonly seen: string[];
}

export function rig(allowed: readonly string[] = ['shell', 'exec', 'sftp']): Rig {
  const toClient: Uint8Array[] = [];
  const toTarget: Uint8Array[] = [];
  const seen: string[] = [];
  const watcher: Watcher = {
    opened: (channel) => seen.push(`opened ${channel.number}`),
    requested: (channel, name) => seen.push(`requested ${channel.number} ${name}`),
    refused: (what, _reason, channel) => seen.push(`refused ${channel?.number ?? '-'} ${what}`),
    bytes: (channel, stream, bytes) => seen.push(`${stream} ${channel.number} ${Buffer.from(bytes).toString()}`),
    reported: (channel, request) => seen.push(`reported ${channel.number} ${request.type}`),
    closed: (channel) => seen.push(`closed ${channel.number}`),
  };
  const ways = {
    toClient: (payload: Uint8Array) => void toClient.push(payload.slice()),
    toTarget: (payload: Uint8Array) => void toTarget.push(payload.slice()),
  };
  return { relay: new Relay(new Set(allowed), ways, watcher), toClient, toTarget, seen };
}

/** A rig with one confirmed channel, number 0 at the client and 10 at the target, and nothing in its lists. */
export function opened(allowed?: readonly string[]): Rig {
  const it = rig(allowed);
  it.relay.fromClient(open(0));
  it.relay.fromTarget(confirm(0, 10));
  for (const list of [it.toClient, it.toTarget, it.seen]) list.length = 0;
  return it;
}

/** What went one way, in short: kind, and the channel or the name. */
export function inShort(payloads: readonly Uint8Array[]): string[] {
  return payloads.map((payload) => {
    const message = decodeConnection(payload);
    if ('violation' in message) return message.violation;
    if (message.kind === 'request') return `request ${message.recipient} ${message.name}`;
    if ('name' in message) return `${message.kind} ${message.name}`;
    return 'recipient' in message ? `${message.kind} ${message.recipient}` : message.kind;
  });
}

const window = { window: 1 << 21, maxPacket: 32_768, body: new Uint8Array() };

export function open(sender: number, type = 'session'): Uint8Array {
  return encodeConnection({ kind: 'open', type, sender, ...window });
}

export function confirm(recipient: number, sender: number): Uint8Array {
  return encodeConnection({ kind: 'open-confirmation', recipient, sender, ...window });
}

export function data(recipient: number, words: string): Uint8Array {
  return encodeConnection({ kind: 'data', recipient, data: utf8(words) });
}

export function stderr(recipient: number, words: string, type = 1): Uint8Array {
  return encodeConnection({ kind: 'extended-data', recipient, type, data: utf8(words) });
}

export function adjust(recipient: number): Uint8Array {
  return encodeConnection({ kind: 'window-adjust', recipient, bytes: 1024 });
}

export function about(kind: 'eof' | 'close' | 'success' | 'failure', recipient: number): Uint8Array {
  return encodeConnection({ kind, recipient });
}

export function global(name: string, wantReply = true): Uint8Array {
  return encodeConnection({ kind: 'global-request', name, wantReply, body: new Uint8Array() });
}

export const yes: Uint8Array = encodeConnection({ kind: 'request-success', body: new Uint8Array() });
export const no: Uint8Array = encodeConnection({ kind: 'request-failure' } satisfies ConnectionMessage);

export function request(recipient: number, what: Known, wantReply = true): Uint8Array {
  return encodeRequest(recipient, what, wantReply);
}

export function exec(recipient: number, command: string, wantReply = true): Uint8Array {
  return request(recipient, { type: 'exec', command: utf8(command) }, wantReply);
}

/** A request of a name that nobody knows; it has no body. */
export function unheard(recipient: number, name: string, wantReply = true): Uint8Array {
  const named = utf8(name);
  const bytes = new Uint8Array(10 + named.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 98);
  view.setUint32(1, recipient);
  view.setUint32(5, named.length);
  bytes.set(named, 9);
  view.setUint8(9 + named.length, wantReply ? 1 : 0);
  return bytes;
}

export const pty: Known = {
  type: 'pty-req',
  term: 'xterm',
  cols: 80,
  rows: 24,
  widthPixels: 0,
  heightPixels: 0,
  modes: new Map(),
};

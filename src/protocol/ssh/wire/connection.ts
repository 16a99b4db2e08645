/**
 * Messages of the connection protocol, 80 to 100 (RFC 4254, OpenSSH's PROTOCOL). Pure. `recipientOf` reads a
 * message's channel without looking further, which is all that bulk data needs; `decodeConnection` reads the rest. Names and
 * types that are not known here are kept as bytes, so that a relay can pass them on untouched.
 *
 * What is returned of the bytes are views into the payload. Text that reaches the caller as a string was valid UTF-8;
 * command lines and environment values stay bytes, because they may be anything.
 */
import { text as lenient } from '../../../base/bytes.ts';
import { type ChannelRequest, decodeRequest } from './connection-requests.ts';
import { Reader, type Violation } from './reader.ts';
import { Writer } from './writer.ts';

export const connectionMsg = {
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  channelOpen: 90,
  channelOpenConfirmation: 91,
  channelOpenFailure: 92,
  channelWindowAdjust: 93,
  channelData: 94,
  channelExtendedData: 95,
  channelEof: 96,
  channelClose: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100,
} as const;

/** RFC 4254 §5.1. */
export const openFailure = { prohibited: 1, connectFailed: 2, unknownType: 3, resourceShortage: 4 } as const;

/** RFC 4254 §5.2: the only extended data type there is. */
export const stderrType = 1;

const longestName = 256;
const longestShown = 16_384;
const longestData = 1 << 20;

export type ConnectionMessage =
  | { readonly kind: 'global-request'; readonly name: string; readonly wantReply: boolean; readonly body: Uint8Array }
  | { readonly kind: 'request-success'; readonly body: Uint8Array }
  | { readonly kind: 'request-failure' }
  | {
      readonly kind: 'open';
      readonly type: string;
      readonly sender: number;
      readonly window: number;
      /** The peer's; 0 makes a channel on which nothing can be sent, and is a violation. */
      readonly maxPacket: number;
      readonly body: Uint8Array;
    }
  | {
      readonly kind: 'open-confirmation';
      readonly recipient: number;
      readonly sender: number;
      readonly window: number;
      readonly maxPacket: number;
      readonly body: Uint8Array;
    }
  | { readonly kind: 'open-failure'; readonly recipient: number; readonly reason: number; readonly description: string }
  | { readonly kind: 'window-adjust'; readonly recipient: number; readonly bytes: number }
  | { readonly kind: 'data'; readonly recipient: number; readonly data: Uint8Array }
  | { readonly kind: 'extended-data'; readonly recipient: number; readonly type: number; readonly data: Uint8Array }
  | { readonly kind: 'eof'; readonly recipient: number }
  | { readonly kind: 'close'; readonly recipient: number }
  | {
      readonly kind: 'request';
      readonly recipient: number;
      readonly name: string;
      readonly wantReply: boolean;
      readonly request: ChannelRequest;
    }
  | { readonly kind: 'success'; readonly recipient: number }
  | { readonly kind: 'failure'; readonly recipient: number };

/** Whether this is CHANNEL_DATA that is long enough to name its channel. */
export function isData(payload: Uint8Array): boolean {
  return payload[0] === connectionMsg.channelData && payload.length >= 9;
}

/**
 * The recipient channel of any channel message but OPEN (91–100): a uint32 behind the message number. Undefined when
 * the payload is too short or no such message. Copies nothing.
 */
export function recipientOf(payload: Uint8Array): number | undefined {
  const number = payload[0] ?? 0;
  if (number < connectionMsg.channelOpenConfirmation || number > connectionMsg.channelFailure) return undefined;
  return payload.length < 5 ? undefined : uint32(payload, 1);
}

/** How many window bytes a data message takes, or undefined for other messages and for a length that lies. */
export function dataLength(payload: Uint8Array): number | undefined {
  const at = payload[0] === connectionMsg.channelData ? 5 : payload[0] === connectionMsg.channelExtendedData ? 9 : 0;
  if (at === 0) return undefined;
  return payload.length >= at + 4 && uint32(payload, at) === payload.length - at - 4
    ? payload.length - at - 4
    : undefined;
}

function uint32(b: Uint8Array, at: number): number {
  return (((b[at] ?? 0) << 24) | ((b[at + 1] ?? 0) << 16) | ((b[at + 2] ?? 0) << 8) | (b[at + 3] ?? 0)) >>> 0;
}

/** One message, or why it is none. Everything behind the last field is a violation, except where it is the body. */
export function decodeConnection(payload: Uint8Array): ConnectionMessage | Violation {
  const reader = new Reader(payload, 1);
  const message = decodeFields(payload[0] ?? 0, reader);
  reader.end();
  return reader.violation === undefined && message !== undefined
    ? message
    : {
        violation: reader.violation ?? `message ${payload[0] ?? 'without a number'} is none of the connection protocol`,
      };
}

function decodeFields(number: number, reader: Reader): ConnectionMessage | undefined {
  switch (number) {
    // string name · bool want reply · …
    case connectionMsg.globalRequest:
      return { kind: 'global-request', name: reader.text(longestName), wantReply: reader.bool(), body: reader.rest() };
    case connectionMsg.requestSuccess:
      return { kind: 'request-success', body: reader.rest() };
    case connectionMsg.requestFailure:
      return { kind: 'request-failure' };
    // string type · uint32 sender · uint32 window · uint32 max packet · …
    case connectionMsg.channelOpen:
      return { kind: 'open', type: reader.text(longestName), ...decodeOpening(reader) };
    // uint32 recipient · uint32 sender · uint32 window · uint32 max packet · …
    case connectionMsg.channelOpenConfirmation:
      return { kind: 'open-confirmation', recipient: reader.u32(), ...decodeOpening(reader) };
    // uint32 recipient · uint32 reason · string description · string language
    case connectionMsg.channelOpenFailure: {
      const head = { recipient: reader.u32(), reason: reader.u32() };
      const description = lenient(reader.string(longestShown));
      reader.string(longestName);
      return { kind: 'open-failure', ...head, description };
    }
    case connectionMsg.channelWindowAdjust:
      return { kind: 'window-adjust', recipient: reader.u32(), bytes: reader.u32() };
    case connectionMsg.channelData:
      return { kind: 'data', recipient: reader.u32(), data: reader.string(longestData) };
    case connectionMsg.channelExtendedData:
      return { kind: 'extended-data', recipient: reader.u32(), type: reader.u32(), data: reader.string(longestData) };
    case connectionMsg.channelEof:
      return { kind: 'eof', recipient: reader.u32() };
    case connectionMsg.channelClose:
      return { kind: 'close', recipient: reader.u32() };
    // uint32 recipient · string name · bool want reply · …
    case connectionMsg.channelRequest: {
      const head = { recipient: reader.u32(), name: reader.text(longestName), wantReply: reader.bool() };
      return { kind: 'request', ...head, request: decodeRequest(head.name, reader) };
    }
    case connectionMsg.channelSuccess:
      return { kind: 'success', recipient: reader.u32() };
    case connectionMsg.channelFailure:
      return { kind: 'failure', recipient: reader.u32() };
    default:
      return undefined;
  }
}

function decodeOpening(reader: Reader): { sender: number; window: number; maxPacket: number; body: Uint8Array } {
  const head = { sender: reader.u32(), window: reader.u32(), maxPacket: reader.u32() };
  // A channel that takes packets of no bytes makes a naive sender loop for ever.
  if (reader.violation === undefined && head.maxPacket === 0) reader.fail('maximum packet size 0');
  return { ...head, body: reader.rest() };
}

/** The payload of a message. What was decoded encodes to the same bytes, but for the language tags. */
export function encodeConnection(message: Exclude<ConnectionMessage, { kind: 'request' }>): Uint8Array {
  const m = message;
  switch (m.kind) {
    case 'global-request':
      return new Writer().u8(80).text(m.name).bool(m.wantReply).raw(m.body).finish();
    case 'request-success':
      return new Writer().u8(81).raw(m.body).finish();
    case 'request-failure':
      return Uint8Array.of(82);
    case 'open':
      return opening(new Writer().u8(90).text(m.type), m);
    case 'open-confirmation':
      return opening(new Writer().u8(91).u32(m.recipient), m);
    case 'open-failure':
      return new Writer().u8(92).u32(m.recipient).u32(m.reason).text(m.description).text('').finish();
    case 'window-adjust':
      return new Writer(9).u8(93).u32(m.recipient).u32(m.bytes).finish();
    case 'data':
      return new Writer(9 + m.data.length).u8(94).u32(m.recipient).string(m.data).finish();
    case 'extended-data':
      return new Writer(13 + m.data.length).u8(95).u32(m.recipient).u32(m.type).string(m.data).finish();
    case 'eof':
      return numbered(96, m.recipient);
    case 'close':
      return numbered(97, m.recipient);
    case 'success':
      return numbered(99, m.recipient);
    case 'failure':
      return numbered(100, m.recipient);
  }
}

function opening(
  writer: Writer,
  m: { readonly sender: number; readonly window: number; readonly maxPacket: number; readonly body: Uint8Array },
): Uint8Array {
  return writer.u32(m.sender).u32(m.window).u32(m.maxPacket).raw(m.body).finish();
}

function numbered(message: number, recipient: number): Uint8Array {
  return new Writer(5).u8(message).u32(recipient).finish();
}

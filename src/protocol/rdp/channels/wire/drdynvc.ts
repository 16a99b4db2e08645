/**
 * Dynamic virtual channels (MS-RDPEDYC §2.2), one message of the static channel `drdynvc`. Pure. Compressed data and the
 * move to another transport belong to version 3, which the gate never lets be agreed: they are refused.
 */
import { LittleReader } from '../../../wire/little-reader.ts';
import { LittleWriter } from '../../../wire/little-writer.ts';
import type { Violation } from '../../../wire/violation.ts';

/** STATUS_UNSUCCESSFUL: the answer to a server that asks for a channel that may not be. */
export const unsuccessful = 0xc0000001;

/** The highest version that the gate speaks. */
export const highestVersion = 2;

export type DynamicMessage =
  /** `charges`: how bandwidth is shared between the four priorities; only a server sends them, from version 2 on. */
  | { readonly type: 'caps'; readonly version: number; readonly charges: readonly number[] }
  | { readonly type: 'create-request'; readonly channel: number; readonly priority: number; readonly name: string }
  | { readonly type: 'create-response'; readonly channel: number; readonly status: number }
  | { readonly type: 'data-first'; readonly channel: number; readonly total: number; readonly data: Uint8Array }
  | { readonly type: 'data'; readonly channel: number; readonly data: Uint8Array }
  | { readonly type: 'close'; readonly channel: number };

/** Reads a message. Which side sent it matters for `create` (request or response) and `caps`. */
export function decodeDynamic(bytes: Uint8Array, from: 'client' | 'target'): DynamicMessage | Violation {
  const reader = new LittleReader(bytes);
  const head = reader.u8();
  const message = decodeBody(reader, head >>> 4, (head >>> 2) & 3, head & 3, from);
  return reader.violation === undefined && message !== undefined
    ? message
    : { violation: reader.violation ?? `dynamic channel command ${head >>> 4} was never agreed` };
}

function decodeBody(
  reader: LittleReader,
  command: number,
  sp: number,
  cb: number,
  from: 'client' | 'target',
): DynamicMessage | undefined {
  if (command === 5) {
    reader.skip(1);
    const version = reader.u16();
    const charges = version > 1 && from === 'target' ? [reader.u16(), reader.u16(), reader.u16(), reader.u16()] : [];
    return { type: 'caps', version, charges };
  }
  if (command < 1 || command > 4) return undefined;
  const channel = sized(reader, cb);
  switch (command) {
    case 1:
      return from === 'target'
        ? { type: 'create-request', channel, priority: sp, name: asciiz(reader) }
        : { type: 'create-response', channel, status: reader.u32() };
    case 2:
      return { type: 'data-first', channel, total: sized(reader, sp), data: reader.rest() };
    case 3:
      return { type: 'data', channel, data: reader.rest() };
    default:
      return { type: 'close', channel };
  }
}

/** A number of 1, 2 or 4 bytes by a selector of two bits; 3 is nobody's. */
function sized(reader: LittleReader, selector: number): number {
  if (selector === 0) return reader.u8();
  if (selector === 1) return reader.u16();
  if (selector === 2) return reader.u32();
  reader.fail('a dynamic channel field of no known size');
  return 0;
}

function asciiz(reader: LittleReader): string {
  let name = '';
  for (let byte = reader.u8(); byte !== 0; byte = reader.u8()) name += String.fromCharCode(byte);
  return name;
}

export function encodeDynamic(message: DynamicMessage): Uint8Array {
  const out = new LittleWriter(64);
  if (message.type === 'caps') {
    out.u8(0x50).u8(0).u16(message.version);
    for (const charge of message.charges) out.u16(charge);
    return out.finish();
  }
  const cb = selectorOf(message.channel);
  const head = (command: number, sp: number): LittleWriter =>
    put(out.u8((command << 4) | (sp << 2) | cb), cb, message.channel);
  switch (message.type) {
    case 'create-request':
      head(1, message.priority);
      for (let i = 0; i < message.name.length; i++) out.u8(message.name.charCodeAt(i) & 0xff);
      return out.u8(0).finish();
    case 'create-response':
      return head(1, 0).u32(message.status).finish();
    case 'data-first': {
      const sp = selectorOf(message.total);
      return put(head(2, sp), sp, message.total).raw(message.data).finish();
    }
    case 'data':
      return head(3, 0).raw(message.data).finish();
    case 'close':
      return head(4, 0).finish();
    default:
      return message satisfies never;
  }
}

function selectorOf(value: number): 0 | 1 | 2 {
  return value <= 0xff ? 0 : value <= 0xffff ? 1 : 2;
}

function put(out: LittleWriter, selector: 0 | 1 | 2, value: number): LittleWriter {
  return selector === 0 ? out.u8(value) : selector === 1 ? out.u16(value) : out.u32(value);
}

/** The most data that one message of the static channel carries. */
const largestMessage = 1600;

/** Cuts a whole message of a dynamic channel into messages of the static one (§3.1.5.1). */
export function encodeDynamicData(channel: number, message: Uint8Array): Uint8Array[] {
  const head = 1 + (1 << selectorOf(channel));
  if (head + message.length <= largestMessage) return [encodeDynamic({ type: 'data', channel, data: message })];
  let at = largestMessage - head - (1 << selectorOf(message.length));
  const cut = [encodeDynamic({ type: 'data-first', channel, total: message.length, data: message.subarray(0, at) })];
  for (; at < message.length; at += largestMessage - head)
    cut.push(encodeDynamic({ type: 'data', channel, data: message.subarray(at, at + largestMessage - head) }));
  return cut;
}

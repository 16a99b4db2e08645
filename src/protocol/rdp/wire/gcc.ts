/**
 * MCS Connect-Initial and Connect-Response with the blocks of settings inside (T.125 §7, T.124 §8.7, MS-RDPBCGR
 * §2.2.1.3 and §2.2.1.4). Pure. Of the outer BER and PER only what RDP uses; peers differ in the rest and ignore it.
 */
import { concat, utf8 } from '../../../base/bytes.ts';
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';
import { tpkt } from './x224.ts';

/** One block of settings; `data` without its header. */
export interface Block {
  readonly type: number;
  readonly data: Uint8Array;
}

/** Types of blocks, client's and server's. */
export const block = {
  csCore: 0xc001,
  csSecurity: 0xc002,
  csNet: 0xc003,
  csCluster: 0xc004,
  csMonitor: 0xc005,
  csMessageChannel: 0xc006,
  csMonitorEx: 0xc008,
  csMultitransport: 0xc00a,
  scCore: 0x0c01,
  scSecurity: 0x0c02,
  scNet: 0x0c03,
} as const;

const mostBlocks = 32;
const dataHeader = Uint8Array.of(2, 0xf0, 0x80);

/** The blocks of a whole TPKT with an MCS Connect-Initial. */
export function decodeConnectInitial(tpkt: Uint8Array): readonly Block[] | Violation {
  const reader = new LittleReader(tpkt, 7);
  if (reader.u16be() !== 0x7f65) return { violation: 'not an MCS Connect-Initial' };
  berLength(reader);
  // calling and called domain selector, upward flag, three sets of domain parameters
  for (const tag of [0x04, 0x04, 0x01, 0x30, 0x30, 0x30]) berSkip(reader, tag);
  const user = berContent(reader, 0x04);
  return reader.violation === undefined ? blocksAfter(user, 'Duca') : { violation: reader.violation };
}

/** The blocks of a whole TPKT with an MCS Connect-Response, or a violation that names the MCS result. */
export function decodeConnectResponse(tpkt: Uint8Array): readonly Block[] | Violation {
  const reader = new LittleReader(tpkt, 7);
  if (reader.u16be() !== 0x7f66) return { violation: 'not an MCS Connect-Response' };
  berLength(reader);
  const result = berContent(reader, 0x0a)[0];
  if (result !== 0) return { violation: `the MCS connection was refused (${result ?? 'no result'})` };
  berSkip(reader, 0x02);
  berSkip(reader, 0x30);
  const user = berContent(reader, 0x04);
  return reader.violation === undefined ? blocksAfter(user, 'McDn') : { violation: reader.violation };
}

export function encodeConnectInitial(blocks: readonly Block[]): Uint8Array {
  const inside = encodeBlocks(blocks);
  const create = new LittleWriter(inside.length + 32)
    .raw(Uint8Array.of(0x00, 0x05, 0x00, 0x14, 0x7c, 0x00, 0x01))
    .raw(perLength(inside.length + 14))
    .raw(Uint8Array.of(0x00, 0x08, 0x00, 0x10, 0x00, 0x01, 0xc0, 0x00))
    .raw(utf8('Duca'))
    .raw(perLength(inside.length))
    .raw(inside)
    .finish();
  return connect(
    0x65,
    ber(0x04, Uint8Array.of(1)),
    ber(0x04, Uint8Array.of(1)),
    ber(0x01, Uint8Array.of(0xff)),
    domainParameters(34, 2, 65535),
    domainParameters(1, 1, 1056),
    domainParameters(65535, 65535, 65535),
    ber(0x04, create),
  );
}

export function encodeConnectResponse(blocks: readonly Block[]): Uint8Array {
  const inside = encodeBlocks(blocks);
  const create = new LittleWriter(inside.length + 32)
    // the length after 00 01 is a dummy that every client ignores
    .raw(Uint8Array.of(0x00, 0x05, 0x00, 0x14, 0x7c, 0x00, 0x01, 0x2a, 0x14, 0x76, 0x0a))
    .raw(Uint8Array.of(0x01, 0x01, 0x00, 0x01, 0xc0, 0x00))
    .raw(utf8('McDn'))
    .raw(perLength(inside.length))
    .raw(inside)
    .finish();
  return connect(
    0x66,
    ber(0x0a, Uint8Array.of(0)),
    ber(0x02, Uint8Array.of(0)),
    domainParameters(34, 3, 65535),
    ber(0x04, create),
  );
}

function connect(kind: number, ...elements: readonly Uint8Array[]): Uint8Array {
  const content = concat(elements);
  return tpkt(concat([dataHeader, Uint8Array.of(0x7f, kind), berLengthBytes(content.length), content]));
}

/** T.125 §7: channels, users, tokens 0, priorities 1, throughput 0, height 1, PDU size, version 2. */
function domainParameters(channels: number, users: number, size: number): Uint8Array {
  return ber(0x30, ...[channels, users, 0, 1, 0, 1, size, 2].map(berInteger));
}

function berInteger(value: number): Uint8Array {
  const bytes = value < 0x80 ? [value] : value < 0x8000 ? [value >>> 8, value & 0xff] : [0, value >>> 8, value & 0xff];
  return ber(0x02, Uint8Array.from(bytes));
}

function ber(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const inside = concat(content);
  return concat([Uint8Array.of(tag), berLengthBytes(inside.length), inside]);
}

function berLengthBytes(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  return Uint8Array.of(0x82, length >>> 8, length & 0xff);
}

function berLength(reader: LittleReader): number {
  const first = reader.u8();
  if (first < 0x80) return first;
  if (first === 0x81) return reader.u8();
  if (first === 0x82) return reader.u16be();
  reader.fail('a BER length of more than two bytes');
  return 0;
}

function berContent(reader: LittleReader, tag: number): Uint8Array {
  if (reader.u8() !== tag) reader.fail(`a BER element other than ${tag}`);
  return reader.raw(berLength(reader));
}

function berSkip(reader: LittleReader, tag: number): void {
  berContent(reader, tag);
}

/** A length in PER; 15 bits in practice (T.125 says 14, and xrdp sends more). */
export function perLength(length: number): Uint8Array {
  return length < 0x80 ? Uint8Array.of(length) : Uint8Array.of(0x80 | (length >>> 8), length & 0xff);
}

/** The blocks that follow the four letters of H.221 in a GCC message. */
function blocksAfter(gcc: Uint8Array, letters: string): readonly Block[] | Violation {
  const mark = utf8(letters);
  const at = gcc.findIndex((_, from) => mark.every((byte, i) => gcc[from + i] === byte));
  if (at < 0 || at > 64) return { violation: `a GCC message without ${letters}` };
  const reader = new LittleReader(gcc, at + mark.length);
  const first = reader.u8();
  const length = first < 0x80 ? first : ((first & 0x7f) << 8) | reader.u8();
  const inside = new LittleReader(reader.raw(Math.min(length, reader.remaining)));
  const blocks: Block[] = [];
  while (inside.remaining > 0 && blocks.length < mostBlocks) {
    const type = inside.u16();
    const size = inside.u16();
    if (size < 4) inside.fail(`a block of ${size} bytes`);
    blocks.push({ type, data: inside.raw(size - 4) });
  }
  if (inside.remaining > 0) inside.fail('too many blocks');
  const violation = reader.violation ?? inside.violation;
  return violation === undefined ? blocks : { violation };
}

function encodeBlocks(blocks: readonly Block[]): Uint8Array {
  const writer = new LittleWriter(1024);
  for (const { type, data } of blocks)
    writer
      .u16(type)
      .u16(data.length + 4)
      .raw(data);
  return writer.finish();
}

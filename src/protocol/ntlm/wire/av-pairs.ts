/**
 * What a challenge says of its server and a response says back (MS-NLMP §2.2.2.1), and the client's half of an NTLMv2
 * response in which it stands (§2.2.2.7). Pure. Twice the same id is refused: two readers could believe two things.
 */
import { empty } from '../../../base/bytes.ts';
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import { isViolation, type Violation } from '../../wire/violation.ts';

export const av = {
  end: 0,
  netbiosComputer: 1,
  netbiosDomain: 2,
  dnsComputer: 3,
  dnsDomain: 4,
  dnsTree: 5,
  flags: 6,
  timestamp: 7,
  singleHost: 8,
  targetName: 9,
  channelBindings: 10,
} as const;

/** In the value of `av.flags`: the message carries a MIC. */
export const avHasMic = 0x2;

/** By id, in the order of the wire. Values are views of the message. */
export type AvPairs = ReadonlyMap<number, Uint8Array>;

/** The pairs up to the end mark; what follows it is not read. At most 32 of them. */
export function decodeAvPairs(bytes: Uint8Array): AvPairs | Violation {
  const reader = new LittleReader(bytes);
  const pairs = new Map<number, Uint8Array>();
  while (reader.violation === undefined) {
    const id = reader.u16();
    const value = reader.raw(reader.u16());
    if (reader.violation !== undefined) break;
    if (id === av.end) return value.length === 0 ? pairs : { violation: 'end of AV pairs has a value' };
    if (pairs.has(id)) return { violation: `AV pair ${id} comes twice` };
    if (pairs.size === 32) return { violation: 'too many AV pairs' };
    pairs.set(id, value);
  }
  return { violation: 'AV pairs without an end' };
}

export function encodeAvPairs(pairs: AvPairs): Uint8Array {
  const writer = new LittleWriter();
  for (const [id, value] of pairs) writer.u16(id).u16(value.length).raw(value);
  return writer.u16(av.end).u16(0).finish();
}

/** The text of one pair in UTF-16LE. */
export function avText(text: string): Uint8Array {
  return new LittleWriter().utf16(text).finish();
}

/** The number in `av.flags`, 0 if the pair is not there. */
export function avFlags(pairs: AvPairs): number {
  return new LittleReader(pairs.get(av.flags) ?? empty).u32();
}

export function avFlagsValue(flags: number): Uint8Array {
  return new LittleWriter(4).u32(flags).finish();
}

export interface ClientChallenge {
  /** FILETIME: 100 ns since 1601-01-01 UTC. */
  readonly timestamp: bigint;
  /** 8 bytes of chance. */
  readonly challenge: Uint8Array;
  readonly pairs: AvPairs;
}

/** NTLMv2_CLIENT_CHALLENGE: type 1, type 1, 6 zeros, timestamp 8, challenge 8, 4 zeros, AV pairs. */
export function decodeClientChallenge(bytes: Uint8Array): ClientChallenge | Violation {
  const reader = new LittleReader(bytes);
  if (reader.u8() !== 1 || reader.u8() !== 1) reader.fail('not an NTLMv2 response');
  reader.skip(6);
  const timestamp = reader.u64();
  const challenge = reader.raw(8);
  reader.skip(4);
  const rest = reader.rest();
  if (reader.violation !== undefined) return { violation: reader.violation };
  const pairs = decodeAvPairs(rest);
  return isViolation(pairs) ? pairs : { timestamp, challenge, pairs };
}

export function encodeClientChallenge(message: ClientChallenge): Uint8Array {
  if (message.challenge.length !== 8) throw new RangeError('a client challenge has 8 bytes');
  const writer = new LittleWriter().u8(1).u8(1).zeros(6).u64(message.timestamp).raw(message.challenge).zeros(4);
  return writer.raw(encodeAvPairs(message.pairs)).zeros(4).finish();
}

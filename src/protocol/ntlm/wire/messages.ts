/**
 * The three messages of NTLM (MS-NLMP §2.2.1): NEGOTIATE, CHALLENGE, AUTHENTICATE. Pure. Text is Unicode only: a peer
 * that asks for OEM code pages is refused. What a NEGOTIATE says of the client's domain and workstation is not read:
 * nobody may rely on it.
 */
import { empty } from '../../../base/bytes.ts';
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';

/** NEGOTIATE flags (§2.2.2.5) by the names of the specification, without their prefix. */
export const flag = {
  unicode: 0x1,
  requestTarget: 0x4,
  sign: 0x10,
  seal: 0x20,
  ntlm: 0x200,
  anonymous: 0x800,
  alwaysSign: 0x8000,
  targetTypeServer: 0x20000,
  extendedSessionSecurity: 0x80000,
  targetInfo: 0x800000,
  version: 0x2000000,
  key128: 0x20000000,
  keyExchange: 0x40000000,
  key56: 0x80000000,
} as const;

/** Without these, keys are weak or messages unprotected: both roles refuse a peer that does not agree to all. */
export const neededFlags =
  (flag.unicode | flag.sign | flag.seal | flag.extendedSessionSecurity | flag.key128 | flag.keyExchange) >>> 0;

export function hasAll(flags: number, wanted: number): boolean {
  return (flags & wanted) >>> 0 === wanted >>> 0;
}

const signature = Uint8Array.of(0x4e, 0x54, 0x4c, 0x4d, 0x53, 0x53, 0x50, 0);
/** Version 10.0 of revision 15: read by nobody, for debugging only (§2.2.2.10). */
const version = Uint8Array.of(10, 0, 0, 0, 0, 0, 0, 15);

/** Where the MIC of our own AUTHENTICATE stands. */
export const micOffset = 72;

export interface Negotiate {
  readonly flags: number;
}

export interface Challenge {
  readonly flags: number;
  readonly targetName: string;
  /** 8 bytes of the server's chance. */
  readonly serverChallenge: Uint8Array;
  /** AV pairs as they stood, empty if there are none. */
  readonly targetInfo: Uint8Array;
}

export interface Authenticate {
  readonly flags: number;
  readonly lmResponse: Uint8Array;
  readonly ntResponse: Uint8Array;
  readonly domain: string;
  readonly user: string;
  readonly workstation: string;
  /** The session key that the client chose, encrypted; empty without key exchange. */
  readonly encryptedKey: Uint8Array;
  /** Where 16 bytes of MIC can stand, or undefined if the header has no room. Whether they are one says `av.flags`. */
  readonly micAt: number | undefined;
}

/** Whether the bytes start as NTLM and not as SPNEGO. */
export function startsAsNtlm(bytes: Uint8Array): boolean {
  return signature.every((byte, i) => bytes[i] === byte);
}

function open(bytes: Uint8Array, type: number): LittleReader {
  const reader = new LittleReader(bytes);
  if (!startsAsNtlm(bytes)) reader.fail('not an NTLM message');
  reader.skip(8);
  if (reader.u32() !== type) reader.fail(`not an NTLM message of type ${type}`);
  return reader;
}

/** Follows one field (length16, room16, offset32) into the payload; where it starts is noted in `starts`. */
function field(reader: LittleReader, bytes: Uint8Array, header: number, starts: number[]): Uint8Array {
  const length = reader.u16();
  reader.skip(2);
  const at = reader.u32();
  if (length === 0 || reader.violation !== undefined) return empty;
  if (at < header) reader.fail('field lies in the header');
  const inner = new LittleReader(bytes, at);
  const value = inner.raw(length);
  if (inner.violation !== undefined) reader.fail('field lies outside the message');
  starts.push(at);
  return value;
}

function text(reader: LittleReader, bytes: Uint8Array): string {
  const inner = new LittleReader(bytes);
  const value = inner.utf16(bytes.length);
  if (inner.violation !== undefined) reader.fail(inner.violation);
  return value;
}

export function decodeNegotiate(bytes: Uint8Array): Negotiate | Violation {
  const reader = open(bytes, 1);
  const flags = reader.u32();
  return reader.violation === undefined ? { flags } : { violation: reader.violation };
}

export function encodeNegotiate(message: Negotiate): Uint8Array {
  return new LittleWriter(40).raw(signature).u32(1).u32(message.flags).zeros(16).raw(version).finish();
}

export function decodeChallenge(bytes: Uint8Array): Challenge | Violation {
  const reader = open(bytes, 2);
  const name = field(reader, bytes, 32, []);
  const flags = reader.u32();
  const serverChallenge = reader.raw(8);
  reader.skip(8);
  // an old server ends here
  const targetInfo = (flags & flag.targetInfo) === 0 ? empty : field(reader, bytes, 48, []);
  if ((flags & flag.unicode) === 0) reader.fail('text is not Unicode');
  const targetName = text(reader, name);
  if (reader.violation !== undefined) return { violation: reader.violation };
  return { flags, targetName, serverChallenge, targetInfo };
}

export function encodeChallenge(message: Challenge): Uint8Array {
  const header = 56;
  const name = new LittleWriter().utf16(message.targetName).finish();
  const info = message.targetInfo;
  const writer = new LittleWriter(header + name.length + info.length).raw(signature).u32(2);
  writer.u16(name.length).u16(name.length).u32(header);
  writer.u32(message.flags).raw(message.serverChallenge).zeros(8);
  writer
    .u16(info.length)
    .u16(info.length)
    .u32(header + name.length);
  return writer.raw(version).raw(name).raw(info).finish();
}

export function decodeAuthenticate(bytes: Uint8Array): Authenticate | Violation {
  const reader = open(bytes, 3);
  const starts: number[] = [];
  const next = (): Uint8Array => field(reader, bytes, 64, starts);
  const [lmResponse, ntResponse, domain, user, workstation, encryptedKey] = [
    next(),
    next(),
    next(),
    next(),
    next(),
    next(),
  ];
  const flags = reader.u32();
  if ((flags & flag.unicode) === 0) reader.fail('text is not Unicode');
  // Version and MIC are not announced: what the payload leaves free after the header shows them.
  const payload = Math.min(bytes.length, ...starts);
  const micAt = payload >= 88 ? 72 : payload >= 80 ? 64 : undefined;
  const names = { domain: text(reader, domain), user: text(reader, user), workstation: text(reader, workstation) };
  if (reader.violation !== undefined) return { violation: reader.violation };
  return { flags, lmResponse, ntResponse, ...names, encryptedKey, micAt };
}

/** With the version and 16 zeros at `micOffset`, for the caller to write the MIC over. */
export function encodeAuthenticate(message: Omit<Authenticate, 'micAt'>): Uint8Array {
  const utf16 = (words: string): Uint8Array => new LittleWriter().utf16(words).finish();
  const { lmResponse, ntResponse, encryptedKey } = message;
  const parts = [
    lmResponse,
    ntResponse,
    utf16(message.domain),
    utf16(message.user),
    utf16(message.workstation),
    encryptedKey,
  ];
  const writer = new LittleWriter(512).raw(signature).u32(3);
  let at = micOffset + 16;
  for (const part of parts) {
    writer.u16(part.length).u16(part.length).u32(at);
    at += part.length;
  }
  writer.u32(message.flags).raw(version).zeros(16);
  for (const part of parts) writer.raw(part);
  return writer.finish();
}

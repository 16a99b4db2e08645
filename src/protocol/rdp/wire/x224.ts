/**
 * The first two messages of a connection (MS-RDPBCGR §2.2.1.1 and §2.2.1.2): the client says which security it can do,
 * the server chooses. Pure. The cookie is not read for anything: it is cut short by some clients and left out by others.
 */
import { concat, text } from '../../../base/bytes.ts';
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';

/** Security protocols, as bits (§2.2.1.1.1). */
export const security = { rdp: 0, tls: 1, nla: 2, rdstls: 4, nlaEx: 8, aad: 16 } as const;

/** Why a server refuses to negotiate (§2.2.1.2.2). */
export const negotiationFailure = {
  tlsRequired: 1,
  tlsNotAllowed: 2,
  noCertificate: 3,
  inconsistentFlags: 4,
  nlaRequired: 5,
} as const;

/** Flags of a request that ask for a login without a delegated password. */
export const requestFlag = { restrictedAdmin: 1, remoteGuard: 2, correlation: 8 } as const;

export interface ConnectionRequest {
  /** What the client calls itself or where it wants to be routed; untrusted, for the log. */
  readonly cookie: string;
  readonly flags: number;
  /** Bits of `security`; 0 if the client does not negotiate at all. */
  readonly protocols: number;
}

const longestCookie = 512;

/** Decodes a whole TPKT with a Connection Request. */
export function decodeConnectionRequest(tpkt: Uint8Array): ConnectionRequest | Violation {
  const reader = new LittleReader(tpkt, 4);
  reader.skip(1);
  if ((reader.u8() & 0xf0) !== 0xe0) reader.fail('not a connection request');
  reader.skip(5);
  let rest = reader.rest();
  if (reader.violation !== undefined) return { violation: reader.violation };
  let cookie = '';
  if (rest[0] !== 1 || rest.length < 8) {
    const end = rest.findIndex((byte, at) => byte === 0x0d && rest[at + 1] === 0x0a);
    if (end > longestCookie) return { violation: 'a cookie that is too long' };
    if (end >= 0) {
      cookie = text(rest.subarray(0, end));
      rest = rest.subarray(end + 2);
    }
  }
  if (rest.length < 8 || rest[0] !== 1) return { cookie, flags: 0, protocols: security.rdp };
  const negotiation = new LittleReader(rest, 1);
  const flags = negotiation.u8();
  negotiation.skip(2);
  return { cookie, flags, protocols: negotiation.u32() };
}

/** A Connection Request for these protocols. Names nobody. */
export function encodeConnectionRequest(protocols: number): Uint8Array {
  const negotiation = new LittleWriter(8).u8(1).u8(0).u16(8).u32(protocols).finish();
  return connection(0xe0, negotiation);
}

export type ConnectionConfirm =
  | { readonly kind: 'selected'; readonly protocol: number; readonly flags: number }
  | { readonly kind: 'failure'; readonly code: number };

/** Decodes a whole TPKT with a Connection Confirm. */
export function decodeConnectionConfirm(tpkt: Uint8Array): ConnectionConfirm | Violation {
  const reader = new LittleReader(tpkt, 4);
  reader.skip(1);
  if ((reader.u8() & 0xf0) !== 0xd0) reader.fail('not a connection confirm');
  reader.skip(5);
  if (reader.violation !== undefined) return { violation: reader.violation };
  if (reader.remaining < 8) return { kind: 'selected', protocol: security.rdp, flags: 0 };
  const type = reader.u8();
  const flags = reader.u8();
  reader.skip(2);
  const value = reader.u32();
  if (type === 2) return { kind: 'selected', protocol: value, flags };
  if (type === 3) return { kind: 'failure', code: value };
  return { violation: `a negotiation answer of type ${type}` };
}

/** A Connection Confirm: the chosen protocol, and that the client may send its extended blocks. */
export function encodeConnectionConfirm(protocol: number): Uint8Array {
  return connection(0xd0, new LittleWriter(8).u8(2).u8(1).u16(8).u32(protocol).finish());
}

export function encodeNegotiationFailure(code: number): Uint8Array {
  return connection(0xd0, new LittleWriter(8).u8(3).u8(0).u16(8).u32(code).finish());
}

function connection(type: number, negotiation: Uint8Array): Uint8Array {
  const content = concat([Uint8Array.of(6 + negotiation.length, type, 0, 0, 0x12, 0x34, 0), negotiation]);
  return tpkt(content);
}

/** Puts a TPKT header before `content`. */
export function tpkt(content: Uint8Array): Uint8Array {
  return new LittleWriter(content.length + 4)
    .u8(3)
    .u8(0)
    .u16be(content.length + 4)
    .raw(content)
    .finish();
}

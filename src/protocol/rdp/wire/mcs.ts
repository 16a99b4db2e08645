/**
 * The domain PDUs of MCS that RDP uses (T.125 §11, MS-RDPBCGR §2.2.1.5 to §2.2.1.9, §2.2.8): joining channels, and data
 * on them. Pure. `user` is the number as it is known to everybody; on the wire stands 1001 less.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';
import { perLength } from './gcc.ts';

export type McsPdu =
  | { readonly kind: 'erect-domain' }
  | { readonly kind: 'attach-user' }
  | { readonly kind: 'attach-confirm'; readonly user: number }
  | { readonly kind: 'join'; readonly user: number; readonly channel: number }
  | { readonly kind: 'join-confirm'; readonly user: number; readonly channel: number }
  | {
      readonly kind: 'data';
      readonly from: 'client' | 'server';
      readonly user: number;
      readonly channel: number;
      /** A view. */
      readonly data: Uint8Array;
      /** Where `data` begins in the TPKT. */
      readonly at: number;
    }
  | { readonly kind: 'disconnect'; readonly reason: number };

/** The server's own user number. */
export const serverUser = 1002;
const userBase = 1001;
const dataHeader = [0x02, 0xf0, 0x80];

/** Decodes a whole TPKT. */
export function decodeMcs(tpkt: Uint8Array): McsPdu | Violation {
  const reader = new LittleReader(tpkt, 4);
  if (reader.u8() !== 2 || reader.u8() !== 0xf0 || reader.u8() !== 0x80) reader.fail('not X.224 data');
  const choice = reader.u8();
  if (reader.violation !== undefined) return { violation: reader.violation };
  const pdu = decodeChoice(choice, reader);
  return reader.violation === undefined ? pdu : { violation: reader.violation };
}

function decodeChoice(choice: number, reader: LittleReader): McsPdu | Violation {
  switch (choice >>> 2) {
    case 1:
      return { kind: 'erect-domain' };
    case 8:
      return { kind: 'disconnect', reason: ((choice & 3) << 1) | (reader.u8() >>> 7) };
    case 10:
      return { kind: 'attach-user' };
    case 11:
      refusedBy(reader);
      return { kind: 'attach-confirm', user: reader.u16be() + userBase };
    case 14:
      return { kind: 'join', user: reader.u16be() + userBase, channel: reader.u16be() };
    case 15: {
      refusedBy(reader);
      const user = reader.u16be() + userBase;
      const asked = reader.u16be();
      return { kind: 'join-confirm', user, channel: reader.remaining >= 2 ? reader.u16be() : asked };
    }
    case 25:
    case 26: {
      const user = reader.u16be() + userBase;
      const channel = reader.u16be();
      reader.skip(1);
      const first = reader.u8();
      const length = first < 0x80 ? first : ((first & 0x7f) << 8) | reader.u8();
      const at = reader.offset;
      const data = reader.raw(length);
      // what stands behind the data would pass unread, and some peers read it
      if (reader.remaining > 0) reader.fail(`${reader.remaining} bytes behind the data`);
      return {
        kind: 'data',
        from: choice >>> 2 === 25 ? 'client' : 'server',
        user,
        channel,
        data,
        at,
      };
    }
    default:
      return { violation: `an MCS message of kind ${choice >>> 2}` };
  }
}

function refusedBy(reader: LittleReader): void {
  const result = reader.u8();
  if (result !== 0) reader.fail(`MCS refused with ${result}`);
}

function domainPdu(choice: number, ...words: readonly number[]): Uint8Array {
  const writer = new LittleWriter(24).u8(3).u8(0).u16be(0);
  for (const byte of [...dataHeader, choice]) writer.u8(byte);
  for (const word of words) writer.u16be(word);
  const out = writer.finish();
  out[3] = out.length;
  return out;
}

export function erectDomain(): Uint8Array {
  return Uint8Array.of(3, 0, 0, 12, ...dataHeader, 0x04, 1, 0, 1, 0);
}

export function attachUser(): Uint8Array {
  return Uint8Array.of(3, 0, 0, 8, ...dataHeader, 0x28);
}

export function attachConfirm(user: number): Uint8Array {
  return Uint8Array.of(3, 0, 0, 11, ...dataHeader, 0x2e, 0, (user - userBase) >>> 8, (user - userBase) & 0xff);
}

export function joinChannel(user: number, channel: number): Uint8Array {
  return domainPdu(0x38, user - userBase, channel);
}

export function joinConfirm(user: number, channel: number): Uint8Array {
  const id = user - userBase;
  const words = [id >>> 8, id & 0xff, channel >>> 8, channel & 0xff, channel >>> 8, channel & 0xff];
  return Uint8Array.of(3, 0, 0, 15, ...dataHeader, 0x3e, 0, ...words);
}

/** Disconnect Provider Ultimatum, "user requested". */
export function disconnectUltimatum(): Uint8Array {
  return Uint8Array.of(3, 0, 0, 9, ...dataHeader, 0x21, 0x80);
}

/** Data on a channel, from the client to the server. */
export function sendDataRequest(user: number, channel: number, data: Uint8Array): Uint8Array {
  return sendData(0x64, user, channel, data);
}

/** Data on a channel, from the server to the client. */
export function sendDataIndication(channel: number, data: Uint8Array): Uint8Array {
  return sendData(0x68, serverUser, channel, data);
}

function sendData(choice: number, user: number, channel: number, data: Uint8Array): Uint8Array {
  const length = perLength(data.length);
  const writer = new LittleWriter(data.length + 16)
    .u8(3)
    .u8(0)
    .u16be(data.length + length.length + 13);
  for (const byte of [...dataHeader, choice]) writer.u8(byte);
  return writer
    .u16be(user - userBase)
    .u16be(channel)
    .u8(0x70)
    .raw(length)
    .raw(data)
    .finish();
}

/** Writes another user and channel into a whole TPKT with data. */
export function readdress(tpkt: Uint8Array, user: number, channel: number): void {
  tpkt[8] = (user - userBase) >>> 8;
  tpkt[9] = (user - userBase) & 0xff;
  tpkt[10] = channel >>> 8;
  tpkt[11] = channel & 0xff;
}

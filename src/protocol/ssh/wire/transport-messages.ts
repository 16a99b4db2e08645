/** The small messages of the transport layer (RFC 4253 §11, RFC 8308 §2.3, OpenSSH PROTOCOL §1.8). Pure. */
import { text } from '../../../base/bytes.ts';
import { msg } from './numbers.ts';
import { Reader, type Violation } from './reader.ts';
import { Writer } from './writer.ts';

export interface Disconnect {
  readonly reason: number;
  /** For people and logs; control characters are gone. */
  readonly message: string;
}

/** byte 1, uint32 reason, string description, string language tag (which some peers leave out). */
export function decodeDisconnect(payload: Uint8Array): Disconnect | Violation {
  const reader = new Reader(payload, 1);
  const reason = reader.u32();
  const words = reader.remaining > 0 ? reader.string(4096) : new Uint8Array(0);
  if (reader.violation !== undefined) return { violation: `DISCONNECT: ${reader.violation}` };
  return { reason, message: printable(words) };
}

export function encodeDisconnect({ reason, message }: Disconnect): Uint8Array {
  return new Writer().u8(msg.disconnect).u32(reason).text(message).text('').finish();
}

/** Foreign bytes as text that is safe in a log or on a terminal: no control characters, at most 255 characters. */
export function printable(bytes: Uint8Array): string {
  return text(bytes)
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
    .slice(0, 255);
}

export function encodeUnimplemented(sequence: number): Uint8Array {
  return new Writer(8).u8(msg.unimplemented).u32(sequence).finish();
}

export type Extensions = ReadonlyMap<string, Uint8Array>;

/** byte 7, uint32 count, count × (string name, string value). More than 64 extensions are a violation. */
export function decodeExtInfo(payload: Uint8Array): Extensions | Violation {
  const reader = new Reader(payload, 1);
  const count = reader.u32();
  if (count > 64) reader.fail(`${count} extensions`);
  const extensions = new Map<string, Uint8Array>();
  for (let i = 0; i < count && reader.violation === undefined; i++) {
    const name = reader.text(256);
    extensions.set(name, reader.string(16384).slice());
  }
  reader.end();
  return reader.violation === undefined ? extensions : { violation: `EXT_INFO: ${reader.violation}` };
}

export function encodeExtInfo(extensions: Extensions): Uint8Array {
  const writer = new Writer().u8(msg.extInfo).u32(extensions.size);
  for (const [name, value] of extensions) writer.text(name).string(value);
  return writer.finish();
}

/** PONG answers PING with the same data; undefined if the PING is ill-formed (OpenSSH PROTOCOL §1.8). */
export function pongFor(ping: Uint8Array): Uint8Array | Violation {
  const reader = new Reader(ping, 1);
  const data = reader.string(32768);
  reader.end();
  if (reader.violation !== undefined) return { violation: `PING: ${reader.violation}` };
  return new Writer(data.length + 5).u8(msg.pong).string(data).finish();
}

/** byte 30, string: the client's share. */
export function encodeKexInit(share: Uint8Array): Uint8Array {
  return new Writer(share.length + 5).u8(msg.kexInit).string(share).finish();
}

/** The client's share; the longest is ML-KEM's 1216 bytes. */
export function decodeKexInit(payload: Uint8Array): Uint8Array | Violation {
  const reader = new Reader(payload, 1);
  const share = reader.string(4096);
  reader.end();
  return reader.violation === undefined ? share : { violation: `KEX init: ${reader.violation}` };
}

export interface KexReply {
  readonly hostKey: Uint8Array;
  readonly share: Uint8Array;
  readonly signature: Uint8Array;
}

/** byte 31, string host key, string the server's share, string signature of H (RFC 5656 §4). */
export function encodeKexReply({ hostKey, share, signature }: KexReply): Uint8Array {
  return new Writer(4096).u8(msg.kexReply).string(hostKey).string(share).string(signature).finish();
}

export function decodeKexReply(payload: Uint8Array): KexReply | Violation {
  const reader = new Reader(payload, 1);
  const hostKey = reader.string(16384).slice();
  const share = reader.string(4096).slice();
  const signature = reader.string(4096).slice();
  reader.end();
  return reader.violation === undefined
    ? { hostKey, share, signature }
    : { violation: `KEX reply: ${reader.violation}` };
}

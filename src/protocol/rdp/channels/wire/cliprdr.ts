/**
 * Messages of the clipboard channel (MS-RDPECLIP §2.2), read and written. Pure. Bytes after the announced length are
 * padding (old servers and clients add four); they are not passed on. A message of an unknown type is a value, its body
 * left as it is.
 */
import { LittleReader } from '../../../wire/little-reader.ts';
import { LittleWriter } from '../../../wire/little-writer.ts';
import type { Violation } from '../../../wire/violation.ts';
import { decodeFormats, encodeFormats, type Format } from './cliprdr-formats.ts';

/** Capability flags of the general set (§2.2.2.1.1.1). */
export const clipFlags = { longNames: 0x02, streamFiles: 0x04, noPaths: 0x08, canLock: 0x10, hugeFiles: 0x20 } as const;

/** A request for a file's size, or for a part of it. `clipDataId` names a locked list (§2.2.5.3). */
export interface FileContentsRequest {
  readonly type: 'file-contents-request';
  readonly streamId: number;
  readonly index: number;
  readonly want: 'size' | 'range';
  readonly position: bigint;
  readonly bytes: number;
  readonly clipDataId: number | undefined;
}

export type ClipMessage =
  | { readonly type: 'monitor-ready' }
  | { readonly type: 'caps'; readonly version: number; readonly flags: number }
  | { readonly type: 'temp-directory'; readonly path: string }
  | { readonly type: 'format-list'; readonly ascii: boolean; readonly formats: readonly Format[] }
  | { readonly type: 'format-list-response'; readonly ok: boolean }
  | { readonly type: 'data-request'; readonly format: number }
  | { readonly type: 'data-response'; readonly ok: boolean; readonly data: Uint8Array }
  | FileContentsRequest
  | {
      readonly type: 'file-contents-response';
      readonly ok: boolean;
      readonly streamId: number;
      readonly data: Uint8Array;
    }
  | { readonly type: 'lock' | 'unlock'; readonly clipDataId: number }
  | { readonly type: 'unknown'; readonly code: number };

const MONITOR_READY = 1;
const FORMAT_LIST = 2;
const FORMAT_LIST_RESPONSE = 3;
const DATA_REQUEST = 4;
const DATA_RESPONSE = 5;
const TEMP_DIRECTORY = 6;
const CAPS = 7;
const FILECONTENTS_REQUEST = 8;
const FILECONTENTS_RESPONSE = 9;
const LOCK = 10;
const UNLOCK = 11;

const RESPONSE_OK = 1;
const RESPONSE_FAIL = 2;
const ASCII_NAMES = 4;

/** Reads a message. `longNames`: both sides announced long format names (§3.1.1.1); it decides how a format list reads. */
export function decodeClip(bytes: Uint8Array, longNames: boolean): ClipMessage | Violation {
  const head = new LittleReader(bytes);
  const code = head.u16();
  const flags = head.u16();
  const reader = new LittleReader(head.raw(head.u32()));
  if (head.violation !== undefined) return { violation: head.violation };
  const message = decodeBody(code, flags, reader, longNames);
  return reader.violation === undefined ? message : { violation: reader.violation };
}

function decodeBody(code: number, flags: number, reader: LittleReader, longNames: boolean): ClipMessage {
  // a response without the bit for success is a failure
  const ok = (flags & RESPONSE_OK) !== 0 && (flags & RESPONSE_FAIL) === 0;
  switch (code) {
    case MONITOR_READY:
      return { type: 'monitor-ready' };
    case FORMAT_LIST: {
      const ascii = (flags & ASCII_NAMES) !== 0;
      return { type: 'format-list', ascii, formats: decodeFormats(reader, longNames, ascii) };
    }
    case FORMAT_LIST_RESPONSE:
      return { type: 'format-list-response', ok };
    case DATA_REQUEST:
      return { type: 'data-request', format: reader.u32() };
    case DATA_RESPONSE:
      return { type: 'data-response', ok, data: reader.rest() };
    case TEMP_DIRECTORY:
      return { type: 'temp-directory', path: untilNul(reader.utf16(Math.min(520, reader.remaining & ~1))) };
    case CAPS:
      return decodeCaps(reader);
    case FILECONTENTS_REQUEST:
      return decodeContentsRequest(reader);
    case FILECONTENTS_RESPONSE:
      return { type: 'file-contents-response', ok, streamId: reader.u32(), data: reader.rest() };
    case LOCK:
      return { type: 'lock', clipDataId: reader.u32() };
    case UNLOCK:
      return { type: 'unlock', clipDataId: reader.u32() };
    default:
      return { type: 'unknown', code };
  }
}

/** cCapabilitiesSets u16, pad u16, then sets: type u16, length u16 (with these four), of type 1: version u32, flags u32. */
function decodeCaps(reader: LittleReader): ClipMessage {
  let version = 1;
  let flags = 0;
  const count = reader.u16();
  reader.skip(2);
  for (let i = 0; i < count && reader.violation === undefined; i++) {
    const type = reader.u16();
    const set = new LittleReader(reader.raw(reader.u16() - 4));
    if (type !== 1) continue;
    version = set.u32();
    flags = set.u32();
    if (set.violation !== undefined) reader.fail(set.violation);
  }
  return { type: 'caps', version, flags };
}

function decodeContentsRequest(reader: LittleReader): ClipMessage {
  const streamId = reader.u32();
  const index = reader.u32();
  const flags = reader.u32();
  const position = reader.u64();
  const bytes = reader.u32();
  const clipDataId = reader.remaining >= 4 ? reader.u32() : undefined;
  if (flags !== 1 && flags !== 2) reader.fail('a file contents request asks for neither size nor range');
  const want = flags === 1 ? 'size' : 'range';
  return { type: 'file-contents-request', streamId, index, want, position, bytes, clipDataId };
}

/** Writes a message, with nothing in it but what the value says. */
export function encodeClip(message: Exclude<ClipMessage, { type: 'unknown' }>, longNames: boolean): Uint8Array {
  switch (message.type) {
    case 'monitor-ready':
      return frame(MONITOR_READY, 0);
    case 'caps':
      return frame(CAPS, 0, (body) => body.u16(1).u16(0).u16(1).u16(12).u32(message.version).u32(message.flags));
    case 'temp-directory':
      return frame(TEMP_DIRECTORY, 0, (body) => {
        const path = message.path.slice(0, 259);
        body.utf16(path).zeros(520 - 2 * path.length);
      });
    case 'format-list':
      return frame(FORMAT_LIST, message.ascii && !longNames ? ASCII_NAMES : 0, (body) =>
        encodeFormats(body, message.formats, longNames, message.ascii),
      );
    case 'format-list-response':
      return frame(FORMAT_LIST_RESPONSE, outcome(message.ok));
    case 'data-request':
      return frame(DATA_REQUEST, 0, (body) => body.u32(message.format));
    case 'data-response':
      return frame(DATA_RESPONSE, outcome(message.ok), (body) => body.raw(message.data));
    case 'file-contents-request':
      return frame(FILECONTENTS_REQUEST, 0, (body) => {
        body.u32(message.streamId).u32(message.index);
        body
          .u32(message.want === 'size' ? 1 : 2)
          .u64(message.position)
          .u32(message.bytes);
        if (message.clipDataId !== undefined) body.u32(message.clipDataId);
      });
    case 'file-contents-response':
      return frame(FILECONTENTS_RESPONSE, outcome(message.ok), (body) => body.u32(message.streamId).raw(message.data));
    case 'lock':
      return frame(LOCK, 0, (body) => body.u32(message.clipDataId));
    case 'unlock':
      return frame(UNLOCK, 0, (body) => body.u32(message.clipDataId));
    default:
      return message satisfies never;
  }
}

function outcome(ok: boolean): number {
  return ok ? RESPONSE_OK : RESPONSE_FAIL;
}

function frame(code: number, flags: number, write?: (body: LittleWriter) => unknown): Uint8Array {
  const body = new LittleWriter(64);
  write?.(body);
  const bytes = body.finish();
  return new LittleWriter(8 + bytes.length).u16(code).u16(flags).u32(bytes.length).raw(bytes).finish();
}

function untilNul(text: string): string {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}

/** The kind of answer that a message would have been, from its first bytes: for messages too long to be read. */
export function answerOf(start: Uint8Array): ClipMessage | undefined {
  const reader = new LittleReader(start);
  const code = reader.u16();
  reader.skip(6);
  const failed = { ok: false, data: new Uint8Array(0) } as const;
  if (code === DATA_RESPONSE) return { type: 'data-response', ...failed };
  if (code === FILECONTENTS_RESPONSE) return { type: 'file-contents-response', streamId: reader.u32(), ...failed };
  return undefined;
}

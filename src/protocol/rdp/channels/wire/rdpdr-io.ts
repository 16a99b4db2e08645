/**
 * Input and output on redirected devices (MS-RDPEFS §2.2.1.4, §2.2.1.5, §2.2.3.3, §2.2.3.4): the target asks, the client
 * completes. Pure. How a completion reads depends on its request, which only the filter remembers: `readDone` and the
 * others read the tail of a completion.
 */
import { LittleReader } from '../../../wire/little-reader.ts';
import { LittleWriter } from '../../../wire/little-writer.ts';
import type { Violation } from '../../../wire/violation.ts';

/** Values of NTSTATUS that the gate answers with, or understands. */
export const ntStatus = {
  success: 0,
  endOfFile: 0xc0000011,
  invalidHandle: 0xc0000008,
  noSuchDevice: 0xc000000e,
  accessDenied: 0xc0000022,
  nameInvalid: 0xc0000033,
  notSupported: 0xc00000bb,
  tooManyOpened: 0xc000011f,
} as const;

/** What a request wants. `other` are calls that neither move content nor change anything by themselves. */
export type IoCall =
  | {
      readonly call: 'create';
      readonly access: number;
      readonly disposition: number;
      readonly options: number;
      readonly path: string;
    }
  | { readonly call: 'close' }
  | { readonly call: 'read'; readonly offset: bigint; readonly bytes: number }
  | { readonly call: 'write'; readonly offset: bigint; readonly data: Uint8Array }
  | { readonly call: 'query-information'; readonly level: number }
  | { readonly call: 'set-information'; readonly level: number; readonly change: FileChange }
  | { readonly call: 'query-volume' | 'set-volume' }
  | { readonly call: 'query-directory'; readonly level: number; readonly initial: boolean; readonly path: string }
  | { readonly call: 'watch-directory' }
  | { readonly call: 'control'; readonly code: number }
  | { readonly call: 'lock' }
  | { readonly call: 'unknown'; readonly major: number; readonly minor: number };

/** What a set-information request changes (MS-FSCC §2.4): of other levels only the number is known. */
export type FileChange =
  | { readonly change: 'renamed'; readonly to: string }
  | { readonly change: 'deleted'; readonly pending: boolean }
  | { readonly change: 'resized'; readonly size: bigint }
  | { readonly change: 'other' };

export interface IoRequest {
  readonly type: 'request';
  readonly device: number;
  readonly file: number;
  readonly completion: number;
  readonly call: IoCall;
}

/** `tail` is what follows the status; see `createDone`, `readDone`, `writeDone`, `sizeDone`. */
export interface IoCompletion {
  readonly type: 'completion';
  readonly device: number;
  readonly completion: number;
  readonly status: number;
  readonly tail: Uint8Array;
}

/** The longest path of Windows, in bytes, with its end mark. */
const longestPath = 65536;

/** DeviceId u32, FileId u32, CompletionId u32, MajorFunction u32, MinorFunction u32, then by function. */
export function decodeRequest(reader: LittleReader): IoRequest {
  const device = reader.u32();
  const file = reader.u32();
  const completion = reader.u32();
  const major = reader.u32();
  const minor = reader.u32();
  return { type: 'request', device, file, completion, call: decodeCall(reader, major, minor) };
}

function decodeCall(reader: LittleReader, major: number, minor: number): IoCall {
  switch (major) {
    case 0x00: {
      const access = reader.u32();
      // AllocationSize u64, FileAttributes u32, SharedAccess u32
      reader.skip(16);
      return { call: 'create', access, disposition: reader.u32(), options: reader.u32(), path: path(reader, 0) };
    }
    case 0x02:
      return { call: 'close' };
    case 0x03: {
      const bytes = reader.u32();
      return { call: 'read', bytes, offset: reader.u64() };
    }
    case 0x04: {
      const bytes = reader.u32();
      const offset = reader.u64();
      reader.skip(20);
      return { call: 'write', offset, data: reader.raw(bytes) };
    }
    case 0x05:
      return { call: 'query-information', level: reader.u32() };
    case 0x06: {
      const level = reader.u32();
      const length = reader.u32();
      reader.skip(24);
      return { call: 'set-information', level, change: decodeChange(reader, level, reader.raw(length)) };
    }
    case 0x0a:
      return { call: 'query-volume' };
    case 0x0b:
      return { call: 'set-volume' };
    case 0x0c:
      if (minor === 2) return { call: 'watch-directory' };
      if (minor !== 1) return { call: 'unknown', major, minor };
      return { call: 'query-directory', level: reader.u32(), initial: reader.u8() !== 0, path: path(reader, 23) };
    case 0x0e:
      // OutputBufferLength u32, InputBufferLength u32
      reader.skip(8);
      return { call: 'control', code: reader.u32() };
    case 0x11:
      return { call: 'lock' };
    default:
      return { call: 'unknown', major, minor };
  }
}

/** PathLength u32 in bytes, padding, the path in UTF-16 with its end mark. */
function path(reader: LittleReader, padding: number): string {
  const length = reader.u32();
  if (length > longestPath) reader.fail('a path is too long');
  reader.skip(padding);
  return cut(reader.utf16(length));
}

function decodeChange(outer: LittleReader, level: number, bytes: Uint8Array): FileChange {
  const reader = new LittleReader(bytes);
  let change: FileChange = { change: 'other' };
  if (level === 10) {
    // ReplaceIfExists u8, RootDirectory u8, FileNameLength u32, FileName
    reader.skip(2);
    change = { change: 'renamed', to: path(reader, 0) };
  } else if (level === 13) {
    // an empty buffer means yes
    change = { change: 'deleted', pending: bytes.length === 0 || reader.u8() !== 0 };
  } else if (level === 20) {
    change = { change: 'resized', size: reader.u64() };
  }
  if (reader.violation !== undefined) outer.fail(reader.violation);
  return change;
}

/** DeviceId u32, CompletionId u32, IoStatus u32, then by the function of the request. */
export function decodeCompletion(reader: LittleReader): IoCompletion {
  const device = reader.u32();
  const completion = reader.u32();
  return { type: 'completion', device, completion, status: reader.u32(), tail: reader.rest() };
}

/** What a create says when it went well: FileId u32, Information u8 (which old clients leave out). */
export function createDone(tail: Uint8Array): { readonly file: number; readonly information: number } | Violation {
  const reader = new LittleReader(tail);
  const file = reader.u32();
  const information = reader.remaining > 0 ? reader.u8() : 0;
  return reader.violation === undefined ? { file, information } : { violation: reader.violation };
}

/** What a read brought: Length u32, then that many bytes. */
export function readDone(tail: Uint8Array): Uint8Array | Violation {
  const reader = new LittleReader(tail);
  const data = reader.raw(reader.u32());
  return reader.violation === undefined ? data : { violation: reader.violation };
}

/** How much of a write was done: Length u32. */
export function writeDone(tail: Uint8Array): number | Violation {
  const reader = new LittleReader(tail);
  const length = reader.u32();
  return reader.violation === undefined ? length : { violation: reader.violation };
}

/** The size in a FileStandardInformation (level 5): Length u32, AllocationSize u64, EndOfFile u64, …; or undefined. */
export function sizeDone(tail: Uint8Array): bigint | undefined {
  const reader = new LittleReader(tail);
  reader.skip(4 + 8);
  const size = reader.u64();
  return reader.violation === undefined ? size : undefined;
}

/** A completion in the client's place that refuses a request. */
export function encodeRefusal(request: Pick<IoRequest, 'device' | 'completion'>, status: number): Uint8Array {
  const out = new LittleWriter(24).u16(0x4472).u16(0x4943).u32(request.device).u32(request.completion).u32(status);
  // FileId and Information of a create, padding of a close, else a length of zero and a byte of padding
  return out.u32(0).u8(0).finish();
}

function cut(text: string): string {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}

/**
 * Events as bytes, inside a block's plaintext: kind (1 byte), microseconds since the event before (count), channel (count),
 * length of the body (count), body. The first event of a block counts from the block's `from`, so that a block can be
 * read without the blocks before it. FORMAT.md §5 has the table of kinds and bodies.
 */
import { text, utf8 } from '../../base/bytes.ts';
import type { Violation } from './container.ts';
import { desktopBody, desktopCode, readDesktop } from './desktop-codec.ts';
import type { EventDetail, FileEvent, RecordedEvent, StreamKind } from './events.ts';
import { type FieldReader, type FieldWriter, readFields, writeFields } from './fields.ts';
import { maxBody, maxText } from './limits.ts';

const code = {
  start: 0x01,
  end: 0x02,
  note: 0x03,
  'channel-open': 0x08,
  'channel-close': 0x09,
  output: 0x10,
  'error-output': 0x11,
  input: 0x12,
  'input-masked': 0x13,
  pty: 0x18,
  resize: 0x19,
  shell: 0x20,
  exec: 0x21,
  subsystem: 0x22,
  env: 0x23,
  request: 0x24,
  file: 0x30,
  stream: 0x31,
  'exit-status': 0x40,
  'exit-signal': 0x41,
  ...desktopCode,
} as const satisfies Record<Exclude<EventDetail['kind'], 'unknown'>, number>;

const actions = [
  'transfer',
  'remove',
  'rename',
  'mkdir',
  'rmdir',
  'link',
  'chmod',
] as const satisfies FileEvent['action'][];

/** Appends one stream event. `bytes` must not be longer than `maxBody`: the recorder splits. */
export function writeStream(
  out: FieldWriter,
  kind: StreamKind,
  delta: number,
  channel: number,
  bytes: Uint8Array,
): void {
  out.u8(code[kind]).count(delta).count(channel).bytes(bytes, maxBody);
}

/** Appends one event of any kind. Texts longer than `maxText` and bodies longer than `maxBody` are cut. */
export function writeEvent(out: FieldWriter, delta: number, channel: number, detail: EventDetail): void {
  const kind = detail.kind === 'unknown' ? detail.code : code[detail.kind];
  out.u8(kind).count(delta).count(channel).bytes(bodyOf(detail), maxBody);
}

function bodyOf(detail: EventDetail): Uint8Array {
  const body = writeFields();
  switch (detail.kind) {
    case 'start':
    case 'note':
      return utf8(detail.text);
    case 'end':
      return utf8(detail.reason);
    case 'output':
    case 'error-output':
    case 'input':
    case 'unknown':
      return detail.bytes;
    case 'exec':
      return detail.command;
    case 'subsystem':
      return utf8(detail.name);
    case 'exit-signal':
      return utf8(detail.signal);
    case 'shell':
    case 'channel-close':
    case 'input-masked':
      return body.view();
    case 'channel-open':
      return body.text(detail.type, maxText).text(detail.about, maxText).view();
    case 'pty':
      return body.text(detail.term, 256).count(detail.columns).count(detail.rows).bytes(detail.modes, maxText).view();
    case 'resize':
      return body.count(detail.columns).count(detail.rows).view();
    case 'env':
      return body.text(detail.name, maxText).text(detail.value, maxText).view();
    case 'request':
      return body.text(detail.name, 256).bytes(detail.bytes, maxText).view();
    case 'file':
      body.u8(actions.indexOf(detail.action)).u8(detail.direction === 'up' ? 0 : 1);
      body.text(detail.path, maxText).text(detail.to, maxText).count(detail.size);
      body.count(detail.mode === undefined ? 0 : detail.mode + 1);
      return body
        .text(detail.sha256 ?? '', 64)
        .text(detail.remark, 1024)
        .view();
    case 'stream':
      return body
        .u8(detail.direction === 'up' ? 0 : 1)
        .count(detail.bytes)
        .text(detail.sha256, 64)
        .view();
    case 'exit-status':
      return body.count(detail.status).view();
    default:
      return desktopBody(detail);
  }
}

/** All events of one block's plaintext, with their times; streams and unknown bodies are views into it. */
export function readEvents(plain: Uint8Array, from: number): RecordedEvent[] | Violation {
  const fields = readFields(plain);
  const events: RecordedEvent[] = [];
  let at = from;
  while (fields.remaining > 0 && fields.violation === undefined) {
    const kind = fields.u8();
    at += fields.count();
    const channel = fields.count();
    if (channel > 0xffffffff) fields.fail('channel number out of bounds');
    if (!Number.isSafeInteger(at)) fields.fail('time out of bounds');
    const body = fields.bytes(maxBody);
    if (fields.violation !== undefined) break;
    const detail = detailOf(kind, body);
    if ('violation' in detail) return detail;
    events.push({ at, channel, detail });
  }
  return fields.violation === undefined ? events : { violation: fields.violation };
}

function detailOf(kind: number, body: Uint8Array): EventDetail | Violation {
  const fields = readFields(body);
  const detail = structured(kind, body, fields);
  if (detail === undefined) return { kind: 'unknown', code: kind, bytes: body };
  return fields.violation === undefined ? detail : { violation: `event ${kind}: ${fields.violation}` };
}

function direction(fields: FieldReader): 'up' | 'down' {
  const value = fields.u8();
  if (value > 1) fields.fail('unknown direction');
  return value === 0 ? 'up' : 'down';
}

function structured(kind: number, body: Uint8Array, fields: FieldReader): EventDetail | undefined {
  switch (kind) {
    case code.start:
      return { kind: 'start', text: text(body) };
    case code.end:
      return { kind: 'end', reason: text(body) };
    case code.note:
      return { kind: 'note', text: text(body) };
    case code.output:
      return { kind: 'output', bytes: body };
    case code['error-output']:
      return { kind: 'error-output', bytes: body };
    case code.input:
      return { kind: 'input', bytes: body };
    case code['input-masked']:
      return { kind: 'input-masked' };
    case code['channel-open']:
      return { kind: 'channel-open', type: fields.text(maxText), about: fields.text(maxText) };
    case code['channel-close']:
      return { kind: 'channel-close' };
    case code.pty:
      return {
        kind: 'pty',
        term: fields.text(256),
        columns: fields.count(),
        rows: fields.count(),
        modes: fields.bytes(maxText),
      };
    case code.resize:
      return { kind: 'resize', columns: fields.count(), rows: fields.count() };
    case code.shell:
      return { kind: 'shell' };
    case code.exec:
      return { kind: 'exec', command: body };
    case code.subsystem:
      return { kind: 'subsystem', name: text(body) };
    case code.env:
      return { kind: 'env', name: fields.text(maxText), value: fields.text(maxText) };
    case code.request:
      return { kind: 'request', name: fields.text(256), bytes: fields.bytes(maxText) };
    case code.file:
      return file(fields);
    case code.stream:
      return { kind: 'stream', direction: direction(fields), bytes: fields.count(), sha256: fields.text(64) };
    case code['exit-status']:
      return { kind: 'exit-status', status: fields.count() };
    case code['exit-signal']:
      return { kind: 'exit-signal', signal: text(body) };
    default:
      return readDesktop(kind, fields);
  }
}

function file(fields: FieldReader): FileEvent {
  const action = actions[fields.u8()];
  if (action === undefined) fields.fail('unknown action');
  const way = direction(fields);
  const path = fields.text(maxText);
  const to = fields.text(maxText);
  const size = fields.count();
  const mode = fields.count();
  const sha256 = fields.text(64);
  const remark = fields.text(1024);
  return {
    kind: 'file',
    action: action ?? 'transfer',
    direction: way,
    path,
    to,
    size,
    ...(mode > 0 && { mode: mode - 1 }),
    ...(sha256 !== '' && { sha256 }),
    remark,
  };
}

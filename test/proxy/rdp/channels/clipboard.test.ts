import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { empty, hex } from '../../../../src/base/bytes.ts';
import { type ClipMessage, decodeClip, encodeClip } from '../../../../src/protocol/rdp/channels/wire/cliprdr.ts';
import type { Format } from '../../../../src/protocol/rdp/channels/wire/cliprdr-formats.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { clipboard } from '../../../../src/proxy/rdp/channels/clipboard.ts';
import { type ChannelEvent, channelLimits, type Side } from '../../../../src/proxy/rdp/channels/filter.ts';
import { rdpPolicy } from '../../../../src/proxy/rdp/policy.ts';
import { good, wide } from '../../../protocol/rdp/channels/bytes.ts';
import { fileList, only, passed } from './messages.ts';

type Sent = Exclude<ClipMessage, { type: 'unknown' }>;

/** A filter under a grant, both sides with long names; `send` gives what each side got. */
function underGrant(...subprotocols: string[]) {
  const filter = clipboard(rdpPolicy(subprotocols), channelLimits);
  const events: ChannelEvent[] = [];
  const send = (from: Side, message: Sent): { target: ClipMessage[]; client: ClipMessage[] } => {
    const step = passed(filter.message(from, encodeClip(message, true)));
    events.push(...step.events);
    const read = (bytes: Uint8Array): ClipMessage => good(decodeClip(bytes, true));
    return { target: step.toTarget.map(read), client: step.toClient.map(read) };
  };
  send('target', { type: 'caps', version: 2, flags: 0x3e });
  send('client', { type: 'caps', version: 2, flags: 0x3e });
  return { filter, events, send };
}

const text: Format = { id: 13, name: '' };
const html: Format = { id: 0xc101, name: 'HTML Format' };
const picture: Format = { id: 8, name: '' };
const files: Format = { id: 0xc0bc, name: 'FileGroupDescriptorW' };
const odd: Format = { id: 0xc200, name: 'Odd Native Data' };
const everything = [text, html, picture, files, odd];

const list = (formats: readonly Format[]): Sent => ({ type: 'format-list', ascii: false, formats });
const data = (bytes: Uint8Array): Sent => ({ type: 'data-response', ok: true, data: bytes });
const failed = { type: 'data-response', ok: false, data: empty };

test.each([
  ['clipboard-up', 'client', [text, html, picture]],
  ['clipboard-files-up', 'client', [files]],
  ['clipboard-down', 'target', [text, html, picture]],
  ['clipboard-files-down', 'target', [files]],
] as const)('%s alone lets its own formats be offered, one way', (subprotocol, owner, formats) => {
  const { send } = underGrant(subprotocol);
  const other = owner === 'client' ? 'target' : 'client';
  expect(send(owner, list(everything))[other]).toEqual([list(formats)]);
  // what the client has copied himself stays: it is not told of a list of which nothing is left for it
  expect(send(other, list(everything))[owner]).toEqual(owner === 'client' ? [] : [list([])]);
});

test('a denied list from the target is answered by the gate; after an allowed one it takes that away', () => {
  const { send } = underGrant('clipboard-down');
  const answered = { type: 'format-list-response', ok: true };
  expect(send('target', list([files]))).toMatchObject({ client: [], target: [answered] });
  expect(send('target', list([text])).client).toEqual([list([text])]);
  expect(send('target', list([files])).client).toEqual([list([])]);
  expect(send('target', list([files])).client).toEqual([]);
});

test('a format that nobody knows needs the right to text and to files', () => {
  const { send, events } = underGrant('clipboard-up', 'clipboard-files-up');
  expect(send('client', list(everything)).target).toEqual([list(everything)]);
  expect(only(events, 'clipboard.refused')).toEqual([]);
});

test('a system format with the name of another kind is unknown, and so denied', () => {
  const { send } = underGrant('clipboard-up');
  expect(send('client', list([{ id: 13, name: 'FileGroupDescriptorW' }])).target).toEqual([list([])]);
});

test('text that crosses is told with its length and hash', () => {
  const { send, events } = underGrant('clipboard-down');
  send('target', list([text]));
  expect(send('client', { type: 'data-request', format: 13 }).target).toEqual([{ type: 'data-request', format: 13 }]);
  const bytes = wide('from the target ✓\0');
  expect(send('target', data(bytes)).client).toEqual([data(bytes)]);
  expect(only(events, 'clipboard.text')).toEqual([
    {
      type: 'clipboard.text',
      way: 'down',
      format: 'CF_UNICODETEXT',
      text: 'from the target ✓',
      cut: false,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    },
  ]);
});

test('long text is cut in the event and hashed as a whole', () => {
  const { send, events } = underGrant('clipboard-up');
  send('client', list([text]));
  send('target', { type: 'data-request', format: 13 });
  const bytes = wide('x'.repeat(100_000));
  send('client', data(bytes));
  const [event] = only(events, 'clipboard.text');
  expect(event?.text.length).toBe(65536);
  expect(event).toMatchObject({ cut: true, bytes: 200_000, sha256: createHash('sha256').update(bytes).digest('hex') });
});

test('a picture is told by its hash', () => {
  const { send, events } = underGrant('clipboard-up');
  send('client', list([picture]));
  send('target', { type: 'data-request', format: 8 });
  send('client', data(new Uint8Array(40)));
  expect(only(events, 'clipboard.data')).toMatchObject([{ way: 'up', format: 'CF_DIB', bytes: 40 }]);
});

test('a request for what is denied is answered by the gate and never reaches the owner', () => {
  const { send, events } = underGrant('clipboard-down');
  send('client', list(everything));
  for (const format of [13, 1, 8, 15, 0xc101, 0xc0bc, 0xc200, 99]) {
    const step = send('target', { type: 'data-request', format });
    expect(step, `${format}`).toEqual({ target: [failed], client: [] });
  }
  expect(only(events, 'clipboard.refused').length).toBeGreaterThanOrEqual(8);
});

test('a refusal waits for the answers before it, so that answers stay in order', () => {
  const { send } = underGrant('clipboard-up');
  send('client', list([text, files]));
  send('target', { type: 'data-request', format: 13 });
  expect(send('target', { type: 'data-request', format: 0xc0bc })).toEqual({ target: [], client: [] });
  expect(send('client', data(wide('a'))).target).toEqual([data(wide('a')), failed]);
});

test('an answer that nobody asked for goes nowhere', () => {
  const { send } = underGrant('clipboard-up', 'clipboard-down');
  expect(send('client', data(wide('unasked')))).toEqual({ target: [], client: [] });
  const contents: Sent = { type: 'file-contents-response', ok: true, streamId: 1, data: wide('unasked') };
  expect(send('client', contents)).toEqual({ target: [], client: [] });
});

test('a failed answer carries no bytes', () => {
  const { send } = underGrant('clipboard-up');
  send('client', list([text]));
  send('target', { type: 'data-request', format: 13 });
  expect(send('client', { type: 'data-response', ok: false, data: wide('hidden') }).target).toEqual([failed]);
});

/** Files offered by the client and listed to the target. */
function offered(...names: { name: string; size: number }[]) {
  const session = underGrant('clipboard-files-up');
  session.send('client', list([files]));
  session.send('target', { type: 'data-request', format: 0xc0bc });
  session.send('client', data(fileList(names)));
  return session;
}

const range = (index: number, position: number, bytes: number, clipDataId?: number): Sent => ({
  type: 'file-contents-request',
  streamId: index + 1,
  index,
  want: 'range',
  position: BigInt(position),
  bytes,
  clipDataId,
});
const part = (index: number, bytes: Uint8Array): Sent => ({
  type: 'file-contents-response',
  ok: true,
  streamId: index + 1,
  data: bytes,
});

test('names and sizes of files are told when they are listed', () => {
  const { events } = offered({ name: 'File1.txt', size: 44 }, { name: 'b.bin', size: 3 });
  expect(only(events, 'clipboard.files')).toEqual([
    {
      type: 'clipboard.files',
      way: 'up',
      files: [
        { name: 'File1.txt', size: 44n },
        { name: 'b.bin', size: 3n },
      ],
    },
  ]);
});

test('a file read from its start to its end is told with the hash of the whole', () => {
  const content = Uint8Array.from({ length: 2500 }, (_, i) => i * 3);
  const { send, events } = offered({ name: 'a.bin', size: 2500 });
  for (let at = 0; at < 2500; at += 1000) {
    const request = range(0, at, 1000);
    expect(send('target', request).client).toEqual([request]);
    expect(send('client', part(0, content.subarray(at, at + 1000))).target).toHaveLength(1);
  }
  expect(only(events, 'file.transferred')).toEqual([
    {
      type: 'file.transferred',
      way: 'up',
      via: 'clipboard',
      device: 'clipboard',
      name: 'a.bin',
      size: 2500n,
      bytes: 2500n,
      sha256: createHash('sha256').update(content).digest('hex'),
      partial: false,
    },
  ]);
});

test('a file read in part is told as partial, without a hash', () => {
  const { send, events, filter } = offered({ name: 'a.bin', size: 2500 });
  send('target', range(0, 1000, 500));
  send('client', part(0, new Uint8Array(500)));
  expect(only(events, 'file.transferred')).toEqual([]);
  expect(filter.close()).toMatchObject([{ name: 'a.bin', bytes: 500n, sha256: undefined, partial: true }]);
});

test('a file of no bytes is told when its size was asked', () => {
  const { send, events } = offered({ name: 'empty', size: 7 });
  send('target', {
    type: 'file-contents-request',
    streamId: 1,
    index: 0,
    want: 'size',
    position: 0n,
    bytes: 8,
    clipDataId: undefined,
  });
  send('client', part(0, new Uint8Array(8)));
  expect(only(events, 'file.transferred')).toMatchObject([{ size: 0n, bytes: 0n, partial: false }]);
});

test('a file that no list named is not asked for', () => {
  const { send } = offered({ name: 'a.bin', size: 5 });
  const refusal = { type: 'file-contents-response', ok: false, streamId: 2, data: empty };
  expect(send('target', range(1, 0, 10))).toEqual({ target: [refusal], client: [] });
  // the other way nothing was offered at all
  expect(send('client', range(1, 0, 10))).toEqual({ target: [], client: [refusal] });
});

test('more bytes than were asked for, or a size that is none, do not cross', () => {
  const { send, events } = offered({ name: 'a.bin', size: 50 });
  send('target', range(0, 0, 10));
  const refusal = { type: 'file-contents-response', ok: false, streamId: 1, data: empty };
  expect(send('client', part(0, new Uint8Array(11))).target).toEqual([refusal]);
  expect(only(events, 'file.transferred')).toEqual([]);
});

test('a locked list is read on after a new one was offered', () => {
  const { send } = offered({ name: 'old.bin', size: 5 });
  expect(send('target', { type: 'lock', clipDataId: 9 }).client).toEqual([{ type: 'lock', clipDataId: 9 }]);
  send('client', list([files]));
  expect(send('target', range(0, 0, 5)).client).toEqual([]);
  expect(send('target', range(0, 0, 5, 9)).client).toEqual([range(0, 0, 5, 9)]);
  send('target', { type: 'unlock', clipDataId: 9 });
  expect(send('target', range(0, 0, 5, 9)).client).toEqual([]);
});

test('without a right to files neither locks nor the flags for files reach the other side', () => {
  const { send } = underGrant('clipboard-up', 'clipboard-down');
  expect(send('target', { type: 'lock', clipDataId: 1 })).toEqual({ target: [], client: [] });
  expect(send('client', { type: 'caps', version: 2, flags: 0x3e }).target).toEqual([
    { type: 'caps', version: 2, flags: 2 },
  ]);
  expect(underGrant('clipboard-files-down').send('client', { type: 'caps', version: 9, flags: 0xffff }).target).toEqual(
    [{ type: 'caps', version: 2, flags: 0x3e }],
  );
});

test('the temporary folder of the client is not told to the target', () => {
  expect(underGrant('clipboard-files-up').send('client', { type: 'temp-directory', path: 'C:\\Users' })).toEqual({
    target: [],
    client: [],
  });
});

test('messages of the wrong side are violations, unknown ones go nowhere', () => {
  const { filter } = underGrant('clipboard-up');
  expect(isViolation(filter.message('client', encodeClip({ type: 'monitor-ready' }, true)))).toBe(true);
  expect(isViolation(filter.message('target', encodeClip({ type: 'temp-directory', path: '' }, true)))).toBe(true);
  expect(filter.message('client', Uint8Array.of(99, 0, 0, 0, 0, 0, 0, 0))).toEqual({
    toTarget: [],
    toClient: [],
    events: [],
  });
});

test('an answer too long to hold fails, and any other message too long is a violation', () => {
  const { send, filter } = underGrant('clipboard-up');
  send('client', list([text]));
  send('target', { type: 'data-request', format: 13 });
  const start = encodeClip(data(wide('start')), true);
  const step = passed(filter.oversized('client', start, 1e9));
  expect(step.toTarget.map(hex)).toEqual([hex(encodeClip({ type: 'data-response', ok: false, data: empty }, true))]);
  expect(isViolation(filter.oversized('client', encodeClip(list([text]), true), 1e9))).toBe(true);
});

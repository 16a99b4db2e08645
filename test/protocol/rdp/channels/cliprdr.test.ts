/** Bytes of MS-RDPECLIP §4, and every message written and read again. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../../src/base/bytes.ts';
import { concat, hex } from '../../../../src/base/bytes.ts';
import {
  answerOf,
  type ClipMessage,
  decodeClip,
  encodeClip,
} from '../../../../src/protocol/rdp/channels/wire/cliprdr.ts';
import { decodeFileList } from '../../../../src/protocol/rdp/channels/wire/cliprdr-formats.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { bytes, good, wide } from './bytes.ts';

/** §4.1.3: Client Clipboard Capabilities PDU. */
const caps = '070000001000000001000000' + '01000c00020000000e000000';

test('the capabilities of the specification are read and written', () => {
  expect(decodeClip(bytes(caps), false)).toEqual({ type: 'caps', version: 2, flags: 0x0e });
  expect(hex(encodeClip({ type: 'caps', version: 2, flags: 0x0e }, false))).toBe(caps);
});

test('messages without a body are their heads', () => {
  expect(hex(encodeClip({ type: 'monitor-ready' }, true))).toBe('0100000000000000');
  expect(hex(encodeClip({ type: 'format-list-response', ok: true }, true))).toBe('0300010000000000');
  expect(hex(encodeClip({ type: 'format-list-response', ok: false }, true))).toBe('0300020000000000');
  expect(hex(encodeClip({ type: 'data-request', format: 13 }, true))).toBe('04000000040000000d000000');
});

test('a list of long names is read as such from a server that writes them to clients without, as xrdp does', () => {
  const sent = fromHex('02000000180000000d000000000010000000000001000000000007000000000000000000') ?? new Uint8Array();
  expect(decodeClip(sent, false)).toEqual({
    type: 'format-list',
    ascii: false,
    formats: [13, 16, 1, 7].map((id) => ({ id, name: '' })),
  });
});

test('a format list has long names if both sides said so', () => {
  const long = concat([bytes('02 00 00 00 18 00 00 00 0d 00 00 00 00 00 0e c0 00 00'), wide('native'), bytes('0000')]);
  const list: ClipMessage = {
    type: 'format-list',
    ascii: false,
    formats: [
      { id: 13, name: '' },
      { id: 0xc00e, name: 'native' },
    ],
  };
  expect(decodeClip(long, true)).toEqual(list);
  expect(hex(encodeClip(list, true))).toBe(hex(long));
});

test('short names are 32 bytes, wide or ASCII, and cut off', () => {
  const name = 'FileGroupDescriptorW';
  const list: ClipMessage = { type: 'format-list', ascii: false, formats: [{ id: 0xc0bc, name }] };
  const written = encodeClip(list, false);
  expect(written.length).toBe(8 + 36);
  expect(decodeClip(written, false)).toEqual({ ...list, formats: [{ id: 0xc0bc, name: 'FileGroupDescri' }] });
  const ascii = encodeClip({ ...list, ascii: true }, false);
  expect(hex(ascii.subarray(0, 4))).toBe('02000400');
  expect(decodeClip(ascii, false)).toEqual({ ...list, ascii: true });
});

test('the file list of the specification is read', () => {
  // §4.5.4: two descriptors; the first is File1.txt of 44 bytes
  const first = concat([
    bytes('64 40 00 00'),
    new Uint8Array(32),
    bytes('20 00 00 00'),
    new Uint8Array(16),
    bytes('08 5d 30 2c f3 55 ca 01 00 00 00 00 2c 00 00 00'),
    wide('File1.txt'.padEnd(260, '\0')),
  ]);
  expect(first.length).toBe(592);
  const list = concat([bytes('02 00 00 00'), first, first]);
  const file = { name: 'File1.txt', size: 44n, directory: false };
  expect(decodeFileList(list, 10)).toEqual([file, file]);
  expect(decodeFileList(list, 1)).toHaveProperty('violation');
  expect(decodeFileList(list.subarray(0, 900), 10)).toHaveProperty('violation');
});

const messages: Exclude<ClipMessage, { type: 'unknown' }>[] = [
  { type: 'caps', version: 2, flags: 0x3e },
  { type: 'monitor-ready' },
  { type: 'temp-directory', path: 'C:\\Temp' },
  { type: 'format-list', ascii: false, formats: [{ id: 0xc001, name: 'HTML Format' }] },
  { type: 'format-list-response', ok: true },
  { type: 'data-request', format: 1 },
  { type: 'data-response', ok: true, data: wide('text\0') },
  {
    type: 'file-contents-request',
    streamId: 2,
    index: 1,
    want: 'range',
    position: 0x1_0000_0005n,
    bytes: 65536,
    clipDataId: undefined,
  },
  { type: 'file-contents-request', streamId: 2, index: 1, want: 'size', position: 0n, bytes: 8, clipDataId: 7 },
  { type: 'file-contents-response', ok: true, streamId: 2, data: bytes('2c00000000000000') },
  { type: 'lock', clipDataId: 9 },
  { type: 'unlock', clipDataId: 9 },
];

test.each(messages)('$type is read as it was written, with padding after it too', (message) => {
  const written = encodeClip(message, true);
  expect(decodeClip(written, true)).toEqual(message);
  expect(decodeClip(concat([written, new Uint8Array(4)]), true)).toEqual(message);
});

test.each(messages)('$type cut off anywhere is a violation', (message) => {
  const written = encodeClip(message, true);
  for (let end = 0; end < written.length; end++)
    expect(decodeClip(written.subarray(0, end), true), `${end}`).toHaveProperty('violation');
});

test('a request for neither size nor range, or for both, is a violation', () => {
  for (const flags of ['00', '03'])
    expect(
      decodeClip(bytes(`08 00 00 00 18 00 00 00 01000000 00000000 ${flags}000000 0000000000000000 08000000`), true),
    ).toHaveProperty('violation');
});

test('of a message that is too long its start says what it would have answered', () => {
  expect(answerOf(bytes('05 00 01 00 00 00 00 7f aa bb'))).toMatchObject({ type: 'data-response', ok: false });
  expect(answerOf(bytes('09 00 01 00 00 00 00 7f 05 00 00 00'))).toMatchObject({ streamId: 5, ok: false });
  expect(answerOf(bytes('02 00 00 00 00 00 00 7f'))).toBeUndefined();
});

test('no bytes make the decoder throw, and what it reads is bounded by them', () => {
  const head = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 7 }), fc.nat(200));
  fc.assert(
    fc.property(head, fc.uint8Array({ maxLength: 200 }), fc.boolean(), ([code, flags, length], body, long) => {
      const raw = new LittleWriter().u16(code).u16(flags).u32(length).raw(body).finish();
      for (const input of [raw, body]) {
        const message = decodeClip(input, long);
        if (isViolation(message)) continue;
        if (message.type === 'format-list') expect(message.formats.length).toBeLessThanOrEqual(input.length / 4);
        if (message.type !== 'unknown')
          expect(good(decodeClip(encodeClip(message, long), long)).type).toBe(message.type);
      }
      decodeFileList(body, 10);
    }),
  );
});

import { expect, test } from 'vitest';
import { concat, hex } from '../../../src/base/bytes.ts';
import { openFastPath, openBulk, updateCode } from '../../../src/protocol/rdp/bitmap/bitmap.ts';
import { shareData, type ShareData, shareDataType } from '../../../src/protocol/rdp/rdp.ts';
import { openPictures } from '../../../src/proxy/rdp/pictures.ts';

const compressed = 0x20;
const large = 0x01;
const flushed = 0x80;

/** MPPC that only says literals: a client's history grows by exactly these bytes. */
function literals(bytes: Uint8Array): Uint8Array {
  let bits = '';
  for (const byte of bytes)
    bits +=
      byte < 0x80
        ? `0${(byte & 0x7f).toString(2).padStart(7, '0')}`
        : `10${(byte & 0x7f).toString(2).padStart(7, '0')}`;
  while (bits.length % 8 !== 0) bits += '0';
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (octet) => Number.parseInt(octet, 2));
}

/** A share data PDU as a target sends it, compressed or not. */
function sent(type: number, body: Uint8Array, flags: number): { bytes: Uint8Array; data: ShareData } {
  const packed = (flags & compressed) === 0 ? body : literals(body);
  const bytes = shareData(7, type, packed);
  bytes[15] = flags;
  return { bytes, data: { shareId: 7, type, compression: flags, body: packed } };
}

/** A fast-path message with one whole update. */
function output(code: number, body: Uint8Array, flags: number): Uint8Array {
  const packed = (flags & compressed) === 0 ? body : literals(body);
  const head = flags === 0 ? [code] : [code | 0x80, flags];
  const inside = concat([Uint8Array.from([...head, packed.length & 0xff, packed.length >>> 8]), packed]);
  return concat([Uint8Array.of(0, 0x80 | ((inside.length + 3) >>> 8), (inside.length + 3) & 0xff), inside]);
}

function open() {
  const shown: string[] = [];
  const pictures = openPictures({
    desktop: ({ width, height }) => shown.push(`${width}x${height}`),
    update: ({ code, payload }) => shown.push(`${code} ${hex(payload)}`),
  });
  return { shown, pictures };
}

const pointer = (x: number): Uint8Array => Uint8Array.of(3, 0, 0, 0, x, 0, 0, 0);

test('what is shown passes as it came, and the recording has seen it opened', () => {
  const { shown, pictures } = open();
  const fast = output(updateCode.pointerPosition, Uint8Array.of(1, 0, 2, 0), compressed | large | flushed);
  expect(pictures.fastPath(fast)).toBe(fast);
  const slow = sent(shareDataType.pointer, pointer(9), compressed | large);
  expect(pictures.share(slow.bytes, slow.data)).toBe(slow.bytes);
  expect(shown).toEqual(['8 01000200', '8 09000000']);
});

test('after a compressed message was kept back, everything passes opened until the target begins anew', () => {
  const { shown, pictures } = open();
  const first = sent(shareDataType.pointer, pointer(1), compressed | large | flushed);
  expect(pictures.share(first.bytes, first.data)).toBe(first.bytes);
  pictures.withhold(
    sent(shareDataType.saveSessionInfo, Uint8Array.of(0, 0, 0, 0, 0x41, 0x42), compressed | large).data,
  );

  const slow = sent(shareDataType.pointer, pointer(2), compressed | large);
  expect(hex(pictures.share(slow.bytes, slow.data))).toBe(hex(shareData(7, shareDataType.pointer, pointer(2))));
  const fast = output(updateCode.pointerPosition, Uint8Array.of(3, 0, 0, 0), compressed | large);
  const opened = pictures.fastPath(fast);
  expect(openFastPath(openBulk()).read(opened)).toEqual([
    { code: updateCode.pointerPosition, payload: Uint8Array.of(3, 0, 0, 0) },
  ]);
  const plain = sent(shareDataType.pointer, pointer(4), 0);
  expect(pictures.share(plain.bytes, plain.data)).toBe(plain.bytes);

  const anew = sent(shareDataType.pointer, pointer(5), compressed | large | flushed);
  expect(pictures.share(anew.bytes, anew.data)).toBe(anew.bytes);
  expect(shown).toHaveLength(5);
});

test('a message that was not compressed can be kept back without a trace', () => {
  const { pictures } = open();
  pictures.withhold(sent(shareDataType.saveSessionInfo, Uint8Array.of(1), 0).data);
  const slow = sent(shareDataType.pointer, pointer(2), compressed | large | flushed);
  expect(pictures.share(slow.bytes, slow.data)).toBe(slow.bytes);
});

test('drawing orders and surface commands end the session before the client sees them', () => {
  const { shown, pictures } = open();
  expect(() => pictures.fastPath(output(updateCode.surfaceCommands, Uint8Array.of(1, 0), 0))).toThrow(
    'was not agreed on',
  );
  expect(() => pictures.fastPath(output(updateCode.orders, Uint8Array.of(2, 0, 9), 0))).toThrow('was not agreed on');
  const slow = sent(shareDataType.update, Uint8Array.of(0, 0, 0, 0, 2, 0, 0, 0, 9), 0);
  expect(() => pictures.share(slow.bytes, slow.data)).toThrow('was not agreed on');
  expect(shown).toEqual([]);
  const none = output(updateCode.orders, Uint8Array.of(0, 0), 0);
  expect(pictures.fastPath(none)).toBe(none);
});

test('a picture longer than one message passes opened in several', () => {
  const { pictures } = open();
  pictures.withhold(sent(shareDataType.saveSessionInfo, Uint8Array.of(1), compressed | large | flushed).data);
  // one rectangle of raw pixels
  const body = new Uint8Array(22 + 2 * 90 * 50).fill(0x41);
  body.set([1, 0, 1, 0, 0, 0, 0, 0, 89, 0, 49, 0, 90, 0, 50, 0, 16, 0, 0, 0, 9000 & 0xff, 9000 >>> 8]);
  const opened = pictures.fastPath(output(updateCode.bitmap, body, compressed | large));
  expect(openFastPath(openBulk()).read(opened)).toEqual([{ code: updateCode.bitmap, payload: body }]);
});

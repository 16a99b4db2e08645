/** Frames between our own processes: every cut, every lie about a length, and bytes that stay out of the JSON. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, text, utf8 } from '../../../src/base/bytes.ts';
import { decodeFrame, encodeFrame, type Frame, kinds, maxFrame } from '../../../src/link/wire/frame.ts';

const sample: Frame = {
  kind: 'ask',
  number: 7,
  body: ['login.factor', { secret: utf8('hunter2'), list: [utf8(''), 1, null, 'ü'], deep: { key: new Uint8Array(3) } }],
};

function decoded(bytes: Uint8Array): Frame {
  const answer = decodeFrame(bytes);
  if (answer.kind !== 'frame') throw new Error(`no frame but ${JSON.stringify(answer)}`);
  return answer.frame;
}

/** A frame whose fields lie as told. */
function forged(length: number, kind: number, jsonLength: number, rest: Uint8Array): Uint8Array {
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, length);
  view.setUint8(4, kind);
  view.setUint32(9, jsonLength);
  return concat([head, rest]);
}

describe('a frame', () => {
  test.each(kinds)('of kind %s comes out as it went in', (kind) => {
    expect(decoded(encodeFrame({ ...sample, kind }))).toEqual({ ...sample, kind });
  });

  test('carries its bytes behind the JSON, where no text of it shows them', () => {
    const bytes = encodeFrame(sample);
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(9);
    expect(text(bytes.subarray(13, 13 + length))).toBe(
      '["login.factor",{"secret":{"$bytes":0},"list":[{"$bytes":1},1,null,"ü"],"deep":{"key":{"$bytes":2}}}]',
    );
  });

  test('carries a Buffer like any bytes, not as the list of numbers that JSON makes of it', () => {
    expect(decoded(encodeFrame({ kind: 'answer', number: 1, body: Buffer.from('abc') })).body).toEqual(utf8('abc'));
  });

  test('hands out copies, so that the receive buffer can be zeroed', () => {
    const plain = encodeFrame({ kind: 'answer', number: 1, body: utf8('abc') });
    for (const bytes of [plain, Buffer.from(plain)]) {
      const { body } = decoded(bytes);
      bytes.fill(0);
      expect(body).toEqual(utf8('abc'));
    }
  });

  test('that is cut anywhere is waited for', () => {
    const bytes = encodeFrame(sample);
    for (let end = 0; end < bytes.length; end++) expect(decodeFrame(bytes.subarray(0, end))).toEqual({ kind: 'more' });
  });

  test('leaves what follows it', () => {
    const two = concat([encodeFrame(sample), encodeFrame({ kind: 'cancel', number: 9, body: null })]);
    const first = decodeFrame(two);
    expect(first.kind === 'frame' && decoded(first.rest)).toEqual({ kind: 'cancel', number: 9, body: null });
  });

  test.each<[string, Uint8Array, string]>([
    ['longer than 4 MiB', forged(maxFrame + 1, 1, 2, utf8('{}')), `frame of ${maxFrame + 1} bytes`],
    ['too short for its own head', forged(8, 1, 0, new Uint8Array()), 'frame of 8 bytes'],
    ['of kind 0', forged(11, 0, 2, utf8('{}')), 'frame kind 0'],
    ['of kind 8', forged(11, 8, 2, utf8('{}')), 'frame kind 8'],
    ['whose JSON is longer than itself', forged(11, 1, 3, utf8('{}')), 'JSON longer than its frame'],
    ['whose JSON is none', forged(11, 1, 2, utf8('{]')), 'body is no JSON'],
    [
      'whose byte string is longer than itself',
      forged(16, 1, 2, concat([utf8('{}'), Uint8Array.of(0, 0, 0, 9, 1)])),
      'byte string longer than its frame',
    ],
    ['with less than a length behind its JSON', forged(13, 1, 2, utf8('{}\0\0')), 'byte string longer than its frame'],
    ['that points at bytes that are not there', forged(21, 1, 12, utf8('{"$bytes":0}')), 'body is no JSON'],
    [
      'with 65 byte strings',
      forged(9 + 2 + 65 * 4, 1, 2, concat([utf8('{}'), new Uint8Array(65 * 4)])),
      'byte string longer than its frame',
    ],
  ])('%s is a violation', (_, bytes, reason) => {
    expect(decodeFrame(bytes)).toEqual({ kind: 'violation', reason });
  });

  test('is not made when it would be longer than 4 MiB or have more than 64 byte strings', () => {
    const many = Array.from({ length: 65 }, () => new Uint8Array());
    expect(() => encodeFrame({ kind: 'tell', number: 0, body: many })).toThrow('frame too large');
    expect(() => encodeFrame({ kind: 'tell', number: 0, body: new Uint8Array(maxFrame) })).toThrow('frame too large');
    expect(decoded(encodeFrame({ kind: 'tell', number: 0, body: many.slice(1) })).body).toHaveLength(64);
  });

  test('of any JSON and bytes comes back the same', () => {
    const body = fc.letrec<{ any: unknown }>((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.jsonValue(),
        fc.uint8Array({ maxLength: 40 }),
        fc.array(tie('any'), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie('any'), { maxKeys: 4, noNullPrototype: true }),
      ),
    })).any;
    fc.assert(
      fc.property(body, fc.integer({ min: 0, max: 0xffffffff }), (value, number) => {
        fc.pre(!JSON.stringify(value).includes('$bytes') && !JSON.stringify(value).includes('__proto__'));
        // -0 is 0 in JSON
        const expected: unknown = structuredClone(value);
        const back = decoded(encodeFrame({ kind: 'tell', number, body: value }));
        expect(back.number).toBe(number);
        expect(JSON.stringify(back.body)).toBe(JSON.stringify(expected));
      }),
      { numRuns: 300 },
    );
  });

  test('of arbitrary bytes, or changed in one place, never throws', () => {
    const good = encodeFrame(sample);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(good.length - 1), fc.nat(255), (noise, at, byte) => {
        decodeFrame(noise);
        const changed = good.slice();
        changed[at] = byte;
        decodeFrame(changed);
      }),
      { numRuns: 2000 },
    );
  });
});

/** The small things that everything stands on: ids, bytes, errors, waiting. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, fromHex, hex, same, text, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { codeOf, isRefusal, refuse, SallyportError, wordsOf } from '../../src/base/errors.ts';
import { parseId } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { check, deadline, orAborted } from '../../src/base/signals.ts';

describe('an id', () => {
  test('is a UUIDv7 that reads back, whatever the time and the chance', () => {
    const random = fc.uint8Array({ minLength: 10, maxLength: 10 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), random, (now, chance) => {
        const id = newId(now, chance);
        expect(parseId(id)).toBe(id);
        expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(now);
      }),
    );
  });

  test('sorts by its time, and is never drawn twice', () => {
    expect([newId(3), newId(1), newId(2)].toSorted().map((id) => id.slice(9, 13))).toEqual(['0001', '0002', '0003']);
    expect(new Set(Array.from({ length: 1000 }, () => newId(1))).size).toBe(1000);
  });

  test.each([
    '',
    '0198aaaa-bbbb-7ccc-8ddd-eeeeeeeeeee',
    '0198aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeeee',
    '0198AAAA-bbbb-7ccc-8ddd-eeeeeeeeeeee',
    '0198aaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee',
    '0198aaaa-bbbb-7ccc-cddd-eeeeeeeeeeee',
    '0198aaaabbbb7ccc8dddeeeeeeeeeeee',
    '0198aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee\n',
    '../0198aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee',
  ])('is not %j', (words) => {
    expect(parseId(words)).toBeUndefined();
  });
});

describe('bytes', () => {
  test('go to hex and back, and only canonical hex is read', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(hex(bytes))).toEqual(bytes);
      }),
    );
    for (const wrong of ['a', 'AB', '0x', 'zz', ' a', 'ab\n']) expect(fromHex(wrong)).toBeUndefined();
  });

  test('are joined as copies, also of none', () => {
    const part = utf8('ab');
    const whole = concat([part, new Uint8Array(), utf8('c')]);
    part.fill(0);
    expect(text(whole)).toBe('abc');
    expect(concat([])).toEqual(new Uint8Array());
  });

  test('are the same or not', () => {
    expect([same(utf8('a'), utf8('a')), same(utf8('a'), utf8('b')), same(utf8('a'), utf8('ab'))]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('an error', () => {
  const error = new SallyportError('room.thing', { meaning: 'it is so', remedy: 'do that' }, 'root@web-01', {
    cause: new Error('below'),
  });

  test('has a code, its meaning with the detail, a remedy and what was below it', () => {
    expect([error.code, error.message, error.remedy, wordsOf(error.cause)]).toEqual([
      'room.thing',
      'it is so: root@web-01',
      'do that',
      'below',
    ]);
    expect(new SallyportError('room.thing', { meaning: 'it is so', remedy: '' }).message).toBe('it is so');
  });

  test('of anything caught has a code and words', () => {
    expect([error, { code: 'ECONNRESET' }, { code: 5 }, 'text', null, undefined].map(codeOf)).toEqual([
      'room.thing',
      'ECONNRESET',
      'unknown',
      'unknown',
      'unknown',
      'unknown',
    ]);
    expect([error, 'text', null].map(wordsOf)).toEqual(['it is so: root@web-01', 'text', 'null']);
  });

  test('is not a refusal, and a refusal is a value', () => {
    expect([refuse('a.b', 'c'), error, null, 'refused', { refused: 'yes' }].map(isRefusal)).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('a wait', () => {
  const over = new Error('over');

  test('ends as its work does', async () => {
    const { signal } = new AbortController();
    expect(await orAborted(Promise.resolve(1), signal)).toBe(1);
    await expect(orAborted(Promise.reject(over), signal)).rejects.toBe(over);
    expect(() => check(signal)).not.toThrow();
  });

  test('ends with its signal, before or during, with the signal’s reason', async () => {
    const own = new AbortController();
    const waiting = orAborted(new Promise(() => {}), own.signal);
    own.abort(over);
    await expect(waiting).rejects.toBe(over);
    await expect(orAborted(Promise.resolve(1), own.signal)).rejects.toBe(over);
    expect(() => check(own.signal)).toThrow(over);
  });

  test('of a clock ends with its signal too, and a signal that has fired is not slept through', async () => {
    const own = new AbortController();
    const sleeping = systemClock.sleep(1 << 30, own.signal);
    own.abort(over);
    await expect(sleeping).rejects.toBe(over);
    await expect(systemClock.sleep(0, own.signal)).rejects.toBe(over);
    await systemClock.sleep(0, new AbortController().signal);
  });

  test('with a deadline ends by it, or by the signal before it', async () => {
    const outer = new AbortController();
    using soon = deadline(outer.signal, 1, () => over);
    await expect(orAborted(new Promise(() => {}), soon.signal)).rejects.toBe(over);
    using late = deadline(outer.signal, 1 << 30, () => over);
    outer.abort(new Error('killed'));
    await expect(orAborted(new Promise(() => {}), late.signal)).rejects.toThrow('killed');
  });
});

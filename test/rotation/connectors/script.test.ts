/** What a program may say, byte by byte. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { longestAnswer, parseAnswer } from '../../../src/rotation/connectors/script/wire/answer.ts';

test('nothing, or one line of JSON', () => {
  expect(parseAnswer('')).toEqual({ words: '', class: undefined, each: undefined });
  expect(parseAnswer('\n')).toEqual({ words: '', class: undefined, each: undefined });
  expect(parseAnswer('{"words":"x","class":"locked","more":1}\n')).toEqual({
    words: 'x',
    class: 'locked',
    each: undefined,
  });
  expect(
    parseAnswer('{"each":[{"answer":"accepted"},{"answer":"unknown","class":"budget","words":"w"}]}')?.each,
  ).toEqual([
    { answer: 'accepted', class: undefined, words: '' },
    { answer: 'unknown', class: 'budget', words: 'w' },
  ]);
});

test('words are cut to what is stored', () => {
  expect(parseAnswer(JSON.stringify({ words: 'x'.repeat(900) }))?.words).toHaveLength(500);
});

test.each([
  '{}\n{}',
  'null',
  '[]',
  '"x"',
  '1',
  '{"words":1}',
  '{"class":null}',
  '{"each":{}}',
  '{"each":[1]}',
  '{"each":[{}]}',
  '{"each":[{"answer":"yes"}]}',
  '{"each":[{"answer":"accepted","words":1}]}',
  `{"each":[${Array.from({ length: 257 }, () => '{"answer":"unknown"}').join()}]}`,
  `{"words":"${'x'.repeat(longestAnswer)}"}`,
])('%.40s is no answer', (line) => {
  expect(parseAnswer(line)).toBeUndefined();
});

test('no output breaks the reader', () => {
  const answer = fc.record({ words: fc.anything(), class: fc.anything(), each: fc.anything() }, { requiredKeys: [] });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        answer.map((value) => JSON.stringify(value) ?? ''),
      ),
      (output) => {
        const said = parseAnswer(output);
        if (said !== undefined) expect(said.words.length).toBeLessThanOrEqual(500);
      },
    ),
    { numRuns: 500 },
  );
});

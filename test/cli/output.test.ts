import { expect, test } from 'vitest';
import { json, plain, table } from '../../src/cli/output.ts';

const nasty = 'a\u001b[2Jb\u009b31mc\u202ed\u2028e\u200bf\ng\u007fh\u{e0041}i';

test('what acts on a terminal is replaced in tables', () => {
  expect(plain(nasty)).toMatch(/^[a-i0-9JMm[\ufffd]*$/);
  expect(table([{ name: nasty }], ['name']).split('\n')).toHaveLength(2);
});

test('in JSON it is an escape, and the value is the same', () => {
  for (const indent of [undefined, 2]) {
    const written = json({ name: nasty, list: [1, 'grün'] }, indent);
    expect(written.replaceAll('\n', '')).toMatch(/^[^\p{Cc}\p{Cf}\u2028\u2029]*$/u);
    expect(JSON.parse(written)).toEqual({ name: nasty, list: [1, 'grün'] });
  }
});

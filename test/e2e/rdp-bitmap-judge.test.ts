/** FreeRDP's own library judges the picture decoder: thousands of random bitmaps, pointers and messages, none different. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../lab/run.ts';
import { difference, type JudgedCase } from '../protocol/rdp/bitmap/judged.ts';

const judge = join(import.meta.dirname, '..', 'peers', 'freerdp', 'judge.py');

test.each(['first', 'second'])('of two thousand random cases (seed %s) no pixel and no byte differs', async (seed) => {
  const ran = await run(['/usr/bin/python3', judge, seed, '2000']);
  expect(ran.stderr.replace(/^.*\[(ERROR|WARN)\].*\n/gm, '')).toBe('');
  expect(ran.code).toBe(0);
  const cases = ran.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as JudgedCase);
  expect(cases).toHaveLength(2000);
  const kinds = cases.map((each) => (each.kind === 'bitmap' ? `bitmap ${each.depth}` : each.kind));
  for (const kind of ['bitmap 8', 'bitmap 15', 'bitmap 16', 'bitmap 24', 'bitmap 32', 'pointer', 'bulk'])
    expect(kinds.filter((each) => each === kind).length).toBeGreaterThan(50);
  expect(cases.map((each, at) => [at, difference(each)]).filter(([, words]) => words !== undefined)).toEqual([]);
});

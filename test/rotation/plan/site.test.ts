/** Names of nodes, and what a node says under a later name of a value that it drew under an earlier one. */
import { expect, test } from 'vitest';
import { fold } from '../../../src/rotation/plan/fold.ts';
import { incarnationOf, isNodeName, nextIncarnation, siteOf } from '../../../src/rotation/plan/site.ts';
import { facts, key } from './ledger-notation.ts';

test.each(['a', 'paris', 'eu-west-1', 'x'.repeat(24)])('%s is a name', (name) => expect(isNodeName(name)).toBe(true));
test.each(['', 'A', '1a', '-a', 'a-', 'a--b', 'a.2', 'a_b', 'é', 'x'.repeat(25), 'a b'])('%j is none', (name) =>
  expect(isNodeName(name)).toBe(false),
);

test('a site goes on under the number after the highest that anybody has seen', () => {
  expect(nextIncarnation('paris', [])).toBe('paris');
  expect(nextIncarnation('paris', ['oslo', 'oslo.4'])).toBe('paris');
  expect(nextIncarnation('paris', ['paris'])).toBe('paris.2');
  expect(nextIncarnation('paris', ['paris.9', 'paris', 'paris.10', 'oslo.20'])).toBe('paris.11');
  expect(nextIncarnation('paris', ['paris.9'], 1_800_000_000)).toBe('paris.1800000000');
  expect(nextIncarnation('paris', ['paris.1800000000'], 1_800_000_000)).toBe('paris.1800000001');
  expect(nextIncarnation('paris', [], 1_800_000_000)).toBe('paris.1800000000');
  for (const node of ['paris', 'paris.2', 'paris.11']) {
    expect(siteOf(node)).toBe('paris');
    expect(nextIncarnation('paris', [node])).toBe(`paris.${incarnationOf(node) + 1}`);
  }
});

test('what a node says after it came back counts as its own word, and more than what it said before', () => {
  const known = facts(['r0 C', 'p1(r0,paris) P']);
  const said = (node: string, seq: number, status: 'C' | 'U' | 'F') => ({
    sigkey: key('p1'),
    node,
    seq,
    status,
    at: 0,
  });
  const statusAfter = (...outcomes: ReturnType<typeof said>[]) =>
    fold({ ...known, outcomes: [...known.outcomes, ...outcomes] }).status.get(key('p1'));
  expect(statusAfter(said('paris', 900, 'U'), said('paris.2', 1, 'C'))).toBe('C');
  expect(statusAfter(said('paris.2', 1, 'C'), said('paris', 900, 'U'))).toBe('C');
  expect(statusAfter(said('paris.10', 1, 'F'), said('paris.9', 5, 'C'))).toBe('F');
  expect(statusAfter(said('oslo', 5, 'C'))).toBe('P');
  expect(statusAfter(said('oslo', 5, 'U'))).toBe('U');
});

/** How long nothing is decided, and when another node's silence is long enough. */
import { expect, test } from 'vitest';
import { fold } from '../../../src/rotation/plan/fold.ts';
import { overdue, quietUntil } from '../../../src/rotation/plan/quiet.ts';
import { facts } from './ledger-notation.ts';

const hour = 3_600_000;
const given = facts(['r0 C', 'p1(r0,A) U', 'p2(r0,B) P', 'p3(r0,C) P']);

test('what is uncertain is waited for from when it was heard of here, whatever time its fact bears', () => {
  expect(quietUntil(given, () => hour, 22_000)).toBe(hour + 22_000);
  const outcomes = given.outcomes.map((outcome) => ({ ...outcome, at: 10 * hour }));
  expect(quietUntil({ ...given, outcomes }, () => hour, 22_000)).toBe(hour + 22_000);
});

test('where nothing is uncertain there is nothing to wait for; a decision does not end the wait', () => {
  expect(quietUntil(facts(['r0 C', 'p1(r0) F', 'p2(r0) C']), () => hour, 22_000)).toBe(0);
  const decided = {
    ...given,
    resolutions: [
      {
        account: 'account' as never,
        node: 'A',
        seq: 9,
        action: 'A',
        decision: { kind: 'root', root: null, seen: [] },
        at: 0,
      },
    ] as const,
  };
  expect(quietUntil(decided, () => hour, 22_000)).toBe(hour + 22_000);
});

test('a pending value of another node is given up when its node was silent for long enough; one’s own never', () => {
  const seen = fold(given);
  const heardAt = (fact: { readonly sigkey: string }): number => (fact.sigkey === 'p2' ? 0 : hour);
  expect(overdue(given, seen, 'A', heardAt, 120_000, 119_999)).toEqual([]);
  expect(overdue(given, seen, 'A', heardAt, 120_000, 120_000)).toEqual(['p2']);
  expect(overdue(given, seen, 'A', heardAt, 120_000, 2 * hour)).toEqual(['p2', 'p3']);
  expect(overdue(given, seen, 'B', heardAt, 120_000, 2 * hour)).toEqual(['p3']);
});

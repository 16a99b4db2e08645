/** Which node changes an account and which one resolves it: every case (B-15, B-18). */
import { expect, test } from 'vitest';
import {
  type Here,
  type Management,
  mayDecideHere,
  mayResolveHere,
  mayRotateHere,
  type PeerState,
} from '../../../src/rotation/plan/management.ts';

const any: Management = { managingNode: null, localFallback: true };
const parisOnly: Management = { managingNode: 'paris', localFallback: false };
const parisFirst: Management = { managingNode: 'paris', localFallback: true };
const paris: Here = { name: 'paris', ready: true };
const oslo: Here = { name: 'oslo', ready: true };
const alone: Here = { name: null, ready: true };
const setBack: Here = { name: 'paris', ready: false };
const peers = (states: Readonly<Record<string, PeerState>>): ReadonlyMap<string, PeerState> =>
  new Map(Object.entries(states));
const up = peers({ paris: 'up' });
const down = peers({ paris: 'down' });
const others = peers({ oslo: 'up', lima: 'down' });

test.each([
  ['any node, where the policy names none', any, oslo, up, { may: true, as: 'any' }],
  ['the only node, whatever a policy says', parisOnly, alone, peers({}), { may: true, as: 'any' }],
  ['the managing node', parisOnly, paris, others, { may: true, as: 'managing' }],
  [
    'another one, while the managing node is up',
    parisFirst,
    oslo,
    up,
    { may: false, because: 'not-managing', node: 'paris' },
  ],
  ['the same without fallback', parisOnly, oslo, up, { may: false, because: 'not-managing', node: 'paris' }],
  [
    'another one, while the managing node is down, with fallback',
    parisFirst,
    oslo,
    down,
    { may: true, as: 'fallback' },
  ],
  [
    'the same without fallback: it stays due',
    parisOnly,
    oslo,
    down,
    { may: false, because: 'managing-down', node: 'paris' },
  ],
  [
    'a managing node that nobody knows',
    parisOnly,
    oslo,
    peers({}),
    { may: false, because: 'managing-down', node: 'paris' },
  ],
  ['a node that was set back', parisOnly, setBack, others, { may: false, because: 'not-ready' }],
] as const)('may change: %s', (_, management, here, states, expected) => {
  expect(mayRotateHere(management, here, states)).toEqual(expected);
});

test.each([
  ['the managing node', parisOnly, paris, ['oslo', 'lima'], true],
  ['no other, even while it is down and may change accounts', parisFirst, oslo, ['paris'], false],
  ['without a managing node the first by name', any, { name: 'lima', ready: true }, ['oslo', 'paris'], true],
  ['and not the second', any, oslo, ['lima', 'paris'], false],
  ['the only node', parisOnly, alone, [], true],
  ['not one that was set back', parisOnly, setBack, ['oslo'], false],
] as const)('resolves: %s', (_, management, here, names, expected) => {
  expect(mayResolveHere(management, here, names)).toBe(expected);
});

test('of all nodes exactly one resolves, whatever the policy says', () => {
  const names = ['lima', 'oslo', 'paris'];
  for (const management of [any, parisOnly, parisFirst]) {
    const resolving = names.filter((name) =>
      mayResolveHere(
        management,
        { name, ready: true },
        names.filter((other) => other !== name),
      ),
    );
    expect(resolving).toHaveLength(1);
  }
});

test.each([
  ['the managing node', parisOnly, paris, others, { may: true, as: 'resolving', node: 'paris' }],
  ['the only node', parisOnly, alone, peers({}), { may: true, as: 'resolving', node: null }],
  [
    'not another one while that is up',
    parisFirst,
    oslo,
    up,
    { may: false, because: 'resolves-elsewhere', node: 'paris' },
  ],
  ['every other one while it is down', parisFirst, oslo, down, { may: true, as: 'stand-in', node: 'paris' }],
  ['also where no other may change accounts', parisOnly, oslo, down, { may: true, as: 'stand-in', node: 'paris' }],
  ['and where nobody knows it', parisOnly, oslo, peers({ lima: 'up' }), { may: true, as: 'stand-in', node: 'paris' }],
  [
    'without a managing node not the second by name',
    any,
    oslo,
    peers({ lima: 'up', paris: 'down' }),
    { may: false, because: 'resolves-elsewhere', node: 'lima' },
  ],
  [
    'unless the first is down',
    any,
    oslo,
    peers({ lima: 'down', paris: 'up' }),
    { may: true, as: 'stand-in', node: 'lima' },
  ],
  [
    'nobody on a node that was set back',
    parisOnly,
    setBack,
    others,
    { may: false, because: 'not-ready', node: 'paris' },
  ],
] as const)('a person may decide on: %s', (_, management, here, states, expected) => {
  expect(mayDecideHere(management, here, states)).toEqual(expected);
});

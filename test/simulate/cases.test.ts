/** Histories written by hand: the known cases, and the two holes that nobody closes by detecting conflicts alone. */
import { expect, test } from 'vitest';
import { mutated } from '../../simulate/mutations.ts';
import type { Rules } from '../../simulate/rules.ts';
import type { Fate } from '../../simulate/target.ts';
import { minute, play, type Played, type Script, second } from './stage.ts';

const rotate = { kind: 'rotate' } as const;
const well = { lost: 0, silentMismatch: 0, diverged: 0, broken: 0, unresolvedFlagged: 0, selfHealed: 0, faults: [] };
const goesWell = (landsAfter: number, answersAfter: number): Fate => ({ said: 'confirmed', landsAfter, answersAfter });

function broken(name: string): Rules {
  const rules = mutated(name);
  if (rules === undefined) throw new Error(`there is no mutation ${name}`);
  return rules;
}

function expectCurrent(played: Played, sigkey: string): void {
  expect(played.judgement, played.story).toMatchObject(well);
  expect(new Set(played.current)).toEqual(new Set([sigkey]));
  expect(new Set(played.conflicts)).toEqual(new Set(['none']));
}

test('Case 1: one after the other is no conflict', () => {
  const played = play(({ demand }) => {
    demand(1 * minute, 0, rotate);
    demand(5 * minute, 1, rotate);
  });
  expectCurrent(played, 'p2');
  expect(played.story).not.toContain('decides');
});

test('Case 2: two nodes at the same time are a conflict, and the one that the target has becomes current', () => {
  const played = play(
    ({ demand, cut }) => {
      cut(0, 3 * minute, 0, 1);
      demand(1 * minute, 0, rotate);
      demand(1 * minute, 1, rotate);
    },
    { fates: [goesWell(2_000, 4_000), goesWell(500, 4_000)] },
  );
  // Whose change came first landed last, whichever node that was.
  const landed = [...played.story.matchAll(/the target has (p\d)/g)].map((match) => match[1]);
  expect(landed).toHaveLength(2);
  expectCurrent(played, landed[1] ?? '');
  expect(played.story).toContain('decides (A)');
});

test('Case 3: a slow node that records its change last does not make it current when the other one landed after it', () => {
  const played = play(
    ({ demand, cut }) => {
      cut(0, 4 * minute, 0, 1);
      demand(1 * minute, 0, rotate);
      demand(1 * minute, 1, rotate);
    },
    { fates: [goesWell(8_000, 40_000), goesWell(15_000, 16_000)] },
  );
  const landed = [...played.story.matchAll(/the target has (p\d)/g)].map((match) => match[1]);
  expect(landed).toEqual(['p1', 'p2']);
  expectCurrent(played, 'p2');
});

test('Case 4: a change that was cut off and never landed leaves the old value current', () => {
  const played = play(({ demand }) => demand(1 * minute, 0, rotate), {
    fates: [{ said: 'uncertain', answersAfter: 2_000, landsAfter: undefined }],
  });
  expectCurrent(played, 'p0');
});

test('Case 4: a change that was cut off and lands a moment later is waited for', () => {
  const fates: Fate[] = [{ said: 'uncertain', answersAfter: 2_000, landsAfter: 15_000 }];
  const write = ({ demand }: Script): void => demand(1 * minute, 0, rotate);
  expectCurrent(play(write, { fates }), 'p1');
  expect(play(write, { fates, rules: broken('no-quiet-time') }).judgement).toMatchObject({ silentMismatch: 1 });
});

test('a process that dies while its change is landing: whoever comes later finds what the target has', () => {
  const played = play(
    ({ demand, kill }) => {
      demand(1 * minute, 1, rotate);
      kill(1 * minute + 6 * second, 1, 10 * minute);
    },
    { fates: [{ said: 'uncertain', answersAfter: 8_000, landsAfter: 19_000 }] },
  );
  expect(played.story).toContain('is killed in the middle of its work');
  expect(played.story).toContain('A waited long enough for word of p1 and calls it uncertain');
  expectCurrent(played, 'p1');
});

test('a target that does not end changes by itself: what is left of one is ended by name before anything is decided', () => {
  const fates: Fate[] = [{ said: 'uncertain', answersAfter: 2_000, landsAfter: 10 * minute }];
  const write = ({ demand }: Script): void => demand(1 * minute, 0, rotate);
  const target = { fence: 'sessions' } as const;
  expectCurrent(play(write, { fates, target }), 'p0');
  expect(play(write, { fates, target, rules: broken('no-quiet-time') }).judgement).toMatchObject({ silentMismatch: 1 });
});

test('a change that lands after every promised time is found at the next look, and healed', () => {
  const played = play(({ demand }) => demand(1 * minute, 0, rotate), {
    fates: [{ said: 'uncertain', answersAfter: 2_000, landsAfter: 10 * minute }],
  });
  expect(played.judgement, played.story).toMatchObject({ ...well, selfHealed: 1 });
  expect(new Set(played.current)).toEqual(new Set(['p1']));
});

test('a lying target: it says no and has changed the value, it says yes and has not', () => {
  const write = ({ demand }: Script): void => demand(1 * minute, 0, rotate);
  const no: Fate[] = [{ said: 'failed', answersAfter: 1_000, landsAfter: 500 }];
  const yes: Fate[] = [{ said: 'confirmed', answersAfter: 1_000, landsAfter: undefined }];
  expectCurrent(play(write, { fates: no }), 'p1');
  expectCurrent(play(write, { fates: yes }), 'p0');
  expect(play(write, { fates: no, rules: broken('believe-refusals') }).judgement).toMatchObject({ silentMismatch: 1 });
  const believed = play(write, { fates: yes, rules: broken('believe-acknowledgements') });
  expect(believed.judgement).toMatchObject({ silentMismatch: 1 });
});

test('two decisions count in the order in which they were made, although the second clock is an hour behind', () => {
  const skews = [60 * minute, -60 * minute];
  // Within the grace time old and new work: the engine calls the new value uncertain, and whoever manages has to decide.
  const target = { graceMs: 20 * second, tries: 'logins' } as const;
  const fates: Fate[] = [1, 2].map(() => ({ said: 'uncertain', answersAfter: 2_000, landsAfter: 1_000 }));
  const write = ({ demand, world }: Script): void => {
    demand(1 * minute, 0, rotate);
    world.agenda.plan(8 * minute, () => {
      for (const node of world.nodes) node.managing = node.index === 1;
    });
    demand(10 * minute, 1, rotate);
  };
  const played = play(write, { skews, fates, target });
  expect([...played.story.matchAll(/(\w) decides \(A\) that (p\d)/g)].map((match) => match.slice(1))).toEqual([
    ['A', 'p1'],
    ['B', 'p2'],
  ]);
  expectCurrent(played, 'p2');
  const byClock = play(write, { skews, fates, target, rules: broken('order-decisions-by-clock') });
  expect(byClock.judgement).toMatchObject({ silentMismatch: 1 });
});

test('two nodes that prove their keys at once do not take each other’s away', () => {
  const target = { kind: 'keys' } as const;
  const fates = [goesWell(500, 1_000), goesWell(500, 1_000)];
  // Both draw before they hear of each other, and hear of each other before they take keys away.
  const write = ({ demand, cut }: Script): void => {
    cut(1 * minute, 1 * minute + 3_500, 0, 1);
    demand(1 * minute, 0, rotate);
    demand(1 * minute, 1, rotate);
  };
  const seeds = Array.from({ length: 40 }, (_, seed) => seed);
  const lost = (rules?: Rules): number =>
    seeds.filter((seed) => play(write, { target, fates, seed, ...(rules && { rules }) }).judgement.lost > 0).length;
  expect(lost()).toBe(0);
  expect(lost(broken('retire-unsettled-keys'))).toBeGreaterThan(0);
});

/** The table of cases: what facts say together. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Facts } from '../../../src/rotation/plan/facts.ts';
import { type Conflict, fold } from '../../../src/rotation/plan/fold.ts';
import { decides, facts, key, type Resolved } from './ledger-notation.ts';

interface Case {
  readonly name: string;
  readonly lines: readonly string[];
  readonly resolutions?: readonly Resolved[];
  readonly root: string | null;
  readonly conflict: Conflict;
  readonly candidates: string;
  readonly history: string;
  readonly workingHistory?: string;
  readonly busy?: boolean;
  readonly missing?: string;
}

const confirm = (sigkey: string): Resolved => ({ action: 'M', decision: { kind: 'confirm', sigkey: key(sigkey) } });
const reject = (sigkey: string): Resolved => ({ action: 'M', decision: { kind: 'reject', sigkey: key(sigkey) } });
const v6 = ['r0 C', 'p1(r0,A) C', 'p2(r0,B) C'];

const cases: readonly Case[] = [
  {
    name: 'V1 a pending value leaves the old one current',
    lines: ['r0 C', 'p1(r0) P'],
    root: 'r0',
    conflict: 'none',
    candidates: 'r0',
    history: 'r0',
    busy: true,
  },
  {
    name: 'V2 a confirmed value becomes current',
    lines: ['r0 C', 'p1(r0) C'],
    root: 'p1',
    conflict: 'none',
    candidates: 'p1',
    history: 'r0,p1',
  },
  {
    name: 'V3 a failed value goes to the failed ones',
    lines: ['r0 C', 'p1(r0) F'],
    root: 'r0',
    conflict: 'none',
    candidates: 'r0',
    history: 'r0',
    workingHistory: 'p1',
  },
  {
    name: 'V4 (Case 4) an uncertain value is an incomplete conflict',
    lines: ['r0 C', 'p1(r0) U'],
    root: 'r0',
    conflict: 'incomplete',
    candidates: 'r0,p1',
    history: 'r0',
  },
  {
    name: 'V5 (Case 1) one after the other is no conflict',
    lines: ['r0 C', 'p1(r0,A) C', 'p2(p1,B) C'],
    root: 'p2',
    conflict: 'none',
    candidates: 'p2',
    history: 'r0,p1,p2',
  },
  {
    name: 'V6 (Case 2) two children of one parent are a tree conflict',
    lines: v6,
    root: 'r0',
    conflict: 'tree',
    candidates: 'p1,p2',
    history: 'r0',
  },
  {
    name: 'V7 (Case 2) before the other node is heard, each believes its own',
    lines: ['r0 C', 'p1(r0,A) C'],
    root: 'p1',
    conflict: 'none',
    candidates: 'p1',
    history: 'r0,p1',
  },
  {
    name: 'V8 (Case 3) the other order says the same',
    lines: ['r0 C', 'p2(r0,B) C', 'p1(r0,A) C'],
    root: 'r0',
    conflict: 'tree',
    candidates: 'p2,p1',
    history: 'r0',
  },
  {
    name: 'V9 uncertain below a new current value',
    lines: ['r0 C', 'p1(r0) C', 'p2(p1) U'],
    root: 'p1',
    conflict: 'incomplete',
    candidates: 'p1,p2',
    history: 'r0,p1',
  },
  {
    name: 'V10 uncertain and confirmed side by side',
    lines: ['r0 C', 'p1(r0) U', 'p2(r0) C'],
    root: 'r0',
    conflict: 'tree+incomplete',
    candidates: 'p1,p2',
    history: 'r0',
  },
  {
    name: 'V11 confirmed below uncertain',
    lines: ['r0 C', 'p1(r0) U', 'p2(p1) C'],
    root: 'r0',
    conflict: 'incomplete',
    candidates: 'r0,p2',
    history: 'r0',
  },
  {
    name: 'V12 a failed sibling is no conflict',
    lines: ['r0 C', 'p1(r0,A) C', 'p2(r0,B) F'],
    root: 'p1',
    conflict: 'none',
    candidates: 'p1',
    history: 'r0,p1',
    workingHistory: 'p2',
  },
  {
    name: 'V13 a conflict that one side went on from',
    lines: [...v6, 'p3(p1) C'],
    root: 'r0',
    conflict: 'tree',
    candidates: 'p2,p3',
    history: 'r0',
  },
  {
    name: 'V14 a pending sibling is a tree conflict to wait for',
    lines: ['r0 C', 'p1(r0,A) C', 'p2(r0,B) P'],
    root: 'r0',
    conflict: 'tree',
    candidates: 'p1',
    history: 'r0',
    busy: true,
  },
  {
    name: 'V15 a child whose parent has not arrived',
    lines: ['r0 C', 'p2(p1) C'],
    root: 'r0',
    conflict: 'tree',
    candidates: 'r0,p2',
    history: 'r0',
    missing: 'p1',
  },
  {
    name: 'V16 two time-outs',
    lines: ['r0 C', 'p1(r0) U', 'p2(r0) U'],
    root: 'r0',
    conflict: 'tree+incomplete',
    candidates: 'r0,p1,p2',
    history: 'r0',
  },
  {
    name: 'V17 the first value ever is uncertain',
    lines: ['p1 U'],
    root: null,
    conflict: 'incomplete',
    candidates: 'p1',
    history: '',
  },
  {
    name: 'V18 the first value ever failed',
    lines: ['p1 F'],
    root: null,
    conflict: 'none',
    candidates: '',
    history: '',
    workingHistory: 'p1',
  },
  {
    name: 'V19 a tree conflict resolved for one value',
    lines: v6,
    resolutions: [decides('p2', 'r0,p1,p2')],
    root: 'p2',
    conflict: 'none',
    candidates: 'p2',
    history: 'r0,p1,p2',
  },
  {
    name: 'V4 resolved for the old value',
    lines: ['r0 C', 'p1(r0) U'],
    resolutions: [decides('r0', 'r0,p1')],
    root: 'r0',
    conflict: 'none',
    candidates: 'r0',
    history: 'r0',
    workingHistory: 'p1',
  },
  {
    name: 'V4 resolved for the new value',
    lines: ['r0 C', 'p1(r0) U'],
    resolutions: [decides('p1', 'r0,p1')],
    root: 'p1',
    conflict: 'none',
    candidates: 'p1',
    history: 'r0,p1',
  },
  {
    name: 'V10 resolved for the uncertain value',
    lines: ['r0 C', 'p1(r0) U', 'p2(r0) C'],
    resolutions: [decides('p1', 'r0,p1,p2')],
    root: 'p1',
    conflict: 'none',
    candidates: 'p1',
    history: 'r0,p1,p2',
  },
  {
    name: 'tree and incomplete resolved for the confirmed value',
    lines: ['r0 C', 'p1(r0) C', 'p2(r0) U'],
    resolutions: [decides('p1', 'r0,p1,p2')],
    root: 'p1',
    conflict: 'none',
    candidates: 'p1',
    history: 'r0,p1',
    workingHistory: 'p2',
  },
  {
    name: 'V4 confirmed by hand',
    lines: ['r0 C', 'p1(r0) U'],
    resolutions: [confirm('p1')],
    root: 'p1',
    conflict: 'none',
    candidates: 'p1',
    history: 'r0,p1',
  },
  {
    name: 'V4 rejected by hand',
    lines: ['r0 C', 'p1(r0) U'],
    resolutions: [reject('p1')],
    root: 'r0',
    conflict: 'none',
    candidates: 'r0',
    history: 'r0',
    workingHistory: 'p1',
  },
  {
    name: 'V6 blanked',
    lines: v6,
    resolutions: [decides(null, 'r0,p1,p2', 'B')],
    root: null,
    conflict: 'none',
    candidates: '',
    history: 'r0,p1,p2',
  },
  {
    name: 'V6 blanked, then randomized',
    lines: [...v6, 'n1 C'],
    resolutions: [decides(null, 'r0,p1,p2', 'B')],
    root: 'n1',
    conflict: 'none',
    candidates: 'n1',
    history: 'r0,p1,p2,n1',
  },
  {
    name: 'V6 forced: the latest is current until the new one is',
    lines: [...v6, 'n1(p2) P'],
    resolutions: [decides('p2', 'r0,p1,p2', 'F')],
    root: 'p2',
    conflict: 'none',
    candidates: 'p2',
    history: 'r0,p1,p2',
    busy: true,
  },
  {
    name: 'V25 a decision that had not seen a sibling is a conflict again',
    lines: [...v6, 'p3(r0,B) C'],
    resolutions: [decides('p1', 'r0,p1,p2')],
    root: 'p1',
    conflict: 'tree',
    candidates: 'p1,p3',
    history: 'r0,p1,p2',
  },
  {
    name: 'V26 a decision that had not seen a child of the loser',
    lines: [...v6, 'p3(p2,B) C'],
    resolutions: [decides('p1', 'r0,p1,p2')],
    root: 'p1',
    conflict: 'tree',
    candidates: 'p1,p3',
    history: 'r0,p1,p2',
  },
  {
    name: 'a decision cannot decide what was pending',
    lines: [...v6, 'p3(r0,B) P'],
    resolutions: [decides('p1', 'r0,p1,p2,p3')],
    root: 'p1',
    conflict: 'tree',
    candidates: 'p1',
    history: 'r0,p1,p2',
    busy: true,
  },
];

for (const each of cases) {
  test(each.name, () => {
    const seen = fold(facts(each.lines, each.resolutions));
    expect({
      root: seen.root,
      conflict: seen.conflict,
      candidates: seen.candidates.join(),
      history: seen.history.join(),
      workingHistory: seen.workingHistory.join(),
      busy: seen.busy,
      missing: seen.missing.join(),
    }).toEqual({
      root: each.root,
      conflict: each.conflict,
      candidates: each.candidates,
      history: each.history,
      workingHistory: each.workingHistory ?? '',
      busy: each.busy ?? false,
      missing: each.missing ?? '',
    });
  });
}

test('the last word is the one of the node that drew the value; another node can only call it uncertain', () => {
  const both = facts(['r0 C', 'p1(r0,A) P']);
  const word = (node: string, seq: number, status: 'C' | 'U' | 'F') => ({
    sigkey: key('p1'),
    node,
    seq,
    status,
    at: 0,
  });
  const status = (outcomes: Facts['outcomes']) =>
    fold({ ...both, outcomes: [...both.outcomes, ...outcomes] }).status.get(key('p1'));
  expect(status([word('B', 9, 'C')])).toBe('P');
  expect(status([word('B', 9, 'F')])).toBe('P');
  expect(status([word('B', 9, 'U')])).toBe('U');
  expect(status([word('A', 5, 'C'), word('B', 9, 'U')])).toBe('C');
  expect(status([word('B', 9, 'U'), word('A', 5, 'C')])).toBe('C');
  expect(status([word('A', 7, 'U'), word('A', 5, 'C')])).toBe('U');
});

/** Any facts that nodes could produce, and many that they could not. */
const anyFacts = fc
  .array(
    fc.record({
      parent: fc.integer({ min: -2, max: 12 }),
      status: fc.constantFrom('P', 'C', 'U', 'F'),
      node: fc.constantFrom('A', 'B', 'C'),
    }),
    { maxLength: 12 },
  )
  .chain((values) => {
    const lines = values.map(
      ({ parent, status, node }, at) =>
        `p${at}(${parent < 0 ? 'none' : `p${parent === at ? at + 1 : parent}`},${node}) ${status}`,
    );
    const names = values.map((_, at) => `p${at}`);
    const decision = fc.oneof(
      fc
        .record({ root: fc.constantFrom(null, ...names), seen: fc.subarray(names) })
        .map(({ root, seen }) => decides(root, seen.join())),
      ...(names.length > 0 ? [fc.constantFrom(...names).map(confirm), fc.constantFrom(...names).map(reject)] : []),
    );
    return fc.array(decision, { maxLength: 3 }).map((resolutions) => facts(lines, resolutions));
  });

test('every value is in exactly one place, and only a confirmed one is current', () => {
  fc.assert(
    fc.property(anyFacts, (given) => {
      const seen = fold(given);
      const placed = [...seen.history, ...seen.working, ...seen.workingHistory].sort();
      expect(placed).toEqual(given.randomizations.map((node) => node.sigkey).sort());
      if (seen.root !== null) {
        expect(seen.status.get(seen.root)).toBe('C');
        expect(seen.history).toContain(seen.root);
      }
      for (const sigkey of seen.history) expect(seen.status.get(sigkey)).toBe('C');
      if (seen.working.some((sigkey) => seen.status.get(sigkey) === 'U')) expect(seen.conflict).toMatch(/incomplete/);
    }),
    { numRuns: 3000 },
  );
});

test('the order in which facts arrive, and arriving twice, changes nothing', () => {
  fc.assert(
    fc.property(anyFacts, fc.infiniteStream(fc.nat()), (given, stream) => {
      const shuffled = <T>(list: readonly T[]): T[] =>
        [...list, ...list.slice(0, 2)]
          .map((item) => ({ item, at: stream.next().value ?? 0 }))
          .sort((a, b) => a.at - b.at)
          .map(({ item }) => item);
      const other = fold({
        randomizations: shuffled(given.randomizations),
        outcomes: shuffled(given.outcomes),
        resolutions: shuffled(given.resolutions),
      });
      const one = fold(given);
      expect({ ...other, status: undefined }).toEqual({ ...one, status: undefined });
      expect(Object.fromEntries(other.status)).toEqual(Object.fromEntries(one.status));
    }),
    { numRuns: 2000 },
  );
});

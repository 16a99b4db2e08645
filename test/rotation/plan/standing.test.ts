/** Whose word counts when nodes did not know of each other, and when their clocks are wrong. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Sigkey } from '../../../src/base/ids.ts';
import { canonical } from '../../../src/rotation/plan/canonical.ts';
import type { Decision, Facts, ResolutionFact } from '../../../src/rotation/plan/facts.ts';
import { fold } from '../../../src/rotation/plan/fold.ts';
import { decideRoot, decideValue } from '../../../src/rotation/plan/resolve.ts';
import { account, facts, key } from './ledger-notation.ts';

const hour = 3_600_000;
const conflict = facts(['r0 C', 'p1(r0,A) C', 'p2(r0,B) C']);

function by(node: string, seq: number, at: number, decision: Decision): ResolutionFact {
  return { account, node, seq, action: 'M', decision, at };
}

function with_(given: Facts, ...resolutions: readonly ResolutionFact[]): Facts {
  return { ...given, resolutions: [...given.resolutions, ...resolutions] };
}

function root(given: Facts, name: string | null): Decision {
  return decideRoot(given, name === null ? null : key(name));
}

test('a decision that knew of another one replaces it, whatever their clocks say', () => {
  const first = with_(conflict, by('A', 1, hour, root(conflict, 'p1')));
  const second = with_(first, by('B', 1, -hour, root(first, 'p2')));
  expect(fold(second)).toMatchObject({ root: 'p2', conflict: 'none', candidates: ['p2'] });
  const third = with_(second, by('A', 2, hour, root(second, 'p1')));
  expect(fold(third)).toMatchObject({ root: 'p1', conflict: 'none' });
});

test('a node knows its own earlier decisions, also where it did not write that down', () => {
  const seen = ['r0', 'p1', 'p2'].map(key);
  const given = with_(
    conflict,
    by('A', 2, 0, { kind: 'root', root: key('p2'), seen }),
    by('A', 1, hour, { kind: 'root', root: key('p1'), seen }),
  );
  expect(fold(given)).toMatchObject({ root: 'p2', conflict: 'none' });
});

test('two decisions that did not know of each other are a conflict if they differ, and none if they agree', () => {
  const differ = with_(conflict, by('A', 1, 1, root(conflict, 'p1')), by('B', 1, 2, root(conflict, 'p2')));
  expect(fold(differ)).toMatchObject({ conflict: 'tree', candidates: ['p1', 'p2'] });
  const agree = with_(conflict, by('A', 1, 1, root(conflict, 'p1')), by('B', 1, 2, root(conflict, 'p1')));
  expect(fold(agree)).toMatchObject({ root: 'p1', conflict: 'none' });
  const settled = with_(differ, by('C', 1, 0, root(differ, 'p1')));
  expect(fold(settled)).toMatchObject({ root: 'p1', conflict: 'none', candidates: ['p1'] });
});

test('of a parent and its child that two decisions name, both are candidates, and neither is walked to', () => {
  const chain = facts(['r0 C', 'p1(r0,A) U', 'p2(p1,B) C']);
  const differ = with_(chain, by('A', 1, 1, root(chain, 'p1')), by('B', 1, 2, root(chain, 'p2')));
  expect(fold(differ)).toMatchObject({ conflict: 'tree', candidates: ['p1', 'p2'] });
});

test('blanking and a decision for a value that did not know of each other leave that value to be tried', () => {
  const differ = with_(conflict, by('A', 1, 1, root(conflict, 'p1')), by('B', 1, 2, root(conflict, null)));
  expect(fold(differ)).toMatchObject({ conflict: 'tree', candidates: ['p1'] });
});

test('what was current once stays in the history when something else is decided later', () => {
  const unsure = facts(['r0 C', 'p1(r0) U']);
  const first = with_(unsure, by('A', 1, 1, root(unsure, 'p1')));
  const second = with_(first, by('A', 2, 2, root(first, 'r0')));
  expect(fold(second)).toMatchObject({ root: 'r0', conflict: 'none', history: ['r0', 'p1'], workingHistory: [] });
});

test('a decision for a value that has not arrived is waited for, and changes nothing yet', () => {
  const whole = with_(conflict, by('A', 1, 1, root(conflict, 'p2')));
  const partly = { ...whole, randomizations: whole.randomizations.filter(({ sigkey }) => sigkey !== 'p2') };
  const seen = fold(partly);
  expect(seen).toMatchObject({ root: 'p1', conflict: 'tree', missing: ['p2'], history: ['r0', 'p1'] });
  expect(seen.status.has(key('p2'))).toBe(false);
  expect(fold(whole)).toMatchObject({ root: 'p2', conflict: 'none', missing: [] });
});

test('a value that was given up as unproven and that its own node had proved is a conflict again, until that is weighed', () => {
  const unsure = facts(['r0 C', 'p1(r0,B) P']);
  const calledUncertain = { sigkey: key('p1'), node: 'A', seq: 9, status: 'U', at: 0 } as const;
  const given: Facts = { ...unsure, outcomes: [...unsure.outcomes, calledUncertain] };
  const decided = with_(given, by('A', 10, 1, root(given, 'r0')));
  expect(fold(decided)).toMatchObject({ root: 'r0', conflict: 'none', workingHistory: ['p1'] });
  const proved = { sigkey: key('p1'), node: 'B', seq: 1, status: 'C', at: 0 } as const;
  const late: Facts = { ...decided, outcomes: [...decided.outcomes, proved] };
  expect(fold(late)).toMatchObject({ root: 'r0', conflict: 'incomplete', candidates: ['r0', 'p1'] });
  const weighed = with_(late, by('A', 11, 2, root(late, 'r0')));
  expect(fold(weighed)).toMatchObject({ root: 'r0', conflict: 'none', history: ['r0', 'p1'] });
});

test('a decision does not count as seen what came after the facts that it rests on', () => {
  const before = fold(conflict);
  const more = facts(['r0 C', 'p1(r0,A) C', 'p2(r0,B) C', 'p3(r0,B) C']);
  expect(decideRoot(more, key('p1'), before)).toMatchObject({ seen: ['r0', 'p1', 'p2'] });
});

test('of two words on one value that did not know of each other and differ, neither counts', () => {
  const unsure = facts(['r0 C', 'p1(r0) U']);
  const confirm = by('A', 9, 1, decideValue(unsure, 'confirm', key('p1')));
  const reject = by('B', 1, 0, decideValue(unsure, 'reject', key('p1')));
  expect(fold(with_(unsure, confirm, reject))).toMatchObject({ root: 'r0', conflict: 'incomplete' });
  const corrected = by('B', 1, -hour, decideValue(with_(unsure, confirm), 'reject', key('p1')));
  expect(fold(with_(unsure, confirm, corrected))).toMatchObject({
    root: 'r0',
    conflict: 'none',
    workingHistory: ['p1'],
  });
});

test.each([
  ['confirm', 'F'],
  ['reject', 'C'],
] as const)('a person’s %s and the proof of its own node that says %s make the value uncertain', (kind, status) => {
  const unsure = facts(['r0 C', `p1(r0) ${status}`]);
  const said = with_(unsure, by('B', 1, 1, decideValue(unsure, kind, key('p1'))));
  expect(fold(said)).toMatchObject({ root: 'r0', conflict: 'incomplete', candidates: ['r0', 'p1'] });
  const decided = with_(said, by('A', 99, 2, root(said, 'r0')));
  expect(fold(decided)).toMatchObject({ root: 'r0', conflict: 'none' });
  expect(fold(decided).history.includes(key('p1'))).toBe(status === 'C');
});

test('a pending value is neither confirmed nor rejected by hand: its connector is at work', () => {
  const pending = facts(['r0 C', 'p1(r0) P']);
  const said = with_(pending, by('B', 1, 1, decideValue(pending, 'confirm', key('p1'))));
  expect(fold(said)).toMatchObject({ root: 'r0', busy: true });
});

/** Nodes that decide with what they know, in any order and partly without knowing of each other. */
const anyDecisions = fc
  .array(
    fc.record({
      parent: fc.integer({ min: -1, max: 5 }),
      status: fc.constantFrom('P', 'C', 'U', 'F'),
      node: fc.constantFrom('A', 'B', 'C'),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .chain((values) => {
    const lines = values.map(({ parent, status, node }, at) => {
      const above = parent < 0 || parent >= at ? 'none' : `p${parent}`;
      return `p${at}(${above},${node}) ${status}`;
    });
    const step = fc.record({
      node: fc.constantFrom('A', 'B', 'C'),
      at: fc.integer({ min: -hour, max: hour }),
      kind: fc.constantFrom('root', 'confirm', 'reject'),
      value: fc.integer({ min: -1, max: values.length - 1 }),
      knows: fc.integer({ min: 0, max: 7 }),
    });
    return fc.array(step, { maxLength: 6 }).map((steps) => {
      let given = facts(lines);
      for (const [seq, { node, at, kind, value, knows }] of steps.entries()) {
        const known = { ...given, resolutions: given.resolutions.filter((one, n) => n < knows || one.node === node) };
        const sigkey: Sigkey | null = value < 0 ? null : key(`p${value}`);
        const decision =
          kind === 'root' || sigkey === null ? decideRoot(known, sigkey) : decideValue(known, kind, sigkey);
        given = with_(given, by(node, 100 + seq, at, decision));
      }
      return given;
    });
  });

test('whatever nodes decide, every value is in one place, a confirmed one is current, and the order does not matter', () => {
  fc.assert(
    fc.property(anyDecisions, fc.infiniteStream(fc.nat()), (given, stream) => {
      const seen = fold(given);
      const placed = [...seen.history, ...seen.working, ...seen.workingHistory].sort();
      expect(placed).toEqual(given.randomizations.map(({ sigkey }) => sigkey).sort());
      for (const sigkey of seen.history) expect(seen.status.get(sigkey)).toBe('C');
      if (seen.root !== null) expect(seen.history).toContain(seen.root);
      if (seen.conflict === 'none' && !seen.busy)
        expect(seen.candidates).toEqual(seen.root === null ? [] : [seen.root]);
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
      expect(canonical(other)).toBe(canonical(seen));
    }),
    { numRuns: 2000 },
  );
});

test('a decision of somebody who knows everything always settles what is not pending', () => {
  fc.assert(
    fc.property(anyDecisions, fc.nat(), (given, pick) => {
      const before = fold(given);
      const from = before.candidates.length > 0 ? before.candidates : [null];
      const chosen = from[pick % from.length] ?? null;
      const after = fold(with_(given, by('D', 1, -2 * hour, decideRoot(given, chosen))));
      if (before.busy) return;
      expect(after).toMatchObject({ root: chosen, conflict: 'none' });
    }),
    { numRuns: 2000 },
  );
});

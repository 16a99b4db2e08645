/** The next step of a conflict after a try that decided nothing: what sticks, and what is tried again when. */
import { expect, test } from 'vitest';
import type { AccountId, Sigkey } from '../../../src/base/ids.ts';
import type { Facts } from '../../../src/rotation/plan/facts.ts';
import { fold } from '../../../src/rotation/plan/fold.ts';
import {
  budgetMs,
  type ConflictQuestion,
  type ManualReason,
  resolutionStep,
  retryMs,
  silentTries,
  type Verdict,
} from '../../../src/rotation/plan/resolve.ts';

const account = 'account' as AccountId;
const [old, cut] = ['old', 'cut'] as unknown as readonly [Sigkey, Sigkey];
const facts: Facts = {
  randomizations: [
    { sigkey: old, account, parent: null, node: 'a', createdAt: 1 },
    { sigkey: cut, account, parent: old, node: 'a', createdAt: 2 },
  ],
  outcomes: [
    { sigkey: old, node: 'a', seq: 1, status: 'C', at: 1 },
    { sigkey: cut, node: 'a', seq: 2, status: 'U', at: 2 },
  ],
  resolutions: [],
};

function after(verdict: Verdict, passed: number, count = 1): ReturnType<typeof resolutionStep> {
  const question: ConflictQuestion = {
    facts,
    fold: fold(facts),
    automatic: true,
    targetAdministrator: false,
    managing: true,
    nodes: 'here',
    quietUntil: 0,
    lastTry: { at: 1_000, verdict, count },
    now: 1_000 + passed,
  };
  return resolutionStep(question);
}

test('what the target itself said sticks while the facts are the same', () => {
  for (const because of ['none-accepted', 'several-accepted'] as const)
    expect(after({ kind: 'manual', because }, 10 * budgetMs)).toEqual({ kind: 'manual', because });
});

test('a reason that lay with us is gone when its cause is', () => {
  const reasons: ManualReason[] = ['switched-off', 'target-administrator', 'nodes-inconsistent'];
  for (const because of reasons)
    expect(after({ kind: 'manual', because }, 1), because).toMatchObject({ kind: 'verify', candidates: [cut, old] });
});

test('a silent target is asked again for ever, at distances that grow to an hour; between those a person may decide', () => {
  const silent = { kind: 'again', because: 'silent', rejected: [] } as const;
  expect(after(silent, retryMs - 1)).toMatchObject({ kind: 'wait', because: 'retry' });
  expect(after(silent, retryMs)).toMatchObject({ kind: 'verify' });
  let before = retryMs;
  for (let count = silentTries; count < silentTries + 40; count++) {
    expect(after(silent, before - 1, count)).toEqual({ kind: 'manual', because: 'target-silent' });
    let distance = before;
    while (distance < 2 * 3_600_000 && after(silent, distance, count).kind !== 'verify') distance += 1_000;
    expect(distance).toBeLessThanOrEqual(3_600_000);
    before = distance;
  }
  expect(before).toBe(3_600_000);
});

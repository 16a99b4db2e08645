/** from answer and evidence to status, over every combination. */
import { expect, test } from 'vitest';
import { type Evidence, judge, needsOld } from '../../../src/rotation/plan/verdict.ts';

const all: Evidence[] = [];
for (const said of ['confirmed', 'failed', 'uncertain', 'unsent'] as const)
  for (const fresh of ['accepted', 'rejected', 'unknown'] as const)
    for (const old of ['accepted', 'rejected', 'unknown', 'none'] as const)
      for (const oldMustFail of [false, true])
        for (const fenced of [false, true])
          for (const durable of [false, true]) all.push({ said, fresh, old, oldMustFail, fenced, durable });

test('confirmed needs a login with the new value, and after an error or for keys that the old one is refused', () => {
  for (const evidence of all.filter((one) => judge(one) === 'C')) {
    expect(evidence.fresh).toBe('accepted');
    expect(evidence.said).not.toBe('unsent');
    if (evidence.said !== 'confirmed' || evidence.oldMustFail) expect(['rejected', 'none']).toContain(evidence.old);
  }
});

test('failed needs that nothing was sent, or that the old value works, the new one does not, and nothing can still land', () => {
  for (const evidence of all.filter((one) => judge(one) === 'F' && one.said !== 'unsent')) {
    expect(evidence).toMatchObject({ fresh: 'rejected', fenced: true });
    expect(evidence.old === 'accepted' || (evidence.old === 'none' && evidence.said === 'failed')).toBe(true);
    expect(evidence.said).not.toBe('confirmed');
  }
});

test('what could not be asked about is uncertain, unless nothing was sent', () => {
  for (const evidence of all.filter((one) => one.fresh === 'unknown'))
    expect(judge(evidence)).toBe(evidence.said === 'unsent' ? 'F' : 'U');
});

test('a confirmed change is not followed by a login with the old password, which would count against the account', () => {
  expect(needsOld('confirmed', 'accepted', false)).toBe(false);
  expect(needsOld('unsent', 'unknown', true)).toBe(false);
  expect([
    needsOld('confirmed', 'accepted', true),
    needsOld('failed', 'accepted', false),
    needsOld('confirmed', 'rejected', false),
  ]).toEqual([true, true, true]);
});

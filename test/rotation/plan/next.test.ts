/** What is to be done, as a table. */
import { expect, test } from 'vitest';
import { fold } from '../../../src/rotation/plan/fold.ts';
import { plan, type Question, retryMs } from '../../../src/rotation/plan/next.ts';
import { facts } from './ledger-notation.ts';

const hour = 3_600_000;
const usual: Question = {
  fold: fold(facts(['r0 C'])),
  settings: { enabled: true, connector: true, rotateAfterSession: true, skipWhileInUse: true },
  uses: [{ kind: 'session', since: hour, releasedAt: 2 * hour }],
  attempts: [],
  currentSince: 0,
  lease: null,
  demanded: false,
  now: 2 * hour + 1,
};
const settings = (change: Partial<Question['settings']>): Partial<Question> => ({
  settings: { ...usual.settings, ...change },
});
const open = { kind: 'session', since: hour, releasedAt: null } as const;
const failed = (at: number) => ({ trigger: 'post-session', at, done: false });
const due = { kind: 'randomize', trigger: 'post-session' };
const nothing = (because: string) => ({ kind: 'nothing', because });

const table: readonly (readonly [string, Partial<Question>, object])[] = [
  ['a session ended after the value was set', {}, due],
  ['the value was set after the session', { currentSince: 3 * hour }, nothing('not-due')],
  ['the account is not changed after sessions', settings({ rotateAfterSession: false }), nothing('not-due')],
  ['another session goes on', { uses: [...usual.uses, open] }, nothing('in-use')],
  [
    'another session goes on, and use does not matter',
    { uses: [...usual.uses, open], ...settings({ skipWhileInUse: false }) },
    nothing('in-use'),
  ],
  ['a checkout goes on', { uses: [...usual.uses, { ...open, kind: 'checkout' }] }, nothing('in-use')],
  ['nothing is recorded', { currentSince: null }, nothing('nothing-recorded')],
  ['the policy forbids it', settings({ enabled: false }), nothing('disabled')],
  ['there is no connector', settings({ connector: false }), nothing('no-connector')],
  ['the account is conflicted', { fold: fold(facts(['r0 C', 'p1(r0) U'])) }, nothing('conflicted')],
  ['conflicted, and demanded', { fold: fold(facts(['r0 C', 'p1(r0) U'])), demanded: true }, nothing('conflicted')],
  ['demanded', { demanded: true, uses: [] }, { kind: 'randomize', trigger: 'on-demand' }],
  ['demanded while in use', { demanded: true, uses: [open] }, nothing('in-use')],
  [
    'demanded while in use, which does not matter',
    { demanded: true, uses: [open], ...settings({ skipWhileInUse: false }) },
    { kind: 'randomize' },
  ],
  ['somebody is at work', { lease: { sigkey: null, expiresAt: 3 * hour } }, { kind: 'wait', until: 3 * hour }],
  [
    'pending under a live lease',
    { fold: fold(facts(['r0 C', 'p1(r0) P'])), lease: { sigkey: null, expiresAt: 3 * hour } },
    { kind: 'wait' },
  ],
  [
    'pending, and the lease has run out',
    { fold: fold(facts(['r0 C', 'p1(r0) P'])) },
    { kind: 'time-out', sigkey: 'p1' },
  ],
  ['a try failed just now', { attempts: [failed(2 * hour)] }, { kind: 'wait', until: 2 * hour + retryMs }],
  ['a try failed half an hour ago', { attempts: [failed(2 * hour)], now: 2 * hour + retryMs }, due],
  [
    'four tries failed',
    { attempts: [1, 2, 3, 4].map((n) => failed(2 * hour + n)), now: 9 * hour },
    nothing('given-up'),
  ],
  ['tries failed before the session ended', { attempts: [1, 2, 3, 4].map(failed) }, due],
];

for (const [name, change, answer] of table)
  test(name, () => {
    expect(plan({ ...usual, ...change })[0]).toMatchObject(answer);
  });

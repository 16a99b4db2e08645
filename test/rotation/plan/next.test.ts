/** What is to be done, as a table. */
import { describe, expect, test } from 'vitest';
import type { AccountId } from '../../../src/base/ids.ts';
import { fold } from '../../../src/rotation/plan/fold.ts';
import { type Action, plan, type Question, retryMs } from '../../../src/rotation/plan/next.ts';
import type { Schedule } from '../../../src/rotation/plan/schedule.ts';
import { facts } from './ledger-notation.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const usual: Question = {
  account: 'account' as AccountId,
  fold: fold(facts(['r0 C'])),
  settings: { enabled: true, connector: true, rotateAfterSession: true, skipWhileInUse: true, localFallback: true },
  calendar: { schedule: null, since: 0, maxAgeDays: null },
  uses: [{ kind: 'session', since: hour, releasedAt: 2 * hour }],
  attempts: [],
  notes: [],
  currentSince: 0,
  lease: null,
  demanded: false,
  wishes: [],
  here: 'yes',
  now: 2 * hour + 1,
};
type Change = Partial<Question>;
const settings = (change: Partial<Question['settings']>): Change => ({ settings: { ...usual.settings, ...change } });
const open = { kind: 'session', since: hour, releasedAt: null } as const;
const failed = (at: number, trigger = 'post-session') => ({ trigger, startedAt: at, at, done: false });
const due = { kind: 'randomize', trigger: 'post-session' };
const nothing = (because: string) => ({ kind: 'nothing', because });
const wait = (until: number, because: string) => ({ kind: 'wait', until, because });
const conflicted = fold(facts(['r0 C', 'p1(r0) U']));

const table: readonly (readonly [string, Change, object])[] = [
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
  ['the account is conflicted', { fold: conflicted }, nothing('conflicted')],
  ['conflicted, and demanded', { fold: conflicted, demanded: 'on-demand' }, nothing('conflicted')],
  ['demanded', { demanded: 'on-demand', uses: [] }, { kind: 'randomize', trigger: 'on-demand' }],
  ['demanded before a checkout', { demanded: 'checkout', uses: [] }, { kind: 'randomize', trigger: 'checkout' }],
  ['demanded while in use', { demanded: 'on-demand', uses: [open] }, nothing('in-use')],
  [
    'demanded while in use, which does not matter',
    { demanded: 'on-demand', uses: [open], ...settings({ skipWhileInUse: false }) },
    { kind: 'randomize' },
  ],
  [
    'conflicted, and to be reconciled',
    { fold: conflicted, demanded: 'reconcile' },
    { kind: 'randomize', trigger: 'reconcile' },
  ],
  ['somebody is at work', { lease: { sigkey: null, expiresAt: 3 * hour } }, wait(3 * hour, 'changing')],
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
  ['a try failed just now', { attempts: [failed(2 * hour)] }, wait(2 * hour + retryMs, 'retrying')],
  ['a try failed half an hour ago', { attempts: [failed(2 * hour)], now: 2 * hour + retryMs }, due],
  [
    'four tries failed',
    { attempts: [1, 2, 3, 4].map((n) => failed(2 * hour + n)), now: 9 * hour },
    nothing('given-up'),
  ],
  ['tries failed before the session ended', { attempts: [1, 2, 3, 4].map((at) => failed(at)) }, due],
  [
    'four demands failed after the session ended',
    { attempts: [1, 2, 3, 4].map((n) => failed(2 * hour + n, 'on-demand')) },
    due,
  ],
  [
    'an event named the account',
    { uses: [], wishes: [{ trigger: 'event', at: hour }] },
    { kind: 'randomize', trigger: 'event', occurrence: hour },
  ],
  [
    'an event named the account before its value was set',
    { uses: [], wishes: [{ trigger: 'event', at: hour }], currentSince: 2 * hour },
    nothing('not-due'),
  ],
  ['an event named an account in use', { uses: [open], wishes: [{ trigger: 'event', at: hour }] }, nothing('in-use')],
  [
    'another node is the managing one, and up',
    { here: 'not-managing', demanded: 'on-demand' },
    nothing('not-managing'),
  ],
  ['the managing node is down, with fallback', { here: 'managing-down' }, { ...due, fallback: true }],
  [
    'the managing node is down, without fallback',
    { here: 'managing-down', ...settings({ localFallback: false }) },
    nothing('managing-down'),
  ],
];

for (const [name, change, answer] of table)
  test(name, () => {
    expect(plan({ ...usual, ...change })[0]).toMatchObject(answer);
  });

describe('by schedule', () => {
  const nightly = {
    name: 'nightly',
    cron: '0 3 * * *',
    zone: 'UTC',
    window: { start: '02:00', end: '05:00' },
    jitterMinutes: 0,
    retry: { count: 3, minutes: 30 },
    alertAfterSkips: 2,
  } satisfies Schedule;
  /** 03:00 on the first day after the value was set. */
  const first = day + 3 * hour;
  const scheduled: Question = {
    ...usual,
    uses: [],
    currentSince: 12 * hour,
    calendar: { schedule: nightly, since: 0, maxAgeDays: null },
    now: first,
  };
  const go = { kind: 'randomize', trigger: 'scheduled', occurrence: first };
  const by = (change: Partial<typeof nightly>): Change => ({
    calendar: { ...scheduled.calendar, schedule: { ...nightly, ...change } },
  });
  const age = (maxAgeDays: number, schedule: Schedule | null = null): Change => ({
    calendar: { schedule, since: 0, maxAgeDays },
  });
  const tries = (...at: number[]) => at.map((when) => failed(first + when, 'scheduled'));
  const skipped = (occurrence: number) => ({ what: 'skipped', trigger: 'scheduled', occurrence }) as const;
  const skip = { kind: 'skip', trigger: 'scheduled', occurrence: first, because: 'in-use' };
  const thirtyDays = { name: 'monthly', every: { days: 30 }, zone: null, window: null } as const;
  const monthly: Schedule = { ...thirtyDays, jitterMinutes: 0, retry: nightly.retry, alertAfterSkips: 5 };

  const cases: readonly (readonly [string, Change, readonly object[]])[] = [
    ['at the occurrence', {}, [go]],
    ['a millisecond before it', { now: first - 1 }, [wait(first, 'not-due')]],
    ['the value was set at the very occurrence', { currentSince: first }, [wait(first + day, 'not-due')]],
    [
      'missed for a week: once, for the latest',
      { now: first + 7 * day + minute },
      [{ ...go, occurrence: first + 7 * day }],
    ],
    ['after the window: the next one', { now: first + 2 * hour }, [wait(first + 23 * hour, 'outside-window')]],
    ['made up when the next window opens', { now: first + 23 * hour }, [go]],
    ['due before the window', by({ window: { start: '04:00', end: '05:00' } }), [wait(first + hour, 'outside-window')]],
    [
      'the schedule came into force after the occurrence',
      { calendar: { ...scheduled.calendar, since: first }, now: first + hour },
      [wait(first + day, 'not-due')],
    ],
    [
      'thirty days after the value was set',
      { ...age(0), calendar: { schedule: monthly, since: 0, maxAgeDays: null }, now: 30.5 * day },
      [{ ...go, occurrence: 30.5 * day }],
    ],
    [
      'not before',
      { calendar: { schedule: monthly, since: 0, maxAgeDays: null }, now: 30.5 * day - 1 },
      [wait(30.5 * day, 'not-due')],
    ],
    [
      'older than the policy allows',
      { ...age(2), now: 3 * day },
      [{ kind: 'randomize', trigger: 'age', occurrence: 2.5 * day }],
    ],
    ['younger than the policy allows', { ...age(2), now: 2 * day }, [wait(2.5 * day, 'not-due')]],
    [
      'too old, but outside the window',
      { ...age(1, nightly), now: first + 9 * hour + 1 },
      [wait(first + 23 * hour, 'outside-window')],
    ],
    ['a try failed', { attempts: tries(0), now: first + minute }, [wait(first + 30 * minute, 'retrying')]],
    ['a try failed half an hour ago', { attempts: tries(0), now: first + 30 * minute }, [go]],
    [
      'the third try failed',
      { attempts: tries(0, 30 * minute, 60 * minute), now: first + 61 * minute },
      [wait(first + 90 * minute, 'retrying')],
    ],
    [
      'the next try would be after the window',
      { attempts: tries(0, 100 * minute), now: first + 101 * minute },
      [wait(first + 23 * hour, 'retrying')],
    ],
    [
      'all four failed',
      { attempts: tries(0, 30 * minute, 60 * minute, 90 * minute), now: first + 91 * minute },
      [
        wait(first + day, 'given-up'),
        { kind: 'alert', about: 'given-up', trigger: 'scheduled', occurrence: first, count: 4 },
      ],
    ],
    [
      'all four failed, and it was said',
      {
        attempts: tries(0, 30 * minute, 60 * minute, 90 * minute),
        notes: [{ what: 'given-up-alerted', trigger: 'scheduled', occurrence: first }],
        now: first + 91 * minute,
      },
      [wait(first + day, 'given-up')],
    ],
    [
      'all four failed, and the next occurrence has come',
      { attempts: tries(0, 30 * minute, 60 * minute, 90 * minute), now: first + day },
      [{ ...go, occurrence: first + day }],
    ],
    [
      'no retries are wanted',
      { ...by({ retry: { count: 0, minutes: 30 } }), attempts: tries(0), now: first + hour },
      [wait(first + day, 'given-up'), { kind: 'alert' }],
    ],
    ['in use', { uses: [open] }, [skip, wait(first + day, 'in-use')]],
    ['in use, and it was noted', { uses: [open], notes: [skipped(first)] }, [wait(first + day, 'in-use')]],
    ['free again', { notes: [skipped(first)], now: first + hour }, [go]],
    [
      'in use before the window: nothing is skipped yet',
      { uses: [open], ...by({ window: { start: '04:00', end: '05:00' } }) },
      [wait(first + hour, 'outside-window')],
    ],
    [
      'in use at the second occurrence in a row',
      { uses: [open], notes: [skipped(first)], now: first + day },
      [
        { ...skip, occurrence: first + day },
        { kind: 'wait' },
        { kind: 'alert', about: 'skipped', occurrence: first + day, count: 2 },
      ],
    ],
    [
      'in use at the second occurrence, and it was said',
      {
        uses: [open],
        notes: [
          skipped(first),
          skipped(first + day),
          { what: 'skips-alerted', trigger: 'scheduled', occurrence: first + day },
        ],
        now: first + day,
      },
      [wait(first + 2 * day, 'in-use')],
    ],
    [
      'skips before the last success do not count',
      { uses: [open], notes: [skipped(first)], currentSince: first + hour, now: first + day },
      [{ ...skip, occurrence: first + day }, { kind: 'wait' }],
    ],
    [
      'conflicted: no try and no retry',
      { fold: conflicted, attempts: tries(0), now: first + hour },
      [nothing('conflicted')],
    ],
    ['disabled: nothing ever', settings({ enabled: false }), [nothing('disabled')]],
    ['nothing recorded', { currentSince: null }, [nothing('nothing-recorded')]],
    ['another node manages', { here: 'not-managing' }, [nothing('not-managing')]],
    ['here because the managing node is down', { here: 'managing-down' }, [{ ...go, fallback: true }]],
    [
      'demanded outside the window',
      { demanded: 'on-demand', now: first + 9 * hour },
      [{ kind: 'randomize', trigger: 'on-demand' }],
    ],
    [
      'after a session, outside the window',
      { uses: [{ kind: 'session', since: 0, releasedAt: day }], now: first + 9 * hour },
      [due],
    ],
  ];
  for (const [name, change, answers] of cases)
    test(name, () => {
      const actions: readonly Action[] = plan({ ...scheduled, ...change });
      expect(actions).toHaveLength(answers.length);
      expect(actions).toMatchObject(answers);
    });
});

test('a policy that disables randomization stops every trigger', () => {
  const off = {
    ...usual,
    ...settings({ enabled: false }),
    calendar: { ...usual.calendar, maxAgeDays: 1 },
    now: 9 * day,
  };
  const wishes = [{ trigger: 'event', at: day } as const, { trigger: 'bulk', at: day } as const];
  for (const demanded of [false, 'on-demand', 'checkout', 'event', 'bulk', 'reconcile'] as const)
    expect(plan({ ...off, wishes, demanded })).toEqual([nothing('disabled')]);
});

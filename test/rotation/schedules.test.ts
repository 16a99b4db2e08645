/** Schedules and the management of policies as rows; notes that are said once; who is due, found without asking each. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tail } from '../../src/audit/audit.ts';
import type { AccountId } from '../../src/base/ids.ts';
import { inTransaction, type Tx } from '../../src/db/db.ts';
import { noteOnce, notesOf } from '../../src/rotation/ledger/notes.ts';
import { declareManagement, dueAccounts, managements } from '../../src/rotation/management.ts';
import type { Note } from '../../src/rotation/plan/next.ts';
import type { Schedule } from '../../src/rotation/plan/schedule.ts';
import { declareSchedules, schedules } from '../../src/rotation/schedules.ts';
import { type Policy, policies } from '../../src/vault/vault.ts';
import { nowhere, operator, type RotationRoom, rotationRoom } from './room.ts';

const weekly = {
  name: 'weekly',
  cron: '0 3 * * 0',
  zone: 'Europe/Paris',
  window: { start: '22:00', end: '04:00', weekdays: [6, 7] },
  jitterMinutes: 60,
  retry: { count: 2, minutes: 15 },
  alertAfterSkips: 4,
} satisfies Schedule;
const monthly: Schedule = {
  name: 'monthly',
  every: { days: 30 },
  zone: null,
  window: null,
  jitterMinutes: 0,
  retry: { count: 3, minutes: 30 },
  alertAfterSkips: 5,
};
const keep = { actor: operator, prune: false };
const cut = { actor: operator, prune: true };
const day = 24 * 3_600_000;
let room: RotationRoom;
let standard: Policy;

beforeAll(async () => {
  room = await rotationRoom();
  const found = (await policies(room.vault.base.db)).find(({ name }) => name === 'Standard');
  if (found === undefined) throw new Error('no template');
  standard = found;
});
afterAll(async () => await room[Symbol.asyncDispose]());

const within = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => inTransaction(room.vault.base.db, work);
const declare = (list: readonly Schedule[], how = keep) => within((tx) => declareSchedules(tx, list, how));
const calendar = async () => (await managements(room.vault.base.db)).get(standard.id)?.calendar;

test('what is declared is read back the same; declaring it again changes nothing', async () => {
  const { db } = room.vault.base;
  expect(await declare([weekly, monthly])).toMatchObject([{ change: 'created' }, { change: 'created' }]);
  expect((await schedules(db)).map(({ schedule }) => schedule)).toEqual([monthly, weekly]);
  const events = (await tail(db, { after: 0, limit: 1000 })).length;
  expect((await declare([monthly, weekly])).map(({ change }) => change)).toEqual(['same', 'same']);
  expect(await tail(db, { after: 0, limit: 1000 })).toHaveLength(events);
});

test('a change names its fields; only other times begin anew', async () => {
  const { db } = room.vault.base;
  const since = async () => (await schedules(db)).find(({ schedule }) => schedule.name === 'weekly')?.timesSince;
  const before = await since();
  const wider = { ...weekly, window: { start: '20:00', end: '04:00' }, retry: { count: 1, minutes: 15 } };
  expect(await declare([wider])).toEqual([
    { object: 'schedule', name: 'weekly', change: 'changed', fields: expect.arrayContaining(['window', 'retry']) },
  ]);
  expect(await since()).toBe(before);
  expect(await declare([{ ...wider, cron: '0 3 * * 6' }])).toMatchObject([{ fields: ['cron'] }]);
  expect(await since()).toBeGreaterThan(before ?? 0);
  const { cron: _, ...rest } = wider;
  expect(await declare([{ ...rest, every: { days: 7 } }])).toMatchObject([{ fields: ['cron', 'every'] }]);
  await declare([weekly]);
});

test('a schedule that cannot be used is refused in words', async () => {
  await expect(declare([{ ...weekly, zone: 'Mars/Olympus' }])).rejects.toMatchObject({
    code: 'rotation.schedule-invalid',
    message: expect.stringContaining('weekly, zone: there is no time zone Mars/Olympus'),
  });
  await expect(declare([weekly, weekly])).rejects.toMatchObject({ code: 'rotation.schedule-invalid' });
});

test('a template is managed like any policy, and one that nothing is declared of as usual', async () => {
  const { db } = room.vault.base;
  const declared = {
    policy: 'Standard',
    schedule: 'weekly',
    localFallback: false,
    rotateOnCheckout: 'or-deny',
  } as const;
  expect(await within((tx) => declareManagement(tx, [declared], keep))).toEqual([
    { object: 'management', name: 'Standard', change: 'created' },
  ]);
  expect(await within((tx) => declareManagement(tx, [declared], keep))).toMatchObject([{ change: 'same' }]);
  const all = await managements(db);
  expect(all.get(standard.id)).toMatchObject({
    ...declared,
    managingNode: null,
    automaticResolution: true,
    calendar: { schedule: weekly, maxAgeDays: standard.maxAgeDays },
  });
  expect([...all.values()].find(({ policy }) => policy === 'Network Device')).toMatchObject({
    schedule: null,
    localFallback: true,
    rotateOnCheckout: 'never',
    calendar: { schedule: null, since: 0, maxAgeDays: 90 },
  });
});

test('only another schedule begins anew, not another setting', async () => {
  const before = await calendar();
  const manage = (schedule: string, localFallback: boolean) =>
    within((tx) => declareManagement(tx, [{ policy: 'Standard', schedule, localFallback }], keep));
  expect(await manage('weekly', true)).toMatchObject([
    { change: 'changed', fields: ['localFallback', 'rotateOnCheckout'] },
  ]);
  expect(await calendar()).toEqual(before);
  await manage('monthly', true);
  expect((await calendar())?.since).toBeGreaterThan(before?.since ?? 0);
});

test('a schedule that a policy names cannot vanish; once nobody names it, it can', async () => {
  await expect(declare([], cut)).rejects.toMatchObject({
    code: 'rotation.schedule-in-use',
    message: expect.stringContaining('monthly, by the policy Standard'),
  });
  const refuse = (policy: string, schedule: string) =>
    within((tx) => declareManagement(tx, [{ policy, schedule }], keep));
  await expect(refuse('Standard', 'yearly')).rejects.toMatchObject({ code: 'rotation.management-invalid' });
  await expect(refuse('Nobody', 'monthly')).rejects.toMatchObject({ code: 'rotation.management-invalid' });
  expect(await within((tx) => declareManagement(tx, [], cut))).toMatchObject([{ name: 'Standard', change: 'removed' }]);
  expect(await declare([monthly], cut)).toMatchObject([{ change: 'same' }, { name: 'weekly', change: 'removed' }]);
});

test('who is due is found in one look: by age, by schedule, and nobody without a value or a connector', async () => {
  const { db } = room.vault.base;
  await room.target(nowhere);
  const app = await room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd' });
  await room.account({ name: 'empty@box', kind: 'password', connector: 'linux-chpasswd' });
  const idle = await room.account({ name: 'idle@box', kind: 'password' });
  await room.seed(app, 'first-Value-9');
  await room.seed(idle, 'other-Value-9');
  const due = async (days: number) => (await dueAccounts(db, Date.now() + days * day)).map(({ account }) => account);
  expect(await due(89)).toEqual([]);
  expect(await due(91)).toEqual([app.id]);
  await within((tx) => declareManagement(tx, [{ policy: 'Standard', schedule: 'monthly' }], keep));
  expect(await due(29)).toEqual([]);
  expect(await due(31)).toEqual([app.id]);
  await declare([{ ...monthly, zone: 'UTC', window: { start: '02:00', end: '03:00' } }]);
  const midnight = Math.floor(Date.now() / day) * day + 33 * day;
  expect(await dueAccounts(db, midnight + day / 2)).toEqual([]);
  expect(await dueAccounts(db, midnight + 2.5 * 3_600_000)).toMatchObject([{ account: app.id }]);
});

test('a note is said once, and counts as long as the value is the same', async () => {
  const { db } = room.vault.base;
  const account = (await db.selectFrom('account').select('id').executeTakeFirstOrThrow()).id satisfies AccountId;
  const note: Note = { what: 'skipped', trigger: 'scheduled', occurrence: 2_000 };
  expect(await within((tx) => noteOnce(tx, account, note, 3_000))).toBe(true);
  expect(await within((tx) => noteOnce(tx, account, note, 4_000))).toBe(false);
  expect(await within((tx) => noteOnce(tx, account, { ...note, what: 'skips-alerted' }, 4_000))).toBe(true);
  expect(await notesOf(db, account, 1_999)).toHaveLength(2);
  expect(await notesOf(db, account, 1_999)).toContainEqual(note);
  expect(await notesOf(db, account, 2_000)).toEqual([]);
});

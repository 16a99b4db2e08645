/** What a person may decide about a conflict, on a scripted target, and when it is refused. */
import { expect, test } from 'vitest';
import type { Sigkey } from '../../src/base/ids.ts';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import { history, rootOf, scene, settled } from './conflict-scene.ts';
import { never, operator } from './room.ts';

test('when it is switched off nothing is tried, and a person may decide at once', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const cut = await stage.draw('second-Value-1', await rootOf(stage), 'U');
  await settled(stage);
  expect(stage.target.jobs).toEqual([]);
  const decided = await stage.room.rotation.conflicts.decide(stage.account.id, cut, 'confirm', operator, never);
  expect(decided).toMatchObject({ conflict: 'none', current: cut });
});

test('a person is refused while automatic resolution has not finished', async () => {
  await using stage = await scene();
  const cut = await stage.draw('second-Value-1', await rootOf(stage), 'U');
  const { conflicts } = stage.room.rotation;
  for (const what of ['confirm', 'reject', 'set-current'] as const)
    expect(await conflicts.decide(stage.account.id, cut, what, operator, never)).toMatchObject({
      code: 'rotation.resolving',
    });
  expect(await conflicts.force(stage.account.id, operator, never)).toMatchObject({ code: 'rotation.resolving' });
  expect((await history(stage)).conflict).toBe('incomplete');
});

test('confirm and reject decide one uncertain value each, and the tree is looked at again', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const one = await stage.draw('one-Value-1', root, 'U');
  const two = await stage.draw('two-Value-2', root, 'U');
  const { conflicts } = stage.room.rotation;
  expect((await history(stage)).conflict).toBe('tree+incomplete');
  expect(await conflicts.decide(stage.account.id, one, 'set-current', operator, never)).toMatchObject({
    code: 'rotation.incomplete-first',
  });
  expect(await conflicts.decide(stage.account.id, one, 'reject', operator, never)).toMatchObject({
    conflict: 'incomplete',
  });
  expect(await conflicts.decide(stage.account.id, one, 'reject', operator, never)).toMatchObject({
    code: 'rotation.not-uncertain',
  });
  expect(await conflicts.decide(stage.account.id, two, 'reject', operator, never)).toMatchObject({
    conflict: 'none',
    current: root,
  });
  const rows = await conflicts.report({ account: stage.account.id, limit: 10 });
  expect(rows.map((row) => [row.sigkey, row.retcode, row.actionreason])).toEqual([
    [two, 'ACVerifyFailed', 'M'],
    [one, 'ACVerifyFailed', 'M'],
  ]);
  expect(new Set(rows.map((row) => row.verificationid)).size, 'each action by hand has its own').toBe(2);
});

test('a word on one value replaces what two nodes had said of it without knowing of each other', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const { conflicts } = stage.room.rotation;
  for (const [what, current] of [
    ['reject', () => root],
    ['confirm', (one: Sigkey) => one],
  ] as const) {
    const one = await stage.draw(`${what}-Value-1`, root, 'U');
    await stage.decided('a', { kind: 'confirm', sigkey: one });
    await stage.decided('b', { kind: 'reject', sigkey: one });
    expect((await history(stage)).conflict, 'nobody replaced the other').toBe('incomplete');
    expect(await conflicts.decide(stage.account.id, one, what, operator, never)).toMatchObject({
      conflict: 'none',
      current: current(one),
    });
  }
});

test('one candidate of a tree is set as current, and the others go to the history', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const one = await stage.draw('one-Value-1', root, 'C', 'a');
  const two = await stage.draw('two-Value-2', root, 'C', 'b');
  const { conflicts } = stage.room.rotation;
  expect(await conflicts.decide(stage.account.id, root, 'set-current', operator, never)).toMatchObject({
    code: 'rotation.no-candidate',
  });
  expect(await conflicts.decide(stage.account.id, one, 'set-current', operator, never)).toMatchObject({
    conflict: 'none',
    current: one,
  });
  expect((await history(stage)).versions.find((version) => version.sigkey === two)?.place).toBe('history');
});

test('forcing presumes the newest confirmed value and randomizes at once', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const old = await stage.draw('one-Value-1', root, 'C', 'a');
  const newest = await stage.draw('two-Value-2', root, 'C', 'b');
  const cut = await stage.draw('three-Value-3', newest, 'U', 'b');
  stage.target.live = 'somebody-elses-1';
  const result = await stage.room.rotation.conflicts.force(stage.account.id, operator, never);
  expect(result).toMatchObject({ status: 'confirmed' });
  const after = await history(stage);
  const placeOf = (sigkey: Sigkey) => after.versions.find((version) => version.sigkey === sigkey)?.place;
  expect([after.conflict, placeOf(old), placeOf(newest), placeOf(cut)]).toEqual([
    'none',
    'history',
    'history',
    'working_history',
  ]);
  expect(await stage.room.value(stage.account)).toBe(stage.target.live);
  expect(after.versions.find((version) => version.current)?.parent).toBe(newest);
});

test('forcing is refused without any change where it could not be finished', async () => {
  const peers: Peers = { ...alone, heard: async () => 'late', unreachable: async () => ['berlin'] };
  await using stage = await scene({ peers });
  await stage.draw('one-Value-1', await rootOf(stage), 'U');
  const before = await history(stage);
  expect(await stage.room.rotation.conflicts.force(stage.account.id, operator, never)).toMatchObject({
    code: 'rotation.nodes-unreachable',
    reason: expect.stringContaining('berlin'),
  });
  expect(await history(stage)).toEqual(before);
});

test('a blanked account has no current value, and every value is kept', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const one = await stage.draw('one-Value-1', root, 'C', 'a');
  const two = await stage.draw('two-Value-2', root, 'C', 'b');
  const decided = await stage.room.rotation.conflicts.blank(stage.account.id, operator, never);
  expect(decided).toMatchObject({ conflict: 'none', current: null });
  const after = await history(stage);
  expect(after.versions.filter((version) => version.place === 'history').map((version) => version.sigkey)).toEqual([
    root,
    one,
    two,
  ]);
  expect(await stage.room.rotation.verify(stage.account.id, operator, never)).toMatchObject({
    code: 'rotation.nothing-recorded',
  });
  const rotated = await stage.room.rotation.rotate(stage.account.id, 'on-demand', operator, never);
  expect(rotated).toMatchObject({ status: 'confirmed' });
});

test('blanking works while another process holds the account, whose word is evidence only afterwards', async () => {
  await using stage = await scene();
  const { promise: changing, resolve: reached } = Promise.withResolvers<void>();
  const { promise: go, resolve: proceed } = Promise.withResolvers<void>();
  stage.target.onChange = async (next) => {
    reached();
    await go;
    stage.target.live = next;
    return { outcome: 'confirmed', class: 'none', words: '' };
  };
  const rotating = stage.room.rotation.rotate(stage.account.id, 'on-demand', operator, never);
  await changing;
  const other = await stage.room.open();
  expect(await other.conflicts.blank(stage.account.id, operator, never)).toMatchObject({ current: null });
  proceed();
  expect(await rotating).toMatchObject({ status: 'uncertain' });
});

/** Nothing is drawn, entered or presumed while an earlier change of the account may still land on its target. */
import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import type { RotationOptions } from '../../src/rotation/rotation.ts';
import { first, heardEarlier, history, rootOf, type Scene, scene, timing } from './conflict-scene.ts';
import { never, operator } from './room.ts';

interface Waiting extends Scene {
  /** What was asked of the target, and `waited` where time had to pass. */
  readonly story: string[];
  /** Happens while it is waited, once. */
  meanwhile: () => Promise<unknown>;
  /** What the target says to the wish to end what is left of a change. */
  ends: boolean;
}

/** The target ends a change after 20 seconds, which pass when somebody waits for them. */
async function waiting(options: Partial<RotationOptions> = {}): Promise<Waiting> {
  const story: string[] = [];
  let staged: Waiting | undefined;
  let ahead = 0;
  const clock: Clock = {
    now: () => Date.now() + ahead,
    sleep: async (ms, signal) => {
      // Heartbeats of leases are longer.
      if (staged === undefined || ms > 23_000) return systemClock.sleep(ms, signal);
      story.push('waited');
      ahead += ms;
      await heardEarlier(staged, ms);
      const { meanwhile } = staged;
      staged.meanwhile = async () => {};
      await meanwhile();
    },
  };
  const stage = await scene({ ...options, clock, timing: { ...timing, targetSeconds: 20, leaseMs: 90_000 } });
  const { run } = stage.target;
  const room = {
    ...stage.room,
    rotation: await stage.room.open({
      run: async (job, limits, signal) => {
        story.push(job.operation);
        if (job.operation !== 'fence' || staged?.ends !== false) return run(job, limits, signal);
        return { outcome: 'uncertain', class: 'timeout', words: 'it goes on' };
      },
    }),
  };
  staged = { ...stage, room, story, meanwhile: async () => {}, ends: true };
  return staged;
}

const rotate = ({ room, account }: Scene) => room.rotation.rotate(account.id, 'on-demand', operator, never);
const drawn = async (stage: Scene) => (await history(stage)).versions.length;

test('after blanking, what is left of a change is ended and its time waited for before a new value is drawn', async () => {
  await using stage = await waiting();
  await stage.draw('cut-Value-1', await rootOf(stage), 'U');
  await stage.room.rotation.conflicts.blank(stage.account.id, operator, never);
  expect(stage.story).toEqual([]);
  expect(await rotate(stage)).toMatchObject({ status: 'confirmed' });
  expect(stage.story).toEqual(['fence', 'waited', 'precheck', 'change', 'verify']);
  stage.story.length = 0;
  expect(await rotate(stage)).toMatchObject({ status: 'confirmed' });
  expect(stage.story, 'what was before the current value is over').toEqual([
    'precheck',
    'adminverify',
    'change',
    'verify',
  ]);
});

test('what other nodes say while it waits counts: of an account that is in conflict by then nothing is changed', async () => {
  await using stage = await waiting();
  const root = await rootOf(stage);
  const cut = await stage.draw('cut-Value-1', root, 'U');
  await stage.decided('another', { kind: 'reject', sigkey: cut });
  stage.meanwhile = () => stage.draw('other-Value-2', root, 'U');
  expect(await rotate(stage)).toMatchObject({ code: 'rotation.conflicted' });
  expect([stage.story, await drawn(stage)]).toEqual([['fence', 'waited', 'waited'], 3]);
});

test('where it cannot be ended nothing is drawn', async () => {
  await using stage = await waiting();
  const cut = await stage.draw('cut-Value-1', await rootOf(stage), 'U');
  await stage.decided('another', { kind: 'reject', sigkey: cut });
  stage.ends = false;
  expect(await rotate(stage)).toMatchObject({ code: 'rotation.precheck-failed', class: 'timeout' });
  expect([stage.story, await drawn(stage)]).toEqual([['fence'], 2]);
});

const byHand = { rules: { automaticResolution: false } };

test('forcing waits too', async () => {
  await using stage = await waiting(byHand);
  await stage.draw('cut-Value-1', await rootOf(stage), 'U');
  expect(await stage.room.rotation.conflicts.force(stage.account.id, operator, never)).toMatchObject({
    status: 'confirmed',
  });
  expect(stage.story).toEqual(['waited', 'fence', 'precheck', 'change', 'verify']);
});

test('a person decides on what is there when nothing can land any more', async () => {
  await using stage = await waiting(byHand);
  const root = await rootOf(stage);
  const cut = await stage.draw('cut-Value-1', root, 'U');
  stage.meanwhile = () => stage.draw('other-Value-2', root, 'C');
  const { conflicts } = stage.room.rotation;
  expect(await conflicts.decide(stage.account.id, cut, 'reject', operator, never)).toMatchObject({ conflict: 'none' });
  expect(stage.story, 'the target may be away').toEqual(['waited']);
});

test('the reconcile account waits too', async () => {
  const peers: Peers = { ...alone, heard: async () => 'here' };
  await using stage = await waiting({ peers });
  const cut = await stage.draw('cut-Value-1', await rootOf(stage), 'U');
  await stage.decided('another', { kind: 'reject', sigkey: cut });
  stage.target.live = 'set-by-Hand-77';
  expect(await stage.room.rotation.reconcile(stage.account.id, operator, never)).toMatchObject({ status: 'confirmed' });
  expect(stage.story.slice(0, 2)).toEqual(['fence', 'waited']);
});

test('a value that is entered is tried when nothing can land any more', async () => {
  await using stage = await waiting();
  await stage.draw('cut-Value-1', await rootOf(stage), 'U');
  using secret = Secret.fromText(first);
  const credential = { kind: 'password', secret } as const;
  const { rotation } = stage.room;
  expect(
    await rotation.recordKnown(stage.account.id, credential, { unverified: false }, operator, never),
  ).toMatchObject({ status: 'confirmed' });
  expect(stage.story).toEqual(['fence', 'waited', 'verify']);
  expect((await history(stage)).conflict).toBe('none');
});

test('former values of a current one that is refused are tried when nothing can land any more', async () => {
  await using stage = await waiting();
  const cut = await stage.draw('cut-Value-1', await rootOf(stage), 'U');
  await stage.decided('another', { kind: 'reject', sigkey: cut });
  stage.target.live = 'on its way';
  stage.meanwhile = async () => {
    stage.target.live = 'cut-Value-1';
  };
  expect(await stage.room.rotation.verify(stage.account.id, operator, never)).toMatchObject({ answer: 'accepted' });
  expect(stage.story).toEqual(['verify', 'waited', 'adminverify']);
  expect(await rootOf(stage)).toBe(cut);
});

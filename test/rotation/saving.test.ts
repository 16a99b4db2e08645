/** Devices that must be told to save, and values that a connector cannot set: what the engine makes of both. */
import { expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import { ios } from '../../src/rotation/connectors/ios.ts';
import { never, nowhere, operator, type RotationRoom, rotationRoom } from './room.ts';
import { ScriptedTarget, yes } from './target.ts';

const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 60_000 };
const cut: Answer = { outcome: 'uncertain', class: 'cut', words: 'cut' };

/** A device whose `fence` answers so. */
async function device(target: ScriptedTarget, fence: Answer): Promise<RotationRoom> {
  const room = await rotationRoom({
    timing,
    run: async (job, limits, signal) => (job.operation === 'fence' ? fence : target.run(job, limits, signal)),
  });
  await room.target(nowhere);
  return room;
}

test.each([
  ['and the device could not be told to save: uncertain', cut, 'uncertain'],
  ['and the device has saved since: confirmed', yes, 'confirmed'],
] as const)('a change on a device that was cut off after it took hold, %s', async (_, fence, status) => {
  const target = new ScriptedTarget('first-Value-9');
  target.onChange = (next) => {
    target.live = next;
    return cut;
  };
  await using room = await device(target, fence);
  const account = await room.account({ name: 'app@box', kind: 'password', connector: 'ios', policy: 'Standard' });
  await room.seed(account, 'first-Value-9');
  expect(await room.rotation.rotate(account.id, 'on-demand', operator, never)).toMatchObject({ status });
});

test('a value that the connector cannot set is drawn again, until one fits', async () => {
  const target = new ScriptedTarget('first-Value-9');
  await using room = await device(target, yes);
  const settings = { login: 'line', command: 'line-password' };
  const account = await room.account({
    name: 'vty@box',
    kind: 'password',
    connector: 'ios',
    policy: 'Standard',
    settings,
  });
  await room.seed(account, 'first-Value-9');
  for (let round = 0; round < 12; round++) {
    const result = await room.rotation.rotate(account.id, 'on-demand', operator, never);
    if (isRefusal(result)) throw new Error(result.reason);
    expect(result.status).toBe('confirmed');
    expect(target.live).toMatch(/^[A-Za-z0-9]/);
    expect(Array.from(target.live).some((character) => ios.forbidden.includes(character))).toBe(false);
  }
});

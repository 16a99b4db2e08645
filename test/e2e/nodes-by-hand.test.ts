/**
 * Decisions by hand on another node than the one that resolves, while that one is down: taken there, known everywhere when
 * it is back, and opened again by what it had said that nobody else could know.
 */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silent } from '../../src/base/log.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargets } from '../../src/estate/estate.ts';
import { peersOf } from '../../src/rotation/nodes/peers.ts';
import { anyNode } from '../../src/rotation/plan/management.ts';
import { openRotation, type Rotation, usualRules } from '../../src/rotation/rotation.ts';
import { nowhere } from '../rotation/room.ts';
import { actor, never, type Node, nodesStage } from './nodes-stage.ts';

const hostKeys = nowhere.hostKeys.map((line) => Buffer.from(line.split(' ')[1] ?? '', 'base64'));
const services = [{ name: 'ssh', protocol: 'ssh', port: 22, hostKeys }] as const;
/** Nobody asks it anything here. */
const box = { name: 'box', platform: 'linux', address: '192.0.2.1', services } as const;

test('a person decides on another node while the one that resolves is down, and what that one knew opens it again', async () => {
  await using stage = await nodesStage(['lima', 'oslo'], ['app']);
  const [lima, oslo] = [stage.node('lima'), stage.node('oslo')];
  for (const { db } of [lima, oslo])
    await inTransaction(db, (tx) => declareTargets(tx, [box], { actor, prune: false }));
  await stage.linkAll(['lima', 'oslo']);
  for (const [node, name] of [
    [lima, 'oslo'],
    [oslo, 'lima'],
  ] as const)
    await node.admin
      .insertInto('node_peer')
      .values({ name, card: Buffer.from('card') })
      .execute();
  const app = await lima.account('app');
  const root = await lima.rotate(app, null);
  await stage.quiet(['lima', 'oslo']);
  const one = await oslo.rotate(app, root);
  const two = await lima.rotate(app, root);
  await stage.quiet(['lima', 'oslo']);
  expect(await oslo.fold(app)).toMatchObject({ conflict: 'tree', candidates: [one, two] });

  // -- Without a managing node the first by name resolves, and while it is up nobody else decides --------------------
  let ahead = 0;
  await using atOslo = await rotationOf(oslo, () => ahead);
  const setCurrent = (rotation: Rotation, sigkey: typeof one) =>
    rotation.conflicts.decide(app, sigkey, 'set-current', actor, never);
  expect(await setCurrent(atOslo, one)).toMatchObject({
    code: 'rotation.not-managing',
    reason: expect.stringContaining('lima resolves'),
  });

  // -- It goes down with a fact that nobody has heard ----------------------------------------------------------------
  await stage.wire('lima', 'oslo', false);
  const late = await lima.rotate(app, root);
  await lima.cluster.stop('immediate');
  expect(await setCurrent(atOslo, one), 'a restart is no reason').toMatchObject({ code: 'rotation.not-managing' });
  ahead = 16_000;
  expect(await atOslo.conflicts.list(never)).toMatchObject([
    { state: 'manual', reason: 'lima resolves for this policy and is silent' },
  ]);
  expect(await setCurrent(atOslo, one)).toMatchObject({ conflict: 'none', current: one });

  // -- It is back -----------------------------------------------------------------------------------------------------
  await lima.cluster.start();
  await lima.reopen();
  await stage.wire('lima', 'oslo', true);
  await stage.quiet(['lima', 'oslo']);
  for (const node of [lima, oslo]) {
    const fold = await node.fold(app);
    expect(fold.conflict, node.name).toBe('tree');
    expect(new Set(fold.candidates)).toEqual(new Set([one, late]));
  }
  expect(await stage.digest('oslo')).toBe(await stage.digest('lima'));
  expect(await setCurrent(atOslo, late), 'it is heard again').toMatchObject({ code: 'rotation.not-managing' });
  await using atLima = await rotationOf(lima, () => 0);
  expect(await setCurrent(atLima, late)).toMatchObject({ conflict: 'none', current: late });
  await stage.quiet(['lima', 'oslo']);
  expect(await oslo.fold(app)).toMatchObject({ conflict: 'none', root: late });
}, 120_000);

/** Of a node that waits for nobody before a person may decide. */
async function rotationOf({ db, vault }: Node, ahead: () => number): Promise<Rotation> {
  const clock = { ...systemClock, now: () => systemClock.now() + ahead() };
  const peers = peersOf({ db, clock }, { managementOf: async () => anyNode, waitMs: 0 });
  const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 30_000 };
  const rules = { ...usualRules, automaticResolution: false };
  return openRotation({ db, vault, log: silent, clock: systemClock, peers, watch: false, timing, rules }, never);
}

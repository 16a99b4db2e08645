/**
 * What every connector must do, on a real server. A connector's test brings a `Bench`: how a value is drawn, put in place
 * from outside and tried; this list asks the same of all of them.
 */
import { expect, test } from 'vitest';
import type { Login, LoginCredential, NewCredential, Place } from '../../../src/rotation/connectors/connector.ts';
import type { Machine } from '../../lab/machine.ts';
import { openWire } from '../../lab/wire.ts';
import { ask, password, passwords, placeOf, settledMachine, work } from './machine.ts';

export interface Value {
  readonly fresh: NewCredential;
  readonly login: LoginCredential;
}

export interface Bench {
  readonly connector: string;
  readonly machine: () => Machine;
  /** A value that nobody has had before. */
  readonly draw: () => Promise<Value>;
  /** Puts a value in place on the machine as its root, without the connector. */
  readonly plant: (user: string) => Promise<Value>;
  /** Makes the target refuse every change, and lets it change again. */
  readonly forbid: () => Promise<(Disposable & AsyncDisposable) | AsyncDisposable>;
}

export function conformance(bench: Bench): void {
  const { connector } = bench;
  const app = (credential: LoginCredential): Login => ({ user: 'app', credential });
  const verify = (login: Login, place: Place = placeOf(bench.machine())) =>
    ask({ connector, operation: 'verify', place, login });
  const byRoot = (place: Place = placeOf(bench.machine())) => work(place, 'app', 'root', password(passwords.root));

  test('a right value is accepted and a wrong one rejected', async () => {
    const { login } = await bench.plant('app');
    expect(await verify(app(login))).toMatchObject({ outcome: 'accepted' });
    expect(await verify(app((await bench.draw()).login))).toMatchObject({
      outcome: 'rejected',
      class: 'authentication',
    });
  });

  for (const [name, user, credential] of [
    ['root', 'root', passwords.root],
    ['sudo without a password', 'nopass', passwords.nopass],
    ['sudo with its password', 'asking', passwords.asking],
  ] as const) {
    test(`an administrator changes it as ${name}`, async () => {
      await bench.plant('app');
      const { fresh, login } = await bench.draw();
      const what = work(placeOf(bench.machine()), 'app', user, password(credential));
      expect(await ask({ connector, operation: 'precheck', work: what })).toMatchObject({ outcome: 'confirmed' });
      expect(await ask({ connector, operation: 'change', work: what, fresh })).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(app(login))).toMatchObject({ outcome: 'accepted' });
    });
  }

  test('somebody without rights is told so before anything is sent', async () => {
    const what = work(placeOf(bench.machine()), 'app', 'plain', password(passwords.plain));
    const { fresh } = await bench.draw();
    expect(await ask({ connector, operation: 'precheck', work: what })).toMatchObject({
      outcome: 'unsent',
      class: 'permission',
    });
    expect(await ask({ connector, operation: 'change', work: what, fresh })).toMatchObject({
      outcome: 'unsent',
      class: 'permission',
    });
  });

  test('an administrator whose login is refused changes nothing', async () => {
    const what = work(placeOf(bench.machine()), 'app', 'root', password('not it'));
    const { fresh } = await bench.draw();
    expect(await ask({ connector, operation: 'change', work: what, fresh })).toMatchObject({
      outcome: 'unsent',
      class: 'authentication',
    });
  });

  test('an account that is not there is missing', async () => {
    const what = { ...byRoot(), account: 'nobody-here' };
    expect(await ask({ connector, operation: 'precheck', work: what })).toMatchObject({
      outcome: 'unsent',
      class: 'missing',
    });
  });

  test('a target that refuses is a failure, and the old value works', async () => {
    const old = await bench.plant('app');
    const { fresh, login } = await bench.draw();
    {
      await using _ = await bench.forbid();
      expect(await ask({ connector, operation: 'change', work: byRoot(), fresh })).toMatchObject({ outcome: 'failed' });
    }
    expect(await verify(app(old.login))).toMatchObject({ outcome: 'accepted' });
    expect(await verify(app(login))).toMatchObject({ outcome: 'rejected' });
  });

  test('a host key that is not the pinned one ends it before any name or secret leaves', async () => {
    const { fresh, login } = await bench.draw();
    const place = placeOf(bench.machine());
    const other = {
      ...place,
      hostKeys: place.hostKeys.map((key) => key.map((byte, at) => (at > 24 ? byte ^ 1 : byte))),
    };
    const refused = { class: 'host-key' };
    expect(await ask({ connector, operation: 'change', work: byRoot(other), fresh })).toMatchObject({
      ...refused,
      outcome: 'unsent',
    });
    expect(await verify(app(login), other)).toMatchObject({ ...refused, outcome: 'unknown' });
  });

  test('refused and silent are told apart', async () => {
    const { login } = await bench.draw();
    await using wire = await openWire(bench.machine());
    const place = placeOf(bench.machine(), wire);
    wire.blackhole();
    expect(await ask({ connector, operation: 'verify', place, login: app(login) }, 1_500)).toMatchObject({
      outcome: 'late',
      class: 'timeout',
    });
    await wire.close();
    expect(await verify(app(login), place)).toMatchObject({ outcome: 'unknown', class: 'unreachable-refused' });
  });

  test('wherever the connection is cut, the old value or the new one works, and the answer is not a lie', async () => {
    const machine = bench.machine();
    await bench.plant('app');
    const whole = await measured();
    const seen = new Set<string>();
    // Evenly over the whole conversation, and closely over its end, where the change is made.
    const points = [0.2, 0.6, 0.85, 0.92, 0.96, 0.98, 1].map((part) => Math.floor(whole * part));
    for (const after of points) {
      const old = await bench.plant('app');
      const next = await bench.draw();
      await using wire = await openWire(machine);
      wire.cutAfter('up', after, 'reset');
      const { outcome } = await ask({
        connector,
        operation: 'change',
        work: byRoot(placeOf(machine, wire)),
        fresh: next.fresh,
      });
      await settledMachine(machine);
      const works = [await verify(app(old.login)), await verify(app(next.login))].map((answer) => answer.outcome);
      seen.add(`${outcome} ${works.join(' ')}`);
      expect(works, `${outcome}, cut after ${after} of ${whole} bytes`).toContain('accepted');
      if (outcome === 'confirmed') expect(works[1]).toBe('accepted');
      if (outcome === 'unsent') expect(works).toEqual(['accepted', 'rejected']);
    }
    expect([...seen].join('; ')).toContain('unsent');
    expect([...seen].join('; ')).toMatch(/uncertain|confirmed/);
  });

  /** Bytes from us to the target in one whole change. */
  async function measured(): Promise<number> {
    await using wire = await openWire(bench.machine());
    const { fresh } = await bench.draw();
    await ask({ connector, operation: 'change', work: byRoot(placeOf(bench.machine(), wire)), fresh });
    return wire.bytes.up;
  }
}

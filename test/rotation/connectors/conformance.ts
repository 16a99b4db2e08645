/**
 * What every connector must do, on a real server. A connector's test brings a `Bench`: where the server is, how a value
 * is drawn, put in place from outside and tried; this list asks the same of all of them. What a kind of target cannot
 * do at all it says in `without`, with the reason.
 */
import { describe, expect, test } from 'vitest';
import type { Login, LoginCredential, NewCredential, Place, Work } from '../../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../../src/rotation/connectors/job.ts';
import { openWire, type Wire } from '../../lab/wire.ts';
import { ask } from './machine.ts';

export interface Value {
  readonly fresh: NewCredential;
  readonly login: LoginCredential;
}

export type Undo = AsyncDisposable;

export interface Bench {
  readonly connector: string;
  /** The account on the target whose value is changed, with its settings. */
  readonly account: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** The folder of programs, for connectors that run one. */
  readonly plugins?: string;
  /** The server as it is, or behind a wire. */
  readonly place: (at?: { readonly address: string; readonly port: number }) => Place;
  /** The same place with a server that is not the one we trust; undefined where nothing proves itself (telnet). */
  readonly impostor: ((place: Place) => Place) | undefined;
  /**
   * Every way in which an administrator may change the account, by its name in a sentence. The first is used where one will
   * do. None where nothing is changed.
   */
  readonly admins: Readonly<Record<string, () => Login>>;
  /** Somebody who may log in there and change nobody. */
  readonly powerless: (() => Login) | undefined;
  /** A value that nobody has had before, without characters that are forbidden there. */
  readonly draw: () => Promise<Value>;
  /** Puts a new value in place without the connector, and lifts every lock. */
  readonly plant: () => Promise<Value>;
  /**
   * Makes the target refuse every change for its own reasons (a policy). `refused`: it refuses values of this kind and
   * takes all others.
   */
  readonly forbid: () => Promise<Undo & { readonly refused?: Value }>;
  /** Locks the account, so that also the right value is refused. */
  readonly lock?: () => Promise<Undo>;
  /** Makes the right value an expired one. */
  readonly expire?: () => Promise<Undo>;
  /** Makes the target say no after it has changed the value. */
  readonly lie?: () => Promise<Undo>;
  /** Sets a lock-out after three refused logins. Its `locked` says whether the account is locked now. */
  readonly strikes?: () => Promise<Undo & { readonly locked: () => Promise<boolean> }>;
  /** Characters that must arrive as they are; only for passwords. */
  readonly nasty?: readonly string[];
  /** Resolves when no change of ours is running on the target any more. */
  readonly settled: () => Promise<void>;
  /** Whether old and new work together until the old one is retired (keys). */
  readonly bothLive?: boolean;
  /** Why something of this list has no meaning there. */
  readonly without: Readonly<
    Partial<
      Record<'change' | 'powerless' | 'impostor' | 'lock' | 'expire' | 'lie' | 'strikes' | 'nasty' | 'self', string>
    >
  >;
}

/** The whole list, as tests of the calling file. */
export function conformance(bench: Bench): void {
  const { connector, account } = bench;
  const settings = bench.settings ?? {};
  const task = (place = bench.place()) => ({
    place,
    account,
    settings,
    ...(bench.plugins === undefined ? {} : { plugins: bench.plugins }),
  });
  const verify = (credential: LoginCredential, place?: Place): Promise<Answer> =>
    ask({ connector, operation: 'verify', task: task(place), login: { user: account, credential } });
  const work = (login: Login, place = bench.place()): Work => ({
    ...task(place),
    by: { mode: login.user === account ? 'self' : 'admin', login },
    tag: 'rot-conformance',
    targetSeconds: 5,
  });
  const changes = bench.without.change === undefined;
  const changing = (name: string, body: () => Promise<void>): void => {
    if (changes) test(name, body);
  };
  const admin = (): Login => {
    const [first] = Object.values(bench.admins);
    if (first === undefined) throw new Error('a bench has at least one administrator');
    return first();
  };
  const change = ({ fresh }: Value, login = admin(), place = bench.place()): Promise<Answer> =>
    ask({ connector, operation: 'change', work: work(login, place), fresh });

  describe(`the list for ${connector}`, () => {
    test('what it does not show is said with a reason', () => {
      const optional = ['powerless', 'impostor', 'lock', 'expire', 'lie', 'strikes', 'nasty'] as const;
      for (const part of optional) expect(bench[part] === undefined, part).toBe(bench.without[part] !== undefined);
      expect(Object.keys(bench.admins).length === 0).toBe(!changes);
    });

    test('a right value is accepted and a wrong one rejected', async () => {
      const { login } = await bench.plant();
      expect(await verify(login)).toMatchObject({ outcome: 'accepted' });
      expect(await verify((await bench.draw()).login)).toMatchObject({ outcome: 'rejected', class: 'authentication' });
      await bench.plant();
    });

    for (const [name, login] of Object.entries(bench.admins)) {
      changing(`an administrator changes it: ${name}`, async () => {
        const old = await bench.plant();
        const next = await bench.draw();
        expect(await ask({ connector, operation: 'precheck', work: work(login()) })).toMatchObject({
          outcome: 'confirmed',
        });
        expect(await change(next, login())).toMatchObject({ outcome: 'confirmed' });
        expect(await verify(next.login)).toMatchObject({ outcome: 'accepted' });
        if (bench.bothLive !== true) expect(await verify(old.login)).toMatchObject({ outcome: 'rejected' });
      });
    }

    if (changes && bench.without.self === undefined)
      changing('an account changes itself', async () => {
        const old = await bench.plant();
        const next = await bench.draw();
        const self = { user: account, credential: old.login };
        expect(await ask({ connector, operation: 'precheck', work: work(self) })).toMatchObject({
          outcome: 'confirmed',
        });
        expect(await change(next, self)).toMatchObject({ outcome: 'confirmed' });
        expect(await verify(next.login)).toMatchObject({ outcome: 'accepted' });
      });

    const { powerless } = bench;
    if (powerless !== undefined)
      test('somebody without rights is told so, and nothing is changed', async () => {
        const old = await bench.plant();
        const next = await bench.draw();
        expect(await ask({ connector, operation: 'precheck', work: work(powerless()) })).toMatchObject({
          outcome: 'unsent',
          class: 'permission',
        });
        expect(await change(next, powerless())).toMatchObject({
          outcome: expect.stringMatching(/unsent|failed/),
          class: 'permission',
        });
        expect(await verify(old.login)).toMatchObject({ outcome: 'accepted' });
      });

    changing('an administrator whose login is refused changes nothing', async () => {
      const wrong = { user: admin().user, credential: (await bench.draw()).login };
      const stranger = admin().credential.kind === 'password' ? wrong : { ...wrong, user: 'nobody-here' };
      expect(await change(await bench.draw(), stranger)).toMatchObject({ outcome: 'unsent', class: 'authentication' });
    });

    changing('an account that is not there is missing', async () => {
      const what = { ...work(admin()), account: 'nobody-here' };
      expect(await ask({ connector, operation: 'precheck', work: what })).toMatchObject({
        outcome: 'unsent',
        class: 'missing',
      });
    });

    changing('a target that refuses is a failure, and the old value works', async () => {
      const old = await bench.plant();
      let next = await bench.draw();
      {
        await using rule = await bench.forbid();
        next = rule.refused ?? next;
        expect(await change(next)).toMatchObject({ outcome: 'failed' });
      }
      expect(await verify(old.login)).toMatchObject({ outcome: 'accepted' });
      expect(await verify(next.login)).toMatchObject({ outcome: 'rejected' });
      await bench.plant();
    });

    const { impostor } = bench;
    if (impostor !== undefined)
      test('a server that is not the trusted one gets no name and no secret', async () => {
        const next = await bench.draw();
        const other = impostor(bench.place());
        const refused = { class: expect.stringMatching(/host-key|certificate/) };
        if (changes) expect(await change(next, admin(), other)).toMatchObject({ ...refused, outcome: 'unsent' });
        expect(await verify(next.login, other)).toMatchObject({ ...refused, outcome: 'unknown' });
      });

    test('refused and silent are told apart', async () => {
      const { login } = await bench.draw();
      await using wire = await openWire(bench.place());
      const place = bench.place(wire);
      wire.blackhole();
      const job = {
        connector,
        operation: 'verify',
        task: task(place),
        login: { user: account, credential: login },
      } as const;
      expect(await ask(job, 1_500)).toMatchObject({ outcome: 'late', class: 'timeout' });
      await wire.close();
      expect(await verify(login, place)).toMatchObject({ outcome: 'unknown', class: 'unreachable-refused' });
    });

    const { lock } = bench;
    if (lock !== undefined)
      test('a locked account is told apart, by the administrator or by its own answer', async () => {
        const { login } = await bench.plant();
        await using _ = await lock();
        const seen = changes ? await ask({ connector, operation: 'precheck', work: work(admin()) }) : undefined;
        const answer = await verify(login);
        expect([seen?.class, answer.class]).toContain('locked');
        expect(answer.outcome).not.toBe('accepted');
        // A locked account makes every value look wrong: that is no answer to which one it has.
        const each = await candidates([await bench.draw(), { fresh: (await bench.draw()).fresh, login }]);
        expect(each.map(({ answer: one, how }) => (how === 'stored' ? 'stored' : one))).not.toContain('rejected');
      });

    const { expire } = bench;
    if (expire !== undefined)
      test('the right value that has expired is accepted and said to be expired, and can be replaced', async () => {
        const { login } = await bench.plant();
        const next = await bench.draw();
        {
          await using _ = await expire();
          expect(await verify(login)).toMatchObject({ outcome: 'accepted', class: 'expired' });
          expect(await change(next)).toMatchObject({ outcome: 'confirmed' });
        }
        expect(await verify(next.login)).toMatchObject({ outcome: 'accepted' });
      });

    const { lie } = bench;
    if (lie !== undefined)
      test('a target that says no and has changed it all the same is found out by logins', async () => {
        const old = await bench.plant();
        const next = await bench.draw();
        await using _ = await lie();
        expect((await change(next)).outcome).not.toBe('confirmed');
        expect(await verify(next.login)).toMatchObject({ outcome: 'accepted' });
        if (bench.bothLive !== true) expect(await verify(old.login)).toMatchObject({ outcome: 'rejected' });
      });

    async function candidates(
      values: readonly Value[],
      budget = 10,
      by: Login | 'nobody' = changes ? admin() : 'nobody',
    ) {
      const answer = await ask({
        connector,
        operation: 'adminverify',
        task: task(),
        ...(by === 'nobody' ? {} : { admin: by }),
        candidates: values.map((value) => value.login),
        budget,
      });
      return answer.each ?? [];
    }

    test('of several values the one that holds is found', async () => {
      const right = await bench.plant();
      const values = [await bench.draw(), right, await bench.draw()];
      expect((await candidates(values)).map((one) => one.answer)).toEqual(['rejected', 'accepted', 'rejected']);
      expect((await candidates([await bench.draw()])).map((one) => one.answer)).toEqual(['rejected']);
      await bench.plant();
    });

    const { strikes } = bench;
    if (strikes !== undefined) {
      test('five wrong values never lock the account, and the right one behind them works', async () => {
        const right = await bench.plant();
        await using guard = await strikes();
        const wrong = await Promise.all([1, 2, 3, 4, 5].map(() => bench.draw()));
        const each = await candidates([...wrong, right], 2);
        expect(await guard.locked()).toBe(false);
        expect(each.map((one) => one.answer).slice(0, 5)).not.toContain('accepted');
        expect(each[5]?.answer).not.toBe('rejected');
        expect(await verify(right.login)).toMatchObject({ outcome: 'accepted' });
      });

      test('without an administrator it stops before the budget is overdrawn', async () => {
        const right = await bench.plant();
        await using guard = await strikes();
        const wrong = await Promise.all([1, 2, 3, 4, 5].map(() => bench.draw()));
        const each = await candidates(wrong, 2, 'nobody');
        expect(each.map((one) => one.class).slice(2)).toEqual(['budget', 'budget', 'budget']);
        expect(await guard.locked()).toBe(false);
        expect(await verify(right.login)).toMatchObject({ outcome: 'accepted' });
      });
    }

    for (const text of bench.nasty ?? [])
      test(`these characters arrive as they are: ${JSON.stringify(text)}`, async () => {
        await bench.plant();
        const { Secret } = await import('../../../src/base/secret.ts');
        const secret = Secret.fromText(text);
        const value: Value = { fresh: { kind: 'password', secret }, login: { kind: 'password', secret } };
        expect(await change(value)).toMatchObject({ outcome: 'confirmed' });
        expect(await verify(value.login)).toMatchObject({ outcome: 'accepted' });
      });

    changing('a change whose answer is lost has landed, and a login shows it', async () => {
      const whole = await measured('up');
      const old = await bench.plant();
      const next = await bench.draw();
      await using wire = await openWire(bench.place());
      const asked = ask(
        { connector, operation: 'change', work: work(admin(), bench.place(wire)), fresh: next.fresh },
        4_000,
      );
      await Promise.race([wire.reached('up', Math.floor(whole * 0.995)).then(() => wire.blackhole()), asked]);
      const { outcome } = await asked;
      await bench.settled();
      await truth(outcome, old, next, 'the answer was lost');
    });

    changing('a change that never got there has not landed', async () => {
      const old = await bench.plant();
      const next = await bench.draw();
      await using wire = await openWire(bench.place());
      wire.blackhole();
      const { outcome } = await ask(
        { connector, operation: 'change', work: work(admin(), bench.place(wire)), fresh: next.fresh },
        2_000,
      );
      expect(outcome).toMatch(/late|unsent/);
      expect(await verify(old.login)).toMatchObject({ outcome: 'accepted' });
    });

    for (const direction of ['up', 'down'] as const)
      changing(
        `wherever the connection is cut (${direction}), the old value or the new one works, and the answer is not a lie`,
        async () => {
          await bench.plant();
          const whole = await measured(direction);
          const seen = new Set<string>();
          // Evenly over the whole conversation, and closely over its end, where the change is made.
          for (const part of [0.2, 0.6, 0.85, 0.92, 0.96, 0.98, 1]) {
            const after = Math.floor(whole * part);
            const old = await bench.plant();
            const next = await bench.draw();
            await using wire = await openWire(bench.place());
            wire.cutAfter(direction, after, 'reset');
            const { outcome } = await change(next, admin(), bench.place(wire));
            await bench.settled();
            seen.add(await truth(outcome, old, next, `cut after ${after} of ${whole} bytes ${direction}`));
          }
          expect([...seen].join('; ')).toContain('unsent');
          expect([...seen].join('; ')).toMatch(/uncertain|confirmed/);
        },
      );

    /** What works now must fit what was said. */
    async function truth(outcome: string, old: Value, next: Value, when: string): Promise<string> {
      const works = [(await verify(old.login)).outcome, (await verify(next.login)).outcome];
      expect(works, `${outcome}, ${when}`).toContain('accepted');
      if (outcome === 'confirmed') expect(works[1], when).toBe('accepted');
      if (outcome === 'unsent') expect(works, when).toEqual(['accepted', 'rejected']);
      return `${outcome} ${works.join(' ')}`;
    }

    /** Bytes in one whole change. */
    async function measured(direction: 'up' | 'down'): Promise<number> {
      const wire: Wire = await openWire(bench.place());
      await using _ = wire;
      await change(await bench.draw(), admin(), bench.place(wire));
      return wire.bytes[direction];
    }
  });
}

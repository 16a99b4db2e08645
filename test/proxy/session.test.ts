/** The story of one session with legs of the test's own: the order of its steps, and each way out of it. */
import { describe, expect, test, vi } from 'vitest';
import { refuse } from '../../src/base/errors.ts';
import { openSession } from '../../src/proxy/open-session.ts';
import { type Back, type Front, type Outcome, type Protocol, runSession } from '../../src/proxy/session.ts';
import { authorization, type Stage, stage } from './stage.ts';

const never = new AbortController().signal;
const good: Outcome = { by: 'client', words: 'closed the connection', bytesIn: 5, bytesOut: 7 };

interface Play extends Stage {
  readonly protocol: Protocol<Front, Back>;
  /** What the person was told at the end. */
  readonly told: string[];
  /** The client hangs up. */
  readonly leave: AbortController;
}

/** Legs that write into `steps` what is done with them. `instead` replaces single acts. */
function play(
  told: Parameters<typeof stage>[0] = {},
  instead: {
    readonly [act in 'answer' | 'dial' | 'logIn' | 'splice']?: (signal: AbortSignal) => Promise<unknown>;
  } = {},
): Play {
  const around = stage(told);
  const { steps } = around;
  const words: string[] = [];
  const leave = new AbortController();
  const act = async (name: 'answer' | 'dial' | 'logIn' | 'splice', signal: AbortSignal): Promise<unknown> => {
    steps.push(name);
    return await instead[name]?.(signal);
  };
  const front: Front = {
    login: 'l1',
    account: 'root',
    target: 'web-01',
    service: undefined,
    client: '192.0.2.9:5000',
    negotiated: { kex: 'front' },
    gone: leave.signal,
    turnAway: async (line) => void words.push(line),
    [Symbol.asyncDispose]: async () => void steps.push('front closed'),
  };
  const protocol: Protocol<Front, Back> = {
    name: 'ssh',
    answer: async (signal) => ((await act('answer', signal)) === 'nobody' ? undefined : front),
    dial: async (_front, _authorization, _session, signal) => {
      await act('dial', signal);
      return {
        negotiated: { kex: 'back' },
        logIn: async (account, credential, waiting) => {
          const secret = credential.kind === 'password' ? credential.secret.revealText() : 'key';
          steps.push(`as ${account} with ${secret}`);
          return (await act('logIn', waiting)) as undefined;
        },
        [Symbol.asyncDispose]: async () => void steps.push('back closed'),
      };
    },
    splice: async (_front, _back, _session, _recorder, signal) => {
      steps.push(around.password.every((byte) => byte === 0) ? 'secret gone' : 'SECRET STILL THERE');
      return ((await act('splice', signal)) as Outcome | undefined) ?? good;
    },
  };
  return { ...around, protocol, told: words, leave };
}

/** The last thing that the keeper was told of the session. */
function endOf(it: Stage): unknown {
  return it.asked.findLast((one) => one.name === 'session.end')?.fields;
}

/** Steps without the recorder's blocks, whose number depends on time. */
function stepsOf(it: Stage): string[] {
  return it.steps.filter((step, at) => step !== 'recording.block' || it.steps.indexOf(step) === at);
}

describe('a session', () => {
  test('goes recorder, hold, host, secret, login, and is closed in reverse', async () => {
    using it = play();
    await runSession(it.protocol, it.place, never);
    expect(stepsOf(it)).toEqual([
      'answer',
      'authorize',
      'session.open',
      'recording.block',
      'hold.open',
      'dial',
      'credential.open',
      'as root with correct horse',
      'logIn',
      'session.live',
      'secret gone',
      'splice',
      'back closed',
      'session.end',
      'front closed',
    ]);
    expect(it.steps.lastIndexOf('recording.block')).toBeGreaterThan(it.steps.indexOf('back closed'));
    expect(it.steps.lastIndexOf('recording.block')).toBeLessThan(it.steps.indexOf('session.end'));
    expect(endOf(it)).toMatchObject({ outcome: 'client', detail: 'closed the connection', bytesIn: 5, bytesOut: 7 });
    expect(it.told).toEqual([]);
    expect(it.registered.size).toBe(0);
  });

  test('asks for what the login name said, and leaves out what it did not', async () => {
    using it = play();
    await runSession(it.protocol, it.place, never);
    expect(it.asked[0]).toEqual({ name: 'authorize', fields: { login: 'l1', target: 'web-01', account: 'root' } });
  });

  test('with a key lets the keeper sign, and never has the key', async () => {
    const key = { kind: 'ssh-key', publicKey: new Uint8Array(3), algorithms: ['ssh-ed25519'] };
    using it = play({ 'credential.open': () => key });
    await runSession(it.protocol, it.place, never);
    expect(it.steps).toContain('as root with key');
  });
});

describe('who is turned away', () => {
  test('by the login: nothing is asked of the keeper', async () => {
    using it = play({}, { answer: async () => 'nobody' });
    await runSession(it.protocol, it.place, never);
    expect(it.steps).toEqual(['answer']);
  });

  test('by the authorization: the keeper’s words and no session', async () => {
    using it = play({ authorize: () => refuse('access.denied', 'there is no such target, or you may not use it') });
    await runSession(it.protocol, it.place, never);
    expect(it.steps).toEqual(['answer', 'authorize', 'front closed']);
    expect(it.told).toEqual(['there is no such target, or you may not use it']);
  });

  test('by the opening of the session, which ended before it began: told why', async () => {
    using it = play({ 'session.open': () => refuse('keeper.session-over', 'the grant was taken back') });
    await runSession(it.protocol, it.place, never).catch(() => {});
    expect(it.steps).toEqual(['answer', 'authorize', 'session.open', 'front closed']);
    expect(it.told).toEqual([expect.stringContaining('the grant was taken back')]);
  });

  test.each(['authorize', 'session.open'] as const)('by a keeper that is lost at %s: told so', async (question) => {
    using it = play({ [question]: () => Promise.reject(new Error('the line to the other process is gone')) });
    await runSession(it.protocol, it.place, never).catch(() => {});
    expect(it.steps.at(-1)).toBe('front closed');
    expect(it.told).toEqual([expect.stringContaining('the line to the other process is gone')]);
  });

  test('by the target, which does not take the credential: its words, and the secret is gone', async () => {
    using it = play({}, { logIn: async () => refuse('ssh.refused', 'the target did not take the credential') });
    await runSession(it.protocol, it.place, never);
    expect(it.steps).not.toContain('session.live');
    expect(it.steps).not.toContain('splice');
    expect(it.password.every((byte) => byte === 0)).toBe(true);
    expect(it.told).toEqual([expect.stringMatching(/^the target did not take the credential \(session 0/)]);
    expect(endOf(it)).toMatchObject({ outcome: 'broken', detail: 'the target did not take the credential' });
  });

  const words = 'as the keeper says';
  test.each<[string, Parameters<typeof stage>[0], string[]]>([
    [
      'a recorder whose first block the keeper refuses',
      { 'recording.block': () => refuse('x', words) },
      ['hold.open', 'dial'],
    ],
    ['a hold that is refused', { 'hold.open': () => refuse('vault.busy', words) }, ['dial', 'credential.open']],
    [
      'a credential that is refused',
      { 'credential.open': () => refuse('vault.none', words) },
      ['logIn', 'session.live'],
    ],
    [
      'a keeper that fails at the hold',
      { 'hold.open': () => Promise.reject(new Error(words)) },
      ['dial', 'credential.open'],
    ],
    ['a keeper that fails when it goes live', { 'session.live': () => Promise.reject(new Error(words)) }, ['splice']],
  ])('by %s: everything opened is closed, the end is told, and nothing later happens', async (_, told, later) => {
    using it = play(told);
    await runSession(it.protocol, it.place, never);
    for (const step of later) expect(it.steps).not.toContain(step);
    expect(it.steps.slice(-2)).toEqual(['session.end', 'front closed']);
    expect(it.steps.includes('dial')).toBe(it.steps.includes('back closed'));
    expect(endOf(it)).toMatchObject({ outcome: 'broken' });
    expect(it.told).toHaveLength(1);
    expect(it.registered.size).toBe(0);
  });

  test('by a target that cannot be reached: no secret was opened', async () => {
    using it = play({}, { dial: async () => await Promise.reject(new Error('the target does not answer')) });
    await runSession(it.protocol, it.place, never);
    expect(it.steps).not.toContain('credential.open');
    expect(it.told[0]).toMatch(/^the target does not answer \(session /);
  });
});

describe('a kill', () => {
  /** Waits as everything that waits does: until the signal. */
  const hang = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason as Error);
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });

  for (const act of ['dial', 'logIn', 'splice'] as const) {
    test(`during ${act} ends the session with its reason`, async () => {
      const reached = Promise.withResolvers<void>();
      using it = play(
        {},
        {
          [act]: async (signal: AbortSignal) => {
            reached.resolve();
            return await hang(signal);
          },
        },
      );
      const run = runSession(it.protocol, it.place, never);
      await reached.promise;
      for (const running of it.registered) running.end(new Error('killed by ana: wrong machine'));
      await run;
      expect(it.told).toEqual([expect.stringMatching(/^killed by ana: wrong machine \(session /)]);
      expect(endOf(it)).toMatchObject({ outcome: 'signal', detail: 'killed by ana: wrong machine' });
      expect(it.steps.slice(-2)).toEqual(['session.end', 'front closed']);
      if (act !== 'dial') expect(it.password.every((byte) => byte === 0)).toBe(true);
    });
  }

  for (const question of ['recording.block', 'hold.open', 'credential.open', 'session.live'] as const) {
    test(`while the keeper is asked ${question} ends the session with its reason`, async () => {
      const reached = Promise.withResolvers<void>();
      using it = play({
        [question]: async (_fields: never, signal: AbortSignal) => {
          reached.resolve();
          return await hang(signal);
        },
      });
      const run = runSession(it.protocol, it.place, never);
      await reached.promise;
      for (const running of it.registered) running.end(new Error('killed by ana'));
      await run;
      expect(it.steps).not.toContain('splice');
      expect(it.told).toEqual([expect.stringMatching(/^killed by ana \(session /)]);
      expect(endOf(it)).toMatchObject({ outcome: 'signal', detail: 'killed by ana' });
      expect(it.registered.size).toBe(0);
    });
  }

  test('by shutdown reaches a session in its splice', async () => {
    const [shutdown, reached] = [new AbortController(), Promise.withResolvers<void>()];
    using it = play(
      {},
      {
        splice: async (signal) => {
          reached.resolve();
          return await hang(signal);
        },
      },
    );
    const run = runSession(it.protocol, it.place, shutdown.signal);
    await reached.promise;
    shutdown.abort(new Error('Sallyport is being stopped'));
    await run;
    expect(endOf(it)).toMatchObject({ outcome: 'signal', detail: 'Sallyport is being stopped' });
  });

  test('comes by itself when the granted time is over', async () => {
    using it = play({ authorize: () => ({ ...authorization, until: Date.now() + 30 }) }, { splice: hang });
    await runSession(it.protocol, it.place, never);
    expect(endOf(it)).toMatchObject({ outcome: 'signal', detail: 'the time that was granted is over' });
  });

  test('does not come early where the granted time is longer than a timer can be', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      using it = play();
      const front = (await it.protocol.answer(never)) as Front;
      const until = Date.now() + 40 * 24 * 3_600_000;
      await using session = await openSession(it.place, { ...authorization, until }, front, never);
      vi.advanceTimersByTime(2 ** 31);
      expect(session.signal.aborted).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });

  test('is not the reason when the client has hung up', async () => {
    const reached = Promise.withResolvers<void>();
    using it = play(
      {},
      {
        dial: async (signal) => {
          reached.resolve();
          return await hang(signal);
        },
      },
    );
    const run = runSession(it.protocol, it.place, never);
    await reached.promise;
    it.leave.abort(new Error('the client left'));
    await run;
    expect(endOf(it)).toMatchObject({ outcome: 'client' });
  });
});

test('the end is told again until the keeper takes it', async () => {
  let tries = 0;
  using it = play({ 'session.end': () => (++tries < 3 ? Promise.reject(new Error('link lost')) : null) });
  await runSession(it.protocol, it.place, never);
  expect(tries).toBe(3);
  expect(it.registered.size).toBe(0);
});

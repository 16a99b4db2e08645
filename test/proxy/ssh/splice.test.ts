/** Two legs and what is between them: who is read when, and how it ends. */
import { describe, expect, test } from 'vitest';
import type { TransportEnd } from '../../../src/protocol/ssh/ssh.ts';
import type { Outcome } from '../../../src/proxy/session.ts';
import { spliceSsh } from '../../../src/proxy/ssh/splice.ts';
import { Leg, ListRecorder, quietSession, type Stage, stage } from '../stage.ts';
import { about, confirm, data, exec, global, open, stderr } from './messages.ts';

interface Spliced extends Disposable {
  readonly client: Leg;
  readonly target: Leg;
  readonly recorder: ListRecorder;
  readonly kill: AbortController;
  readonly outcome: Promise<Outcome>;
  readonly around: Stage;
  readonly session: string;
}

/** A splice with one open channel, 0 at the client and 10 at the target. */
function spliced(around: Stage = stage()): Spliced {
  const [client, target, recorder, kill] = [new Leg(), new Leg(), new ListRecorder(), new AbortController()];
  const session = quietSession();
  const outcome = spliceSsh(client, target, session, recorder, around.place, kill.signal);
  client.says(open(0));
  target.says(confirm(0, 10));
  client.sent.length = 0;
  target.sent.length = 0;
  return {
    client,
    target,
    recorder,
    kill,
    outcome,
    around,
    session: session.id,
    [Symbol.dispose]: () => around[Symbol.dispose](),
  };
}

describe('back-pressure', () => {
  test('of a target that cannot take more stops the reading of the client, and of the client only', () => {
    using it = spliced();
    it.target.congested = true;
    it.client.says(data(10, 'x'));
    expect([it.client.paused, it.target.paused]).toEqual([true, false]);
    it.target.drain();
    expect([it.client.paused, it.target.paused]).toEqual([false, false]);
  });

  test('of a client that cannot take more stops the reading of the target, and of the target only', () => {
    using it = spliced();
    it.client.congested = true;
    it.target.says(data(0, 'x'));
    expect([it.client.paused, it.target.paused]).toEqual([false, true]);
    it.client.drain();
    expect([it.client.paused, it.target.paused]).toEqual([false, false]);
  });

  test('of the recorder stops both, and each stays stopped while it has another reason', () => {
    using it = spliced();
    it.recorder.congested = true;
    it.target.says(data(0, 'x'));
    expect([it.client.paused, it.target.paused]).toEqual([true, true]);
    it.target.congested = true;
    it.recorder.drain();
    expect([it.client.paused, it.target.paused]).toEqual([true, false]);
  });

  test('of a keeper that is not told fast enough what was refused stops both', async () => {
    const held = Promise.withResolvers<null>();
    using it = spliced(stage({ 'session.event': () => held.promise }));
    for (let n = 0; n < 129; n++) it.client.says(global('x', false));
    expect([it.client.paused, it.target.paused]).toEqual([true, true]);
    const resumed = new Promise<void>((resolve) => {
      it.client.resume = () => resolve();
    });
    held.resolve(null);
    await resumed;
    expect(it.target.paused).toBe(false);
  });
});

describe('the end', () => {
  test.each<[string, TransportEnd, string]>([
    ['leaves', { kind: 'peer', reason: 11, message: 'disconnected by user' }, 'closed the connection'],
    ['hangs up', { kind: 'eof' }, 'closed the connection'],
    ['says why', { kind: 'peer', reason: 2, message: 'bad packet' }, 'disconnected (2): bad packet'],
    ['breaks', { kind: 'broken', error: new Error('ECONNRESET') }, 'ECONNRESET'],
  ])('is the client’s when it %s, and it is not told what it knows', async (_, how, words) => {
    using it = spliced();
    it.client.says(exec(10, 'id'));
    it.client.ends(how);
    expect(await it.outcome).toMatchObject({
      by: 'client',
      words,
      bytesIn: it.client.bytesIn,
      bytesOut: it.client.bytesOut,
    });
    expect(it.client.goodbyes).toEqual([]);
    expect(it.recorder.events.at(-1)).toMatchObject({ kind: 'channel-close' });
  });

  test('is the target’s when that closes, and the client is told with the number of its session', async () => {
    using it = spliced();
    it.target.ends({ kind: 'eof' });
    expect(await it.outcome).toMatchObject({ by: 'target', words: 'closed the connection' });
    expect(it.client.goodbyes).toEqual([`sallyport: the target closed the connection (session ${it.session})`]);
  });

  test('comes by the signal, with its reason, also when it has fired before', async () => {
    using it = spliced();
    it.kill.abort(new Error('the session was ended from outside'));
    expect(await it.outcome).toMatchObject({ by: 'signal', words: 'the session was ended from outside' });
    expect(it.client.goodbyes).toEqual([`sallyport: the session was ended from outside (session ${it.session})`]);
    using around = stage();
    const legs = [new Leg(), new Leg()] as const;
    const late = spliceSsh(
      ...legs,
      quietSession(),
      new ListRecorder(),
      around.place,
      AbortSignal.abort(new Error('over')),
    );
    expect(await late).toMatchObject({ by: 'signal', words: 'over' });
  });

  test.each(['client', 'target'] as const)(
    'comes when the %s breaks the rules, and nothing of it passes',
    async (side) => {
      using it = spliced();
      it[side].says(data(99, 'x'));
      expect(await it.outcome).toMatchObject({
        by: 'broken',
        words: expect.stringContaining(`${side}: data for a channel`) as string,
      });
      expect([it.client.sent, it.target.sent]).toEqual([[], []]);
    },
  );

  test('lets nothing pass any more, while the keeper is still being told what was', async () => {
    const held = Promise.withResolvers<null>();
    using it = spliced(stage({ 'session.event': () => held.promise }));
    it.client.says(exec(10, 'id', false));
    it.kill.abort(new Error('killed'));
    it.client.says(data(10, 'rm -rf /'));
    it.target.says(stderr(0, 'x'));
    held.resolve(null);
    await it.outcome;
    expect(it.target.sent).toEqual([exec(10, 'id', false)]);
    expect(it.client.sent).toEqual([]);
  });

  test('waits until the keeper has every event', async () => {
    const held = Promise.withResolvers<null>();
    using it = spliced(stage({ 'session.event': () => held.promise }));
    it.client.says(exec(10, 'id'));
    it.client.says(about('close', 10));
    it.client.ends({ kind: 'eof' });
    const first = await Promise.race([
      it.outcome.then(() => 'over'),
      new Promise((resolve) => setImmediate(() => resolve('waiting'))),
    ]);
    expect(first).toBe('waiting');
    held.resolve(null);
    await it.outcome;
  });
});

test('a message of a number without a meaning is answered so, and the session goes on', () => {
  using it = spliced();
  it.client.says(Uint8Array.of(150, 1, 2), data(10, 'x'));
  expect([it.client.unknowns, it.target.sent]).toEqual([1, [data(10, 'x')]]);
});

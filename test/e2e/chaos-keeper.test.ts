/** A keeper that is killed, one that stays away, and one whose root key is away. */
import { chmodSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SessionId } from '../../src/base/ids.ts';
import { fullMachines } from '../lab/machine.ts';
import { account, type Chaos, openChaos, until } from './chaos-stage.ts';

describe.runIf(fullMachines)('a keeper', () => {
  let chaos: Chaos;
  beforeAll(async () => {
    chaos = await openChaos({ env: { SALLYPORT_COMEBACK_SECONDS: '4' } });
  });
  afterAll(() => chaos[Symbol.asyncDispose]());

  const versions = async () => (await chaos.call('rotation.history', { account })).versions;
  const recordingOf = async (session: string) =>
    (await chaos.call('recording.list', {})).recordings.find((one) => one.session === session);
  const newest = async () => {
    const [one] = (await chaos.call('session.list', { live: false })).sessions;
    if (one === undefined) throw new Error('there is no session');
    return one;
  };
  const text = async (recording: string): Promise<string> =>
    (await chaos.product.cli(['play', recording, '--format', 'text'])).stdout;

  it('that is killed leaves a session running, and comes back to its hold, its recording and its rotation', async () => {
    const before = (await versions()).length;
    await using terminal = await chaos.terminal();
    await terminal.answers();
    const { session } = await newest();
    const [keeper = 0] = chaos.pids('keeper');

    // Stopped first, so that there is a time without a keeper in which to look.
    process.kill(chaos.product.pid, 'SIGSTOP');
    process.kill(keeper, 'SIGKILL');
    await terminal.answers();
    terminal.type('echo "while away: $((40 + 2))"');
    await terminal.shows(/while away: 42/);
    const turnedAway = await chaos.ssh('true');
    expect(turnedAway.code).toBe(255);
    process.kill(chaos.product.pid, 'SIGCONT');

    await until('another keeper answers', async () => {
      const [fresh] = chaos.pids('keeper');
      return fresh !== keeper && (await chaos.call('status', {})).gates.some((gate) => gate.sessions === 1);
    });
    await terminal.answers();
    expect(await chaos.holds()).toBe(1);
    expect((await versions()).length).toBe(before);

    terminal.type('exit');
    expect((await terminal.ended).code).toBe(0);
    const recording = await until('the recording is sealed', async () => {
      const one = await recordingOf(session);
      return one?.state === 'sealed' && one;
    });
    expect(await text(recording.recording)).toContain('while away: 42');
    expect((await chaos.call('recording.verify', { recording: recording.recording })).ok).toBe(true);
    expect(await chaos.holds()).toBe(0);
    await until('the account is changed', async () => {
      const now = await versions();
      return now.length === before + 1 && now.at(-1)?.status === 'C';
    });
    expect((await chaos.ssh('true')).code).toBe(0);
  });

  it('that stays away ends the sessions, says why, and finds out later', async () => {
    await using terminal = await chaos.terminal();
    await terminal.answers();
    const { session } = await newest();
    const [keeper = 0] = chaos.pids('keeper');
    process.kill(keeper, 'SIGSTOP');
    terminal.type('echo "nobody listens: $((1 + 1))"');
    const { said } = await terminal.ended;
    expect(said).toMatch(/the keeper did not come back in time|could not be recorded any longer/);
    expect(said).toContain(session);
    expect((await chaos.ssh('true')).code).toBe(255);
    process.kill(keeper, 'SIGCONT');

    const ended = await until('the session is ended', async () => {
      const one = (await chaos.call('session.list', { live: false })).sessions.find((row) => row.session === session);
      return one?.state === 'ended' && one;
    });
    const recording = await until('the recording is sealed', async () => {
      const one = await recordingOf(session);
      return one?.state !== 'open' && one;
    });
    expect(ended.outcome).toBeTruthy();
    expect(['sealed', 'interrupted']).toContain(recording.state);
    expect(await text(recording.recording)).toContain('nobody listens: 2');
    expect((await chaos.call('recording.verify', { recording: recording.recording })).ok).toBe(true);
    expect(await chaos.holds()).toBe(0);
    await until('people get in again', async () => (await chaos.ssh('true')).code === 0);
  });

  it('that died between the end of a session and its seal leaves both to the next one', async () => {
    await using terminal = await chaos.terminal();
    await terminal.answers();
    const { session } = await newest();
    // What the dead keeper had committed; the rest it did not come to.
    const now = new Date();
    await chaos.db
      .updateTable('session')
      .set({ state: 'ended', ended_at: now, outcome: 'lost' })
      .where('id', '=', session as SessionId)
      .execute();
    await chaos.db.updateTable('hold').set({ released_at: now }).where('subject', '=', session).execute();
    process.kill(chaos.pids('keeper')[0] ?? 0, 'SIGKILL');
    expect((await terminal.ended).said).toContain('the session was given up meanwhile');
    const recording = await until('the recording is sealed', async () => {
      const one = await recordingOf(session);
      return one !== undefined && one.state !== 'open' && one;
    });
    expect((await chaos.call('recording.verify', { recording: recording.recording })).ok).toBe(true);
    await until('people get in again', async () => (await chaos.ssh('true')).code === 0);
  });

  it('without its root key is tried until the key is back', async () => {
    chmodSync(chaos.product.rootKey, 0o444);
    const [keeper = 0] = chaos.pids('keeper');
    process.kill(keeper, 'SIGKILL');
    await until('the log says why it cannot run', () => chaos.product.log().includes('vault.rootkey-too-open'));
    chmodSync(chaos.product.rootKey, 0o400);
    await until('people get in again', async () => (await chaos.ssh('true')).code === 0);
    expect((await chaos.call('audit.verify', {})).ok).toBe(true);
  });
});

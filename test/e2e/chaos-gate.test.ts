/** A gate that is killed takes its own sessions with it and nothing else; a database that is killed takes none. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { account, type Chaos, openChaos, type Terminal, until } from './chaos-stage.ts';

describe.runIf(fullMachines)('with two gates', () => {
  let chaos: Chaos;
  beforeAll(async () => {
    chaos = await openChaos({ gates: 2 });
  });
  afterAll(() => chaos[Symbol.asyncDispose]());

  const versions = async () => (await chaos.call('rotation.history', { account })).versions;
  const recordingOf = async (session: string) =>
    (await chaos.call('recording.list', {})).recordings.find((one) => one.session === session);
  const sessionOf = async (session: string) =>
    (await chaos.call('session.list', { live: false })).sessions.find((one) => one.session === session);
  const sessionsOn = async (pid: number): Promise<string[]> => {
    const gate = (await chaos.call('status', {})).gates.find((one) => one.pid === pid)?.gate ?? '';
    const rows = await chaos.db
      .selectFrom('session')
      .select('id')
      .where('gate_id', '=', gate)
      .where('state', '<>', 'ended')
      .execute();
    return rows.map((row) => row.id);
  };
  const text = async (recording: string): Promise<string> =>
    (await chaos.product.cli(['play', recording, '--format', 'text'])).stdout;

  /** The kernel chooses the gate: terminals are opened until there is one on each. */
  async function oneOnEach(stack: AsyncDisposableStack): Promise<Map<number, { terminal: Terminal; session: string }>> {
    const found = new Map<number, { terminal: Terminal; session: string }>();
    for (let tries = 0; found.size < 2 && tries < 20; tries++) {
      const before = new Set((await chaos.call('session.list', { live: true })).sessions.map((one) => one.session));
      const terminal = stack.use(await chaos.terminal());
      await terminal.answers();
      for (const pid of chaos.pids('gate')) {
        const fresh = (await sessionsOn(pid)).find((session) => !before.has(session));
        if (fresh !== undefined && !found.has(pid)) found.set(pid, { terminal, session: fresh });
      }
    }
    expect(found.size).toBe(2);
    return found;
  }

  it('one that is killed loses its own sessions only, up to their last two seconds', async () => {
    await using stack = new AsyncDisposableStack();
    const [[victim, lost] = [], [, other] = []] = await oneOnEach(stack);
    if (victim === undefined || lost === undefined || other === undefined) throw new Error('two gates are needed');
    lost.terminal.type('echo "marker $((6 * 7))"; sleep 2; echo "two $((1 + 1)) later"');
    // The machine's own clock says when two seconds are over.
    await lost.terminal.shows(/two 2 later/);
    const victims = await sessionsOn(victim);
    process.kill(victim, 'SIGKILL');

    await lost.terminal.ended;
    await other.terminal.answers();
    for (const session of victims) {
      await until('the session is ended as lost', async () => {
        const one = await sessionOf(session);
        return one?.state === 'ended' && /the gate ended/.test(one.outcome ?? '');
      });
    }
    const recording = await until('its recording is sealed', async () => {
      const one = await recordingOf(lost.session);
      return one?.state === 'interrupted' && one;
    });
    expect(await text(recording.recording)).toContain('marker 42');
    expect((await chaos.call('recording.verify', { recording: recording.recording })).ok).toBe(true);
    expect((await recordingOf(other.session))?.state).toBe('open');
    await other.terminal.answers();

    await until('there are two gates again', async () => {
      const { gates } = await chaos.call('status', {});
      return gates.length === 2 && gates.every((gate) => gate.pid !== victim);
    });
    const fresh = chaos.pids('gate');
    await using more = new AsyncDisposableStack();
    expect(new Set((await oneOnEach(more)).keys())).toEqual(new Set(fresh));
  });

  it('sessions go on while the database is killed and started again, and the recording is whole', async () => {
    await until('nothing is held', async () => (await chaos.holds()) === 0);
    const before = (await versions()).filter((version) => version.status === 'C').length;
    await using terminal = await chaos.terminal();
    await terminal.answers();
    const [row] = (await chaos.call('session.list', { live: true })).sessions;
    const [keeper] = chaos.pids('keeper');
    const postmaster = chaos.pids('postgres').find(Boolean) ?? 0;
    process.kill(postmaster, 'SIGKILL');
    terminal.type('echo "no database: $((20 + 3))"');
    await terminal.shows(/no database: 23/);
    await until('another database answers', async () => {
      const [fresh] = chaos.pids('postgres');
      return (
        fresh !== undefined &&
        fresh !== postmaster &&
        (await chaos.call('session.list', { live: true })).sessions.length === 1
      );
    });
    await terminal.answers();
    expect(chaos.pids('keeper')).toEqual([keeper]);

    // A kill travels by LISTEN: it is heard on the connection that was lost.
    await chaos.call('session.kill', { session: row?.session ?? '', reason: 'heard after all' });
    expect((await terminal.ended).said).toContain('heard after all');
    const recording = await until('the recording is sealed', async () => {
      const one = await recordingOf(row?.session ?? '');
      return one?.state === 'sealed' && one;
    });
    expect(await text(recording.recording)).toContain('no database: 23');
    expect((await chaos.call('recording.verify', { recording: recording.recording })).ok).toBe(true);
    expect(await chaos.holds()).toBe(0);
    await until('the account is changed', async () => {
      const now = await versions();
      return now.filter((version) => version.status === 'C').length > before && now.every((one) => one.status !== 'P');
    });
    expect((await chaos.call('audit.verify', {})).ok).toBe(true);
  });
});

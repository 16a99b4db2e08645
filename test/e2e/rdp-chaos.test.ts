/** Desktops while somebody does not read any more, and while processes of the product are killed. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { until } from './chaos-stage.ts';
import { openStreet, type Street } from './rdp-hostile-stage.ts';
import type { WireClient } from './rdp-wire-client.ts';
import type { Script, Visit } from './rdp-wire-target.ts';

const mega = 1 << 20;

/** Pictures without end, so fast as they are taken or with pauses between them. */
const painting =
  (pauseMs: number, seen: (visit: Visit) => void = () => {}): Script =>
  async (visit) => {
    seen(visit);
    await visit.reach('active');
    await visit.paint(Number.POSITIVE_INFINITY, pauseMs);
  };

describe.runIf(fullMachines)('a desktop', { timeout: 60_000 }, () => {
  let street: Street;
  beforeAll(async () => {
    street = await openStreet();
  }, 120_000);
  afterAll(async () => await street?.[Symbol.asyncDispose]());

  const memory = (pid: number): number =>
    Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
  /** Resolves when this has stayed the same for a second. */
  const settled = async (what: string, look: () => number): Promise<number> => {
    let [last, since] = [look(), Date.now()];
    return await until(what, () => {
      const now = look();
      if (now !== last) [last, since] = [now, Date.now()];
      return Date.now() - since > 1000 && now;
    });
  };
  const newest = async (): Promise<string> => {
    const [one] = (await street.house.call('session.list', { live: true })).sessions;
    return one?.session ?? '';
  };
  const recordingOf = async (session: string) =>
    (await street.house.call('recording.list', {})).recordings.find((one) => one.session === session);

  test('whose client reads no more holds up its own target only, costs no memory, and goes on when it reads again', async () => {
    const floods: Visit[] = [];
    street.target.script = painting(20);
    await using other = await street.enter();
    await other.active;
    street.target.script = painting(0, (visit) => floods.push(visit));
    await using stalled = await street.enter();
    await stalled.shown(8 * mega);
    const pid = street.pid('gate');
    const reading = memory(pid);
    stalled.pause();
    const sent = await settled('the target is held up', () => floods[0]?.stream.bytesOut ?? 0);
    const held = memory(pid);
    await other.shown(other.pictures + mega / 2);
    const later = memory(pid);
    expect(floods[0]?.stream.bytesOut).toBe(sent);
    // What waits in the gate and in the buffers of four sockets, and no more.
    expect(sent - stalled.pictures).toBeLessThan(32 * mega);
    expect(later - reading).toBeLessThan(32 * mega);
    expect(later - held).toBeLessThan(8 * mega);
    stalled.resume();
    await stalled.shown(stalled.pictures + 16 * mega);
  });

  test('whose target reads no more stops its own client only, and costs no memory', async () => {
    // mouse events, as a client that was taken over would send them
    const moves = Buffer.concat(Array.from({ length: 2000 }, () => Buffer.of(4, 9, 0x20, 0, 8, 5, 0, 5, 0)));
    const pid = street.pid('gate');
    const flood = async (client: WireClient, most: number): Promise<number> => {
      let sent = 0;
      for (let since = Date.now(); sent < most && Date.now() - since < 2000; await pause(1)) {
        if (client.congested) continue;
        client.say(moves);
        sent += moves.length;
        since = Date.now();
      }
      return sent;
    };
    street.target.script = async (visit) => {
      await visit.reach('active');
      visit.stream.relay(() => {});
      await visit.over;
    };
    await using warm = await street.enter();
    await warm.active;
    // what a busy process keeps for itself, it keeps after this
    await flood(warm, 3 * mega);
    street.target.script = async (visit) => {
      await visit.reach('active');
      visit.stream.relay(() => {});
      visit.stream.pause();
      await visit.over;
    };
    await using flooding = await street.enter();
    await flooding.active;
    const stuck = await newest();
    const from = await street.house.mark();
    street.target.script = painting(20);
    await using other = await street.enter();
    await other.active;
    const before = memory(pid);
    const sent = await flood(flooding, 64 * mega);
    expect(flooding.congested).toBe(true);
    await other.shown(other.pictures + mega / 2);
    const after = memory(pid);
    expect(sent).toBeLessThan(64 * mega);
    expect(after - before).toBeLessThan(64 * mega);
    await street.house.product.ask(['kill', stuck, '--reason', 'it is over']);
    await street.house.event((row) => row.type === 'session.ended' && row.details['session'] === stuck, from);
  });

  test('goes on while the keeper is killed and comes back, and is recorded whole', async () => {
    street.target.script = painting(50);
    const client = await street.enter();
    try {
      await client.active;
      const session = await newest();
      const from = await street.house.mark();
      const keeper = street.pid('keeper');
      // Stopped first, so that there is a time without a keeper in which to look.
      process.kill(street.house.product.pid, 'SIGSTOP');
      process.kill(keeper, 'SIGKILL');
      await client.shown(client.pictures + mega / 4);
      process.kill(street.house.product.pid, 'SIGCONT');
      await street.house.event(({ type }) => type === 'gate.reconnected', from);
      await client.shown(client.pictures + mega / 4);
      expect(await newest()).toBe(session);
      expect(await street.holds()).toBe(1);
      const shown = client.pictures;
      await client[Symbol.asyncDispose]();
      const ended = await street.house.event(({ type }) => type === 'session.ended', from);
      expect(ended.details).toMatchObject({ outcome: 'client' });
      const recording = await until('the recording is sealed', async () => {
        const one = await recordingOf(session);
        return one?.state === 'sealed' && one;
      });
      expect((await street.house.call('recording.verify', { recording: recording.recording })).ok).toBe(true);
      expect(shown).toBeGreaterThan(mega / 2);
      expect(await street.holds()).toBe(0);
    } finally {
      process.kill(street.house.product.pid, 'SIGCONT');
      await client[Symbol.asyncDispose]();
    }
  });

  test('whose gate is killed is ended as lost: what was recorded is sealed as cut, and the account is free again', async () => {
    street.target.script = painting(50);
    await using client = await street.enter();
    await client.shown(mega);
    const session = await newest();
    process.kill(street.pid('gate'), 'SIGKILL');
    await client.closed;
    await until('the session is ended', async () => {
      const { sessions } = await street.house.call('session.list', { live: false });
      const one = sessions.find((row) => row.session === session);
      return one?.state === 'ended' && /the gate ended/.test(one.outcome ?? '');
    });
    const recording = await until('its recording is sealed', async () => {
      const one = await recordingOf(session);
      return one?.state === 'interrupted' && one;
    });
    expect((await street.house.call('recording.verify', { recording: recording.recording })).ok).toBe(true);
    expect(await street.holds()).toBe(0);
  });
});

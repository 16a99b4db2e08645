/**
 * Twenty people at work while keeper, gates and database are killed at random. Nobody is promised that his session
 * survives; everybody is promised that nothing is forgotten. `CHAOS_SEED` repeats a run.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ssh } from '../lab/client.ts';
import { fullMachines } from '../lab/machine.ts';
import { openStoppedVault } from '../support/stopped-vault.ts';
import { account, type Chaos, openChaos, until } from './chaos-stage.ts';

const seed = Number(process.env['CHAOS_SEED'] ?? randomInt(2 ** 31));
const seconds = Number(process.env['CHAOS_SECONDS'] ?? 25);
const people = 20;

/** Park and Miller's minimal standard: small, known, and the same everywhere. */
function draw(from: number): (below: number) => number {
  let state = (from % 2_147_483_646) + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

describe.runIf(fullMachines)(`a storm (seed ${seed})`, () => {
  let chaos: Chaos;
  beforeAll(async () => {
    chaos = await openChaos({ gates: 2, env: { SALLYPORT_COMEBACK_SECONDS: '10', SALLYPORT_CONNECTOR_SECONDS: '9' } });
  });
  afterAll(() => chaos[Symbol.asyncDispose]());

  it('leaves no hold, no open session and no unsealed recording, and the trail unbroken', async () => {
    const over = Date.now() + seconds * 1000;
    const kills = { keeper: 0, gate: 0, postgres: 0 };
    const done = { whole: 0, cut: 0, refused: 0 };

    /** One person: terminals and commands, one after the other, until the storm is over. */
    async function work(number: number): Promise<void> {
      const choose = draw(seed + number + 1);
      while (Date.now() < over) {
        try {
          if (choose(2) === 0) {
            const ran = await chaos.ssh(`seq 1 ${choose(2000)}; echo whole`);
            done[ran.stdout.endsWith('whole\n') ? 'whole' : ran.stdout === '' ? 'refused' : 'cut']++;
          } else {
            await using terminal = await chaos.terminal();
            for (let lines = choose(8); lines >= 0; lines--) await terminal.answers();
            terminal.type('exit');
            await terminal.ended;
            done.whole++;
          }
        } catch {
          done.cut++;
        }
        await pause(200 + choose(1500));
      }
    }

    async function kill(): Promise<void> {
      const choose = draw(seed);
      while (Date.now() < over) {
        await pause(1000 + choose(4000));
        const part = (['keeper', 'gate', 'postgres', 'gate'] as const)[choose(4)] ?? 'keeper';
        const pids = chaos.pids(part);
        const pid = pids[choose(Math.max(pids.length, 1))];
        if (pid === undefined) continue;
        process.kill(pid, 'SIGKILL');
        kills[part]++;
      }
    }
    await Promise.all([kill(), ...Array.from({ length: people }, (_, number) => work(number))]);
    process.stdout.write(`storm: seed ${seed}, kills ${JSON.stringify(kills)}, sessions ${JSON.stringify(done)}\n`);
    expect(done.whole).toBeGreaterThan(0);
    expect(kills.keeper + kills.gate + kills.postgres).toBeGreaterThan(3);

    await until('both gates are back', async () => (await chaos.call('status', {})).gates.length === 2);
    await until(
      'nothing is in progress',
      async () => (await chaos.call('session.list', { live: true })).sessions.length === 0,
      60,
    );
    await until('nothing is held', async () => (await chaos.holds()) === 0);
    const recordings = await until('nothing is unsealed', async () => {
      const all = (await chaos.call('recording.list', {})).recordings;
      return all.every((one) => one.state !== 'open') && all;
    });
    const broken = [];
    for (const { recording, state } of recordings) {
      const verdict = await chaos.call('recording.verify', { recording });
      if (!verdict.ok && state !== 'interrupted') broken.push({ recording, state, verdict });
      else if (state === 'broken') broken.push({ recording, state, verdict });
    }
    expect(broken).toEqual([]);
    expect((await chaos.call('audit.verify', {})).ok).toBe(true);

    // The account is changed as soon as the lease of a change that was killed has run out; in no case is what opens it lost.
    await until(
      'a change was made, or is pending',
      async () => {
        const { versions } = await chaos.call('rotation.history', { account });
        return versions.length > 1;
      },
      60,
    );
    await chaos.product.stop();
    await using vault = await openStoppedVault(chaos.product.data, chaos.product.rootKey);
    const opened = [];
    for (const { bytes, current } of await vault.values(account)) {
      const { machine } = chaos;
      const answers = [Buffer.from(bytes).toString('utf8')];
      const ran = await ssh(
        { ...machine, knownHosts: machine.knownHosts() },
        { user: 'root', answers, command: 'true' },
      );
      if (ran.code === 0) opened.push({ current });
    }
    expect(opened.length).toBe(1);
  });
});

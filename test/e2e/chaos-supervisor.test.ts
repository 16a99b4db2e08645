/** A supervisor that is killed: its parts end by themselves, in order, and the next start finds everything in a known state. */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { partsOf, startProduct } from '../support/sallyport.ts';
import { account, type Chaos, openChaos, until } from './chaos-stage.ts';

describe.runIf(fullMachines)('a supervisor that is killed', () => {
  let chaos: Chaos;
  beforeAll(async () => {
    chaos = await openChaos();
  });
  afterAll(() => chaos[Symbol.asyncDispose]());

  /** One that has ended and was not yet fetched by its new parent does nothing any more. */
  const alive = (pid: number): boolean => {
    const stat = `/proc/${pid}/stat`;
    return existsSync(stat) && !/\) Z /.test(readFileSync(stat, 'latin1'));
  };
  const session = async (id: string) =>
    (await chaos.call('session.list', { live: false })).sessions.find((one) => one.session === id);
  const recordingOf = async (id: string) =>
    (await chaos.call('recording.list', {})).recordings.find((one) => one.session === id);
  const versions = async () => (await chaos.call('rotation.history', { account })).versions;
  const newest = async (): Promise<string> =>
    (await chaos.call('session.list', { live: true })).sessions.at(-1)?.session ?? '';

  it('has its gate end the sessions with a reason and its keeper seal them; the next start waits for that', async () => {
    await using terminal = await chaos.terminal();
    await terminal.answers();
    const id = await newest();
    const parts = partsOf(chaos.product.pid).filter((part) => part.name !== 'postgres');
    chaos.product.kill('SIGKILL');
    await chaos.product.exited;
    await terminal.answers();
    const starting = chaos.startAgain();
    expect((await terminal.ended).said).toContain('Sallyport is being stopped');
    await starting;
    expect(parts.map((part) => alive(part.pid))).toEqual(parts.map(() => false));
    expect(chaos.product.log()).toContain('adopted');

    expect((await session(id))?.state).toBe('ended');
    const recording = await recordingOf(id);
    expect(recording?.state).toBe('sealed');
    expect((await chaos.call('recording.verify', { recording: recording?.recording ?? '' })).ok).toBe(true);
    expect(await chaos.holds()).toBe(0);
    await until('the account is changed', async () => (await versions()).at(-1)?.status === 'C');
    expect((await chaos.ssh('true')).code).toBe(0);
  });

  it('together with its gate and keeper leaves a session that the next start ends, releases and seals', async () => {
    await until('nothing is held or under way', async () => {
      const now = await versions();
      return (await chaos.holds()) === 0 && now.every((one) => one.status !== 'P');
    });
    const before = (await versions()).length;
    await using terminal = await chaos.terminal();
    await terminal.answers();
    const id = await newest();
    const parts = partsOf(chaos.product.pid).filter((part) => part.name !== 'postgres');
    chaos.product.kill('SIGKILL');
    for (const part of parts) process.kill(part.pid, 'SIGKILL');
    await chaos.product.exited;
    await terminal.ended;
    expect(await chaos.holds()).toBe(1);

    await chaos.startAgain();
    const ended = await until('the session is ended', async () => {
      const one = await session(id);
      return one?.state === 'ended' && one;
    });
    expect(ended.outcome).toBe('its gate did not survive');
    const recording = await until('the recording is sealed', async () => {
      const one = await recordingOf(id);
      return one?.state === 'interrupted' && one;
    });
    expect((await chaos.call('recording.verify', { recording: recording.recording })).ok).toBe(true);
    expect(await chaos.holds()).toBe(0);
    await until('the account is changed', async () => {
      const now = await versions();
      return now.length > before && now.at(-1)?.status === 'C';
    });
    expect((await chaos.call('audit.verify', {})).ok).toBe(true);
  });

  it('leaves a stopped gate behind, which the next start ends', async () => {
    const [gate = 0] = chaos.pids('gate');
    process.kill(gate, 'SIGSTOP');
    chaos.product.kill('SIGKILL');
    await chaos.product.exited;
    await chaos.startAgain();
    expect(alive(gate)).toBe(false);
    expect(chaos.product.log()).toContain('waiting for what is left');
    await expect(startProduct({ home: chaos.home })).rejects.toThrow('supervisor.already-running');
    expect((await chaos.ssh('true')).code).toBe(0);
  });
});

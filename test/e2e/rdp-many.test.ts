/** Ten people's desktops on one gate at the same time: each sees its own, and the end of one is nobody else's. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { untilSame } from '../lab/rdp/compare.ts';
import { picture } from '../lab/rdp/screen.ts';
import { type Desk, openDesk } from './rdp-stage.ts';
import { soon, type Visit, visit } from './rdp-visit.ts';

const names = Array.from({ length: 10 }, (_, i) => `desk${i}`);

describe.runIf(fullMachines)('ten desktops at once', { timeout: 120_000 }, () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk({ accounts: Object.fromEntries(names.map((name) => [name, {}])) });
  }, 240_000);
  afterAll(async () => await desk?.[Symbol.asyncDispose]());

  test('are each what their targets show, and one that is killed leaves nine', async () => {
    await using all = new AsyncDisposableStack();
    const visits: Visit[] = [];
    for (const name of names)
      visits.push(all.use(await visit(desk, name, { program: 'xfreerdp', width: 800, height: 600 })));
    const same = async ({ client, screen }: Visit): Promise<void> => {
      await untilSame(
        (signal) => picture(screen, {}, signal),
        (signal) => client.picture(signal),
        soon(60),
      );
    };
    await Promise.all(names.map((name, seed) => desk.xrdp.scroll(name, { seed, lines: 30 }, soon(60))));
    await Promise.all(visits.map(same));
    const [killed, ...others] = visits as [Visit, ...Visit[]];
    await desk.house.product.ask(['kill', killed.session, '--reason', 'one of ten']);
    await killed.client.ended;
    expect(killed.client.log()).toContain('ERRINFO_RPC_INITIATED_DISCONNECT');
    await Promise.all(
      names.slice(1).map((name, seed) => desk.xrdp.scroll(name, { seed: seed + 20, lines: 30 }, soon(60))),
    );
    await Promise.all(others.map(same));
  });
});

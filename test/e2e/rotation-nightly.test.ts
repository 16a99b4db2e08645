/** B-39 in the product: the nightly look for conflicts happens without being asked, once, and the report shows when. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeHome, startProduct } from '../support/sallyport.ts';
import { until } from './chaos-stage.ts';

const home = makeHome();
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Report {
  readonly rows: readonly unknown[];
  readonly lastDiscovery?: { readonly at: string; readonly accounts: number; readonly found: number };
}

test('it is made up at the first start, shown by the report, and not made again for the same night', async () => {
  let first: Report = { rows: [] };
  {
    await using product = await startProduct({ home });
    await until('all accounts were looked at', async () => {
      first = await product.ask<Report>(['conflicts', 'report']);
      return first.lastDiscovery !== undefined;
    });
    expect(first).toMatchObject({ rows: [], lastDiscovery: { accounts: 0, found: 0 } });
    const { stdout } = await product.cli(['conflicts', 'report']);
    expect(stdout).toContain(
      `all accounts were last looked at on ${first.lastDiscovery?.at}: 0 accounts, 0 in conflict`,
    );
  }
  // The next night begins now: a start that finds it not yet come does nothing.
  const soon = new Date(Date.now() + 3_600_000).toISOString().slice(11, 16);
  const config = join(home, 'config.yaml');
  writeFileSync(config, `rotation: { discoverAt: "${soon}" }\n`);
  await using again = await startProduct({ home, env: { SALLYPORT_CONFIG: config } });
  expect(await again.ask<Report>(['conflicts', 'report'])).toEqual(first);
  const byHand = await again.ask<{ at: string }>(['conflicts', 'discover']);
  expect(await again.ask<Report>(['conflicts', 'report'])).toMatchObject({ lastDiscovery: { at: byHand.at } });
});

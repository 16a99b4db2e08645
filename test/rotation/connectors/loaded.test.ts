import { expect, test } from 'vitest';
import { loadConnector } from '../../../src/rotation/connectors/loaded.ts';
import { allConnectors } from '../../../src/rotation/connectors/registry.ts';

test('a connector process can load every connector that accounts may name, and nothing else', async () => {
  for (const connector of allConnectors) expect(await loadConnector(connector.name), connector.name).toBe(connector);
  expect(await loadConnector('constructor')).toBeUndefined();
});

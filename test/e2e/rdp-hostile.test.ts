/** Those who come to the gate with bad intentions: what each gets, and that it costs nobody else anything. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStreet, type Street } from './rdp-hostile-stage.ts';

describe('strangers at the door for desktops', { timeout: 20_000 }, () => {
  let street: Street;
  beforeAll(async () => {
    street = await openStreet({ logLevel: 'debug' });
  }, 60_000);
  afterAll(async () => await street?.[Symbol.asyncDispose]());

  test('a client of our own sees a desktop of a target of our own', async () => {
    await using client = await street.enter();
    await client.active;
    await client.shown(60_000);
  });
});

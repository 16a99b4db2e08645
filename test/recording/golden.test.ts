/** Files of every version that was ever written are read for ever. A vector is never changed, only added. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fromHex, hex } from '../../src/base/bytes.ts';
import { Secret } from '../../src/base/secret.ts';
import { readHeader } from '../../src/recording/playback.ts';
import { verifyRecording } from '../../src/recording/verify.ts';
import { eventsOf } from './made.ts';

const vectors = join(import.meta.dirname, '..', 'vectors', 'recording');

test.each(['v1'])('a recording of version %s is read and verified as on the day it was written', async (name) => {
  const told = JSON.parse(readFileSync(join(vectors, `${name}.json`), 'utf8')) as Record<string, unknown>;
  const bytes = (field: string): Uint8Array => fromHex(String(told[field])) ?? new Uint8Array();
  const path = join(vectors, `${name}.recording`);
  using key = new Secret(bytes('key'));
  expect(await readHeader(path)).toEqual(told['header']);
  expect(await verifyRecording(path, { publicKey: bytes('publicKey'), key })).toMatchObject({
    ok: true,
    state: 'sealed',
    blocks: told['blocks'],
    trusted: true,
  });
  const spelled = (_: string, value: unknown): unknown => (value instanceof Uint8Array ? `hex ${hex(value)}` : value);
  const events = (await eventsOf(path, key)).map((event) => JSON.stringify(event, spelled));
  expect(events).toEqual(
    readFileSync(join(vectors, `${name}.events.jsonl`), 'utf8')
      .trim()
      .split('\n'),
  );
});

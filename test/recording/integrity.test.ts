/** Whatever is changed in a sealed recording is found, and the first part that has the fault is named. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { concat, empty, utf8 } from '../../src/base/bytes.ts';
import type { RecordingId } from '../../src/base/ids.ts';
import { Secret } from '../../src/base/secret.ts';
import { encodeSeal, sealContext } from '../../src/recording/format/container.ts';
import { type BlockPart, type Part, partsOf, type Source } from '../../src/recording/reading.ts';
import { verifyParts, verifyRecording } from '../../src/recording/verify.ts';
import { type Made, made, sealer } from './made.ts';

const signer = sealer();

/** A sealed recording of several blocks, as a keeper would have sealed it. */
async function sealed(it: Made): Promise<Uint8Array> {
  for (let n = 0; n < 6; n++) {
    it.recorder.append('output', 1, utf8(`line ${n} of the session\r\n`.repeat(3)), it.at(n));
    it.recorder.record({ kind: 'note', text: 'x'.repeat(200) }, 1, it.at(n));
  }
  await it.recorder[Symbol.asyncDispose]();
  const body = new Uint8Array(readFileSync(it.path));
  const blocks = (await partsIn(body)).filter((part) => part.kind === 'block');
  return concat([body, await sealFor(body, blocks)]);
}

async function sealFor(body: Uint8Array, blocks: readonly BlockPart[], by = signer): Promise<Uint8Array> {
  const head = blocks.at(-1)?.hash ?? empty;
  const signed = encodeSeal({
    part: 'seal',
    state: 'sealed',
    blocks: blocks.length,
    size: body.length,
    sealedAt: 1_760_000_100_000,
    head,
    publicKey: by.publicKey,
    reason: 'test',
  });
  return concat([signed, await by.sign(concat([sealContext, signed]))]);
}

function inMemory(bytes: Uint8Array): Source {
  return { read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)) };
}

async function partsIn(bytes: Uint8Array): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of partsOf(inMemory(bytes))) parts.push(part);
  return parts;
}

async function fault(bytes: Uint8Array, id?: RecordingId): Promise<string | undefined> {
  const verdict = await verifyParts(partsOf(inMemory(bytes)), { publicKey: signer.publicKey, ...(id && { id }) });
  return verdict.ok ? undefined : verdict.broken;
}

let file: Uint8Array;
let other: Uint8Array;
let id: RecordingId;
let otherId: RecordingId;
let key: Uint8Array;
let parts: Part[];

beforeAll(async () => {
  await using it = await made({ limits: { blockBytes: 250 } });
  await using another = await made({ limits: { blockBytes: 250 } });
  [file, other] = [await sealed(it), await sealed(another)];
  [id, otherId] = [it.header.id, another.header.id];
  key = it.key.reveal().slice();
  parts = await partsIn(file);
});

const blocks = (): BlockPart[] => parts.filter((part) => part.kind === 'block');

test('a recording as it was written verifies, with and without its data key', async () => {
  expect(blocks().length).toBeGreaterThanOrEqual(6);
  const options = { id, publicKey: signer.publicKey };
  const verdict = { ok: true, blocks: blocks().length, state: 'sealed', trusted: true };
  expect(await verifyParts(partsOf(inMemory(file)), options)).toMatchObject(verdict);
  using secret = new Secret(key.slice());
  expect(await verifyParts(partsOf(inMemory(file)), { ...options, key: secret })).toMatchObject(verdict);
  expect(await verifyParts(partsOf(inMemory(file)), {})).toMatchObject({ ok: true, trusted: false });
});

test('every one of 10,000 changed bytes is found', async () => {
  const change = fc.record({ at: fc.nat(file.length - 1), by: fc.integer({ min: 1, max: 255 }) });
  await fc.assert(
    fc.asyncProperty(change, async ({ at, by }) => {
      const bytes = file.slice();
      bytes[at] = (bytes[at] ?? 0) ^ by;
      expect(await fault(bytes)).toBeDefined();
    }),
    { numRuns: 10_000 },
  );
});

test('a changed byte names its own block', async () => {
  for (const { head, offset, bytes } of blocks()) {
    const changed = file.slice();
    changed[offset + bytes.length - 40] = (changed[offset + bytes.length - 40] ?? 0) ^ 1;
    expect(await fault(changed)).toBe(`block ${head.number}: hash differs`);
  }
  const changed = file.slice();
  changed[30] = (changed[30] ?? 0) ^ 1;
  expect(await fault(changed)).toBe('header: hash differs');
});

test('every truncation is found, and names the first part that is missing', async () => {
  for (let length = 0; length < file.length; length++) {
    const words = await fault(file.subarray(0, length));
    const missing = blocks().find((block) => block.offset + block.bytes.length > length);
    const begins = blocks()[0]?.offset ?? 0;
    if (length < begins) expect(words).toMatch(/^header: /);
    else if (missing === undefined) expect(words).toMatch(/^(seal|block \d+): /);
    else expect(words).toMatch(new RegExp(`^block ${missing.head.number}: `));
  }
});

test('something after the seal is found', async () => {
  expect(await fault(concat([file, new Uint8Array(1)]))).toBe('seal: something follows the seal');
});

test('the last block dropped, and the seal moved up, is found', async () => {
  const last = blocks().at(-1);
  const end = (last?.offset ?? 0) + (last?.bytes.length ?? 0);
  const without = concat([file.subarray(0, last?.offset), file.subarray(end)]);
  expect(await fault(without)).toBe(
    `block ${last?.head.number}: the seal is for ${blocks().length} blocks, ${blocks().length - 1} are here`,
  );
});

test('two blocks that changed places are found', async () => {
  const [first, second] = [blocks()[2], blocks()[3]];
  if (first === undefined || second === undefined) throw new Error('too few blocks');
  const end = second.offset + second.bytes.length;
  const swapped = concat([file.subarray(0, first.offset), second.bytes, first.bytes, file.subarray(end)]);
  expect(await fault(swapped)).toBe('block 2: block 3 stands in its place');
});

test('a block of another recording in the place of the same number is found', async () => {
  const foreign = (await partsIn(other)).find((part) => part.kind === 'block' && part.head.number === 2);
  const [own] = blocks().slice(2);
  if (foreign?.kind !== 'block' || own === undefined) throw new Error('too few blocks');
  const bytes = concat([file.subarray(0, own.offset), foreign.bytes, file.subarray(own.offset + own.bytes.length)]);
  expect(await fault(bytes)).toBe('block 2: hash differs');
});

test('two files that changed names are found, because a file is named after its recording', async () => {
  await using it = await made();
  const path = join(it.folder, `${id}.recording`);
  writeFileSync(path, other);
  expect(await verifyRecording(path, { publicKey: signer.publicKey })).toEqual({
    ok: false,
    broken: `header: this is recording ${otherId}`,
  });
});

test('a whole chain written anew by somebody without the seal key is found', async () => {
  const chain = (await partsIn(other)).filter((part) => part.kind === 'block');
  const last = chain.at(-1);
  const body = other.subarray(0, (last?.offset ?? 0) + (last?.bytes.length ?? 0));
  const forged = concat([body, await sealFor(body, chain, sealer())]);
  expect(await fault(forged)).toMatch(/^seal: sealed with another key/);
  const { publicKey } = signer;
  const pretended = concat([body, await sealFor(body, chain, { ...sealer(), publicKey })]);
  expect(await fault(pretended)).toBe('seal: the signature does not fit');
});

test('a block that the keeper knows otherwise is named', async () => {
  const known = blocks().map(({ head, hash }) => ({
    number: head.number,
    hash: head.number === 4 ? new Uint8Array(32) : hash,
  }));
  const verdict = await verifyParts(partsOf(inMemory(file)), { blocks: known });
  expect(verdict).toEqual({ ok: false, broken: 'block 4: hash differs from the one the keeper was told' });
});

test('the wrong data key opens nothing', async () => {
  using wrong = new Secret(new Uint8Array(32));
  const verdict = await verifyParts(partsOf(inMemory(file)), { key: wrong });
  expect(verdict).toMatchObject({
    ok: false,
    broken: expect.stringMatching(/^block 0: a recording cannot be opened/) as string,
  });
});

test('arbitrary bytes are never a recording, and never more than a verdict', async () => {
  const start = fc.constantFrom(0, 16, blocks()[0]?.offset ?? 0, (blocks()[0]?.offset ?? 0) + 40);
  await fc.assert(
    fc.asyncProperty(start, fc.uint8Array({ maxLength: 400 }), async (length, tail) => {
      expect(await fault(concat([file.subarray(0, length), tail]))).toBeDefined();
    }),
    { numRuns: 500 },
  );
});

/** The keeper's side: what was told once is final, and what leaves the spool is checked, sealed and kept. */
import { existsSync, linkSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, afterAll, expect, test } from 'vitest';
import { tail } from '../../src/audit/audit.ts';
import { utf8 } from '../../src/base/bytes.ts';
import type { Refusal } from '../../src/base/errors.ts';
import type { RecordingId } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import type { RecordingHeader } from '../../src/recording/format/container.ts';
import type { BlockReport, RecorderOptions } from '../../src/recording/recorder.ts';
import { type SealOptions, sealOrphans, sealRecording } from '../../src/recording/sealing.ts';
import { blocksOf, findRecording, listRecordings, recordBlock, startRecording } from '../../src/recording/store.ts';
import { verifyRecording } from '../../src/recording/verify.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { eventsOf, type Made, made, never, sealer, someHeader } from './made.ts';

const gate = newId<RecordingId>() as string;
const signer = sealer();
let test_: TestDatabase;
beforeAll(async () => {
  test_ = await testDatabase();
});
afterAll(async () => {
  await test_[Symbol.asyncDispose]();
});

async function started(header: RecordingHeader): Promise<void> {
  const { id, session, protocol, user, account, target, client, startedAt } = header;
  await startRecording(test_.db, {
    id,
    session,
    gate,
    protocol,
    user,
    account,
    target,
    client,
    startedAt: new Date(startedAt),
  });
}

interface Kept extends Made {
  readonly options: SealOptions;
  /** The file in the store. */
  readonly stored: string;
}

/** A recorder that reports to the real keeper's tables; `report` may change what is told. */
async function kept(report?: RecorderOptions['report'], header = someHeader()): Promise<Kept> {
  await started(header);
  const tell = report ?? ((block: BlockReport) => recordBlock(test_.db, header.id, gate, block));
  const it = await made({ header, report: tell, limits: { blockBytes: 100 } });
  const store = join(it.folder, 'store');
  await mkdir(store);
  const options = { spool: it.folder, store, signer, reason: 'the session ended', now: header.startedAt + 60_000 };
  return Object.assign(it, { options, stored: join(store, `${header.id}.recording`) });
}

async function finished(it: Kept): Promise<void> {
  for (let n = 0; n < 5; n++) it.recorder.append('output', 1, utf8(`line ${n} `.repeat(20)), it.at(n));
  await it.recorder[Symbol.asyncDispose]();
}

async function audited(id: RecordingId): Promise<string[]> {
  const rows = await tail(test_.db, { after: 0, about: { recording: id }, limit: 100 });
  return rows.map((row) => row.type);
}

async function verdict(it: Kept): ReturnType<typeof verifyRecording> {
  const blocks = await blocksOf(test_.db, it.header.id);
  return verifyRecording(it.stored, { publicKey: signer.publicKey, blocks, key: it.key });
}

test('a recording that ended is sealed: in the store, signed, verified, gone from the spool, audited', async () => {
  await using it = await kept();
  await finished(it);
  const row = await sealRecording(test_.db, it.header.id, it.options, never);
  expect(row).toMatchObject({
    state: 'sealed',
    blocks: it.reports.length === 0 ? row.blocks : 0,
    reason: 'the session ended',
  });
  expect(row.blocks).toBeGreaterThan(5);
  expect(existsSync(it.path)).toBe(false);
  expect(await verdict(it)).toMatchObject({ ok: true, state: 'sealed', blocks: row.blocks, trusted: true });
  expect((await eventsOf(it.stored, it.key)).at(-1)?.detail.kind).toBe('end');
  expect(await audited(it.header.id)).toEqual(['recording.started', 'recording.sealed']);
  const [block] = await test_.db
    .selectFrom('recording_block')
    .selectAll()
    .where('recording_id', '=', it.header.id)
    .execute();
  expect(block?.witnessed).toBe(true);
});

test('sealing twice changes nothing', async () => {
  await using it = await kept();
  await finished(it);
  const row = await sealRecording(test_.db, it.header.id, it.options, never);
  const file = readFileSync(it.stored);
  expect(await sealRecording(test_.db, it.header.id, { ...it.options, now: 1, reason: 'again' }, never)).toEqual(row);
  expect(readFileSync(it.stored).equals(file)).toBe(true);
});

test('a recording without its end is interrupted; half a block at its end is cut off', async () => {
  await using it = await kept();
  it.recorder.append('output', 1, utf8('x'.repeat(200)), it.at(1));
  while ((await blocksOf(test_.db, it.header.id)).length < 2) await new Promise((resolve) => setImmediate(resolve));
  writeFileSync(it.path, readFileSync(it.path).subarray(0, 100), { flag: 'a' });
  const row = await sealRecording(test_.db, it.header.id, it.options, never);
  expect(row).toMatchObject({ state: 'interrupted', blocks: 2 });
  expect(await verdict(it)).toMatchObject({ ok: true, state: 'interrupted', blocks: 2 });
});

test('whole blocks that the keeper was never told of are kept, and marked', async () => {
  let told = 0;
  const header = someHeader();
  await using it = await kept(
    (block) => (told++ < 2 ? recordBlock(test_.db, header.id, gate, block) : Promise.resolve(undefined)),
    header,
  );
  await finished(it);
  const row = await sealRecording(test_.db, it.header.id, it.options, never);
  expect(row).toMatchObject({ state: 'sealed' });
  const rows = await test_.db
    .selectFrom('recording_block')
    .selectAll()
    .where('recording_id', '=', it.header.id)
    .orderBy('number')
    .execute();
  expect(rows).toHaveLength(row.blocks);
  expect(rows.map((block) => block.witnessed)).toEqual(rows.map((block) => block.number < 2));
  expect(await verdict(it)).toMatchObject({ ok: true });
});

test('a block that is not what the gate had told makes the recording broken, kept as evidence', async () => {
  await using it = await kept();
  await finished(it);
  const bytes = readFileSync(it.path);
  bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1;
  writeFileSync(it.path, bytes);
  const row = await sealRecording(test_.db, it.header.id, it.options, never);
  expect(row).toMatchObject({ state: 'broken', reason: `block ${row.blocks - 1}: hash differs` });
  expect(readFileSync(it.stored).equals(bytes)).toBe(true);
  expect(await verdict(it)).toEqual({ ok: false, broken: row.reason });
  expect(await audited(it.header.id)).toEqual(['recording.started', 'recording.broken']);
});

test('a spool that lost a reported block is broken, and the block is named', async () => {
  await using it = await kept();
  await finished(it);
  truncateSync(it.path, readFileSync(it.path).length - 10);
  const row = await sealRecording(test_.db, it.header.id, it.options, never);
  expect(row).toMatchObject({
    state: 'broken',
    reason: `block ${row.blocks - 1}: missing, though the keeper was told of it`,
  });
});

test('a whole other chain, even a well-made one, in place of the recording is broken', async () => {
  await using it = await kept();
  await finished(it);
  await using fake = await made({ header: it.header, limits: { blockBytes: 100 } });
  fake.recorder.append('output', 1, utf8('nothing happened'), fake.at(1));
  await fake.recorder[Symbol.asyncDispose]();
  writeFileSync(it.path, readFileSync(fake.path));
  const row = await sealRecording(test_.db, it.header.id, it.options, never);
  expect(row).toMatchObject({ state: 'broken', reason: 'block 0: hash differs from the one the keeper was told' });
});

test('the file of another session under this name is broken', async () => {
  await using it = await kept();
  await finished(it);
  await using other = await made();
  await other.recorder[Symbol.asyncDispose]();
  writeFileSync(it.path, readFileSync(other.path));
  const row = await sealRecording(test_.db, it.header.id, it.options, never);
  expect(row).toMatchObject({ state: 'broken', reason: `header: this is recording ${other.header.id}` });
});

test.each(['symbolic', 'hard'])(
  'a %s link in the spool is not followed, and the recording stays open',
  async (kind) => {
    await using it = await kept();
    await finished(it);
    const secret = join(it.folder, 'secret');
    writeFileSync(secret, readFileSync(it.path));
    const spool = join(it.folder, 'spool');
    await mkdir(spool);
    (kind === 'hard' ? linkSync : symlinkSync)(secret, join(spool, it.header.id));
    await expect(sealRecording(test_.db, it.header.id, { ...it.options, spool }, never)).rejects.toMatchObject({
      code: 'recording.spool',
    });
    expect((await findRecording(test_.db, it.header.id))?.state).toBe('open');
  },
);

test('after a crash between the move and the commit sealing starts again and comes to the same', async () => {
  await using it = await kept();
  await finished(it);
  // As after the crash: the sealed file is in the store, and the spooled one and the open row are still there.
  writeFileSync(it.stored, 'what an earlier attempt left');
  writeFileSync(`${it.stored}.part`, 'half');
  expect(await sealRecording(test_.db, it.header.id, it.options, never)).toMatchObject({ state: 'sealed' });
  expect(await verdict(it)).toMatchObject({ ok: true, state: 'sealed' });
  expect(existsSync(`${it.stored}.part`)).toBe(false);
});

test('a gate that removed its file after the move was made gains nothing by it', async () => {
  await using it = await kept();
  await finished(it);
  const failing = { ...signer, sign: () => Promise.reject(new Error('power cut')) };
  await expect(sealRecording(test_.db, it.header.id, { ...it.options, signer: failing }, never)).rejects.toThrow(
    'power cut',
  );
  expect((await findRecording(test_.db, it.header.id))?.state).toBe('open');
  writeFileSync(it.stored, readFileSync(it.path));
  const { unlinkSync } = await import('node:fs');
  unlinkSync(it.path);
  expect(await sealRecording(test_.db, it.header.id, it.options, never)).toMatchObject({ state: 'sealed' });
  expect(await verdict(it)).toMatchObject({ ok: true });
});

test('a recording whose file is gone is broken; one that never began is interrupted and has no file', async () => {
  await using it = await kept();
  await finished(it);
  const options = { ...it.options, spool: join(it.folder, 'nowhere') };
  expect(await sealRecording(test_.db, it.header.id, options, never)).toMatchObject({
    state: 'broken',
    reason: 'the file is missing',
  });
  const header = someHeader();
  await started(header);
  const row = await sealRecording(test_.db, header.id, options, never);
  expect(row).toMatchObject({ state: 'interrupted', blocks: 0, file: undefined });
});

test('a dead gate: all its open recordings are sealed, those that still run are left', async () => {
  await using one = await kept();
  await using two = await kept();
  await using running = await kept();
  await finished(one);
  two.recorder.append('output', 1, utf8('cut off'), two.at(1));
  const spool = join(one.folder, 'spool');
  await mkdir(spool);
  for (const it of [one, two]) writeFileSync(join(spool, it.header.id), readFileSync(it.path));
  const open = await listRecordings(test_.db, { limit: 100, state: 'open' });
  const others = open.map((row) => row.id).filter((id) => id !== one.header.id && id !== two.header.id);
  expect(others).toContain(running.header.id);
  const rows = await sealOrphans(test_.db, gate, new Set(others), { ...one.options, spool }, never);
  expect(rows.map((row) => row.state).toSorted()).toEqual(['interrupted', 'sealed']);
  expect((await findRecording(test_.db, running.header.id))?.state).toBe('open');
});

test('a block told again as it was is accepted; told otherwise it is refused and audited', async () => {
  const told: BlockReport[] = [];
  const header = someHeader();
  await using it = await kept(async (block) => {
    told.push(block);
    return recordBlock(test_.db, header.id, gate, block);
  }, header);
  await finished(it);
  const [first, second] = told;
  if (first === undefined || second === undefined) throw new Error('too few blocks');
  const say = (block: BlockReport, by = gate): Promise<Refusal | undefined> =>
    recordBlock(test_.db, header.id, by, block);
  expect(await say(first)).toBeUndefined();
  expect(await say(second)).toBeUndefined();
  expect(await say({ ...second, hash: new Uint8Array(32) })).toMatchObject({
    refused: true,
    code: 'recording.block-rewritten',
  });
  expect(await say({ ...second, number: 100 })).toMatchObject({ code: 'recording.block-out-of-order' });
  const last = told.at(-1) ?? first;
  const next = { ...last, number: last.number + 1, offset: last.offset + last.length, previous: new Uint8Array(32) };
  expect(await say(next)).toMatchObject({ code: 'recording.block-out-of-order' });
  expect(await say({ ...next, previous: last.hash }, 'another gate')).toMatchObject({ code: 'recording.wrong-gate' });
  expect(await say({ ...next, length: 2 ** 40 })).toMatchObject({ code: 'recording.block-out-of-order' });
  expect(await recordBlock(test_.db, newId<RecordingId>(), gate, first)).toMatchObject({ code: 'recording.unknown' });
  expect((await audited(header.id)).filter((type) => type === 'recording.broken')).toHaveLength(4);
  await sealRecording(test_.db, header.id, it.options, never);
  expect(await say(first)).toBeUndefined();
  expect(await say({ ...next, previous: last.hash })).toMatchObject({ code: 'recording.not-open' });
});

test('the database lets nobody change a block, nor bring a sealed recording back', async () => {
  await using it = await kept();
  await finished(it);
  await sealRecording(test_.db, it.header.id, it.options, never);
  const id = it.header.id;
  const { db, owner } = test_;
  await expect(
    db.updateTable('recording_block').set({ length: 1 }).where('recording_id', '=', id).execute(),
  ).rejects.toThrow();
  await expect(owner.deleteFrom('recording_block').where('recording_id', '=', id).execute()).rejects.toThrow();
  await expect(
    db.updateTable('recording').set({ state: 'open', sealed_at: null }).where('id', '=', id).execute(),
  ).rejects.toThrow(/is over/);
  await expect(db.deleteFrom('recording').where('id', '=', id).execute()).rejects.toThrow();
});

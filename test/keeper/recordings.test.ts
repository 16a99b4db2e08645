/** What the keeper answers about the recording of a desktop: pictures and text, by who asked, on record, and of nothing else. */
import { mkdir } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { text } from '../../src/base/bytes.ts';
import { newId } from '../../src/base/new-id.ts';
import type { RecordingId } from '../../src/base/ids.ts';
import { inTransaction } from '../../src/db/db.ts';
import { recordingAnswers } from '../../src/keeper/routes/recordings.ts';
import type { BlockReport } from '../../src/recording/recorder.ts';
import { recordBlock, sealRecording, startRecording } from '../../src/recording/recording.ts';
import { recordDesktop } from '../recording/desktop.ts';
import { type Made, made, never, sealer, someHeader } from '../recording/made.ts';
import { actor, type VaultRoom, vaultRoom } from '../vault/room.ts';

let room: VaultRoom;
beforeAll(async () => {
  room = await vaultRoom();
});
afterAll(async () => {
  await room[Symbol.asyncDispose]();
});

interface Recorded {
  readonly it: Made;
  /** Resolves when the keeper knows of the second block: the first that has more than the start. */
  readonly told: Promise<void>;
  readonly answers: ReturnType<typeof recordingAnswers>;
  readonly seal: () => Promise<void>;
}

/** A recording with a row, a key in the vault and a recorder that reports, as the keeper would have made it. */
async function recorded(protocol: 'ssh' | 'rdp'): Promise<Recorded> {
  const { db } = room.base;
  const gate = newId<RecordingId>() as string;
  const header = someHeader({ protocol });
  const key = await inTransaction(db, async (tx) => {
    await startRecording(tx, { ...header, gate, startedAt: new Date(header.startedAt) });
    return room.vault.recordingKey(tx, header.id);
  });
  const told = Promise.withResolvers<void>();
  const report = async (block: BlockReport): ReturnType<typeof recordBlock> => {
    const answer = await recordBlock(db, header.id, gate, block);
    if (block.number === 1) told.resolve();
    return answer;
  };
  const it = await made({ header, key, report });
  const store = join(it.folder, 'store');
  await mkdir(store);
  const signer = sealer();
  const needs = { db, vault: room.vault, spool: it.folder, recordings: store, recordingSigner: signer };
  return {
    it,
    told: told.promise,
    answers: recordingAnswers(needs as never, actor),
    seal: async () => {
      await it.recorder[Symbol.asyncDispose]();
      const now = header.startedAt + 60_000;
      await sealRecording(db, header.id, { spool: it.folder, store, signer, reason: 'over', now }, never);
    },
  };
}

test('a desktop is drawn while it is recorded and when it is sealed, and whoever looked is on record', async () => {
  const { it, told, answers, seal } = await recorded('rdp');
  await using _ = it;
  const desktop = recordDesktop(it.recorder, it.at);
  desktop.resize(16, 16, 0);
  desktop.box(0, 0, 16, 16, 0x336699, 1);
  it.recorder.record({ kind: 'note', text: 'looked' }, 0, it.at(2));
  await it.clock.sleeper(1000);
  it.clock.advance(1000);
  await told;
  const png = async (): Promise<Buffer> => {
    const parts: Uint8Array[] = [];
    await answers['recording.draw'](
      { recording: it.header.id, format: 'png', at: 1.5 },
      (part) => void parts.push(part.bytes),
      never,
    );
    return Buffer.concat(parts);
  };
  const live = await png();
  await seal();
  const drawn = await png();
  expect(live.equals(drawn)).toBe(true);
  expect(drawn.subarray(0, 8)).toEqual(Buffer.from('89504e470d0a1a0a', 'hex'));
  expect(drawn.subarray(16, 24)).toEqual(Buffer.from('0000001000000010', 'hex'));
  expect(readdirSync(join(it.folder, 'store')).toSorted()).toEqual([
    `${it.header.id}.recording`,
    `${it.header.id}.recording.frames`,
  ]);
  expect((await png()).equals(drawn)).toBe(true);
  const lines: string[] = [];
  await answers['recording.play'](
    { recording: it.header.id, format: 'text' },
    (part) => void lines.push(text(part.bytes)),
    never,
  );
  expect(lines.join('')).toContain('00:00:02 note: looked\n');
  const played = await room.events();
  expect(played.filter((type) => type === 'recording.played')).toHaveLength(4);
});

test('the recording of a terminal has no picture', async () => {
  const { it, answers, seal } = await recorded('ssh');
  await using _ = it;
  await seal();
  const asked = answers['recording.draw']({ recording: it.header.id, format: 'png' }, () => {}, never);
  await expect(asked).rejects.toMatchObject({ code: 'recording.no-picture' });
});

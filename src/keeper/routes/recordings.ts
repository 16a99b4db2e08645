/** Answers about recordings: list, play, verify. Each playing and verifying is audited. */
import { join } from 'node:path';
import { type Actor, record } from '../../audit/audit.ts';
import { hex, utf8 } from '../../base/bytes.ts';
import { parseId, type RecordingId } from '../../base/ids.ts';
import type { Fields, Part, RouteAnswers } from '../../contract/contract.ts';
import {
  blocksOf,
  exportCast,
  exportEvents,
  exportText,
  findRecording,
  listRecordings,
  readHeader,
  readRecording,
  type RecordedEvent,
  type RecordingRow,
  terminalEvents,
  verifyRecording,
} from '../../recording/recording.ts';
import { KeeperError } from '../errors.ts';
import type { Rooms } from '../rooms.ts';

type Needs = Pick<Rooms, 'db' | 'vault' | 'spool' | 'recordings' | 'recordingSigner'>;
type Names = 'recording.list' | 'recording.play' | 'recording.verify';
type Shown =
  Awaited<ReturnType<RouteAnswers['recording.list']>> extends infer R
    ? R extends { recordings: (infer S)[] }
      ? S
      : never
    : never;

export function recordingAnswers(rooms: Needs, actor: Actor): Pick<RouteAnswers, Names> {
  const { db, vault } = rooms;

  async function named(text: string): Promise<RecordingRow> {
    const id = parseId<RecordingId>(text);
    const row = id === undefined ? undefined : await findRecording(db, id);
    if (row === undefined) throw new KeeperError('keeper.no-such-thing', `recording ${text}`);
    return row;
  }

  /** A sealed one lies in the store; one in the making, or not yet sealed, in the spool. */
  const fileOf = (row: RecordingRow): string =>
    row.file === undefined ? join(rooms.spool, row.id) : join(rooms.recordings, row.file);

  return {
    'recording.list': async () => ({ recordings: (await listRecordings(db, { limit: 1000 })).map(show) }),
    'recording.play': async (fields, part, signal) => {
      const row = await named(fields.recording);
      using key = await vault.openRecordingKey(row.id);
      if (key === undefined) throw new KeeperError('keeper.no-such-thing', `key of recording ${row.id}`);
      await record(db, actor, {
        type: 'recording.played',
        about: { recording: row.id, session: row.session },
        details: { purpose: fields.format },
      });
      const events = readRecording(fileOf(row), key, signal);
      for await (const piece of rendered(fields.format, fileOf(row), events)) part(piece);
      return { recording: show(row) };
    },
    'recording.verify': async (fields) => {
      const row = await named(fields.recording);
      using key = await vault.openRecordingKey(row.id);
      const verdict = await verifyRecording(fileOf(row), {
        id: row.id,
        publicKey: rooms.recordingSigner.publicKey,
        blocks: await blocksOf(db, row.id),
        unsealed: row.state === 'open',
        ...(key === undefined ? {} : { key }),
      });
      const about = { recording: row.id, session: row.session };
      if (verdict.ok) {
        const root = row.head === undefined ? '' : hex(row.head);
        await record(db, actor, { type: 'recording.verified', about, details: { blocks: verdict.blocks, root } });
        return { ok: true, state: verdict.state, blocks: verdict.blocks };
      }
      await record(db, actor, { type: 'recording.broken', about, details: { reason: verdict.broken } });
      return { ok: false, state: row.state, blocks: row.blocks, problem: verdict.broken };
    },
  };
}

/** The pieces that a player writes, in one of the formats. */
async function* rendered(
  format: Fields<'recording.play'>['format'],
  file: string,
  events: AsyncIterable<RecordedEvent>,
): AsyncGenerator<Part<'recording.play'>> {
  if (format === 'terminal') {
    for await (const { at, detail } of terminalEvents(events, undefined)) {
      if (detail.kind === 'output' || detail.kind === 'error-output') yield { at: at / 1000, bytes: detail.bytes };
    }
    return;
  }
  if (format === 'text') {
    for await (const piece of exportText(events)) yield { at: 0, bytes: utf8(piece) };
    return;
  }
  const lines = format === 'asciicast' ? exportCast(await readHeader(file), events) : exportEvents(events);
  for await (const line of lines) yield { at: 0, bytes: utf8(`${line}\n`) };
}

function show(row: RecordingRow): Shown {
  return {
    recording: row.id,
    session: row.session,
    user: row.user,
    account: row.account,
    startedAt: row.startedAt.toISOString(),
    ...(row.sealedAt === undefined ? {} : { sealedAt: row.sealedAt.toISOString() }),
    state: row.state,
    size: row.size,
    blocks: row.blocks,
  };
}

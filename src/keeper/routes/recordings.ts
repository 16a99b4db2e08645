/** Answers about recordings: list, play, draw, verify. Each playing, drawing and verifying is audited. */
import { join } from 'node:path';
import { type Actor, record } from '../../audit/audit.ts';
import { hex, utf8 } from '../../base/bytes.ts';
import { parseId, type RecordingId } from '../../base/ids.ts';
import type { Fields, Part, RouteAnswers } from '../../contract/contract.ts';
import { RecordingError } from '../../recording/errors.ts';
import {
  blocksOf,
  draw,
  type DrawQuestion,
  exportCast,
  exportDesktop,
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
type Names = 'recording.list' | 'recording.play' | 'recording.draw' | 'recording.verify';
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
      for await (const piece of rendered(fields.format, row, fileOf(row), events)) part(piece);
      return { recording: show(row) };
    },
    'recording.draw': async (fields, part, signal) => {
      const row = await named(fields.recording);
      if (row.protocol !== 'rdp') throw new RecordingError('recording.no-picture', `recording ${row.id}`);
      using key = await vault.openRecordingKey(row.id);
      if (key === undefined) throw new KeeperError('keeper.no-such-thing', `key of recording ${row.id}`);
      await record(db, actor, {
        type: 'recording.played',
        about: { recording: row.id, session: row.session },
        details: { purpose: fields.format },
      });
      for await (const bytes of draw(question(fields, fileOf(row), row), key, signal)) {
        for (let at = 0; at < bytes.length; at += mostBytes) part({ at: 0, bytes: bytes.subarray(at, at + mostBytes) });
      }
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

/** Bytes of one part of a drawing. */
const mostBytes = 512 * 1024;

function question(fields: Fields<'recording.draw'>, path: string, row: RecordingRow): DrawQuestion {
  const about = { path, whole: row.state === 'sealed' || row.state === 'interrupted' };
  const at = fields.at === undefined ? undefined : Math.round(fields.at * 1e6);
  // without a time the last picture
  if (fields.format === 'png') return { ...about, kind: 'png', at: at ?? row.until };
  if (fields.format === 'strip')
    return { ...about, kind: 'strip', columns: fields.columns ?? 80, count: 6, ...(at !== undefined && { at }) };
  const maxIdle = fields.maxIdle === undefined ? {} : { maxIdle: Math.round(fields.maxIdle * 1e6) };
  return { ...about, kind: 'mp4', framesPerSecond: fields.framesPerSecond ?? 5, ...maxIdle };
}

/** The pieces that a player writes, in one of the formats. */
async function* rendered(
  format: Fields<'recording.play'>['format'],
  row: RecordingRow,
  file: string,
  events: AsyncIterable<RecordedEvent>,
): AsyncGenerator<Part<'recording.play'>> {
  if (format === 'terminal') {
    for await (const { at, detail } of terminalEvents(events, undefined)) {
      if (detail.kind === 'output' || detail.kind === 'error-output') yield { at: at / 1000, bytes: detail.bytes };
    }
    return;
  }
  if (format === 'text' && row.protocol === 'rdp') {
    for await (const line of exportDesktop(events)) yield { at: 0, bytes: utf8(`${line}\n`) };
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
    protocol: row.protocol,
    startedAt: row.startedAt.toISOString(),
    ...(row.sealedAt === undefined ? {} : { sealedAt: row.sealedAt.toISOString() }),
    state: row.state,
    size: row.size,
    blocks: row.blocks,
  };
}

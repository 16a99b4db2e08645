/**
 * Recordings in other people's formats: asciicast v2 for terminals, plain text for grep, JSON lines for what is not a
 * terminal. Recorded bytes are hostile: text has no control characters left, JSON escapes them.
 */
import { hex, text } from '../base/bytes.ts';
import type { RecordingHeader } from './format/container.ts';
import type { EventDetail, RecordedEvent } from './format/events.ts';
import { terminalEvents } from './playback.ts';

export interface CastOptions {
  readonly channel?: number;
  /** Seconds; players shorten longer pauses to it. */
  readonly idleLimit?: number;
}

/** asciicast v2, line by line without line ends: the header first, then output, input, resizes and markers. */
export async function* exportCast(
  header: RecordingHeader,
  events: AsyncIterable<RecordedEvent>,
  options: CastOptions = {},
): AsyncGenerator<string> {
  const output = new TextDecoder();
  const input = new TextDecoder();
  let started = false;
  const begin = (width: number, height: number, term: string): string => {
    started = true;
    const head = {
      version: 2,
      width,
      height,
      timestamp: Math.floor(header.startedAt / 1000),
      ...(options.idleLimit !== undefined && { idle_time_limit: options.idleLimit }),
      title: `${header.user} on ${header.account}`,
      env: { TERM: term },
    };
    return JSON.stringify(head);
  };
  for await (const { at, detail } of terminalEvents(events, options.channel)) {
    const line = (code: string, data: string): string => JSON.stringify([at / 1e6, code, data]);
    if (detail.kind === 'pty' && !started) {
      yield begin(detail.columns, detail.rows, detail.term);
      continue;
    }
    if (!started && detail.kind !== 'output' && detail.kind !== 'error-output') continue;
    if (!started) yield begin(80, 24, '');
    if (detail.kind === 'output' || detail.kind === 'error-output') {
      const data = output.decode(detail.bytes, { stream: true });
      if (data !== '') yield line('o', data);
    } else if (detail.kind === 'input') yield line('i', input.decode(detail.bytes, { stream: true }));
    else if (detail.kind === 'resize') yield line('r', `${detail.columns}x${detail.rows}`);
    else if (detail.kind === 'note') yield line('m', detail.text);
  }
  if (!started) yield begin(80, 24, '');
}

/** What the terminal showed, without escape sequences and control characters; pieces in order. */
export async function* exportText(events: AsyncIterable<RecordedEvent>, channel?: number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const strip = stripper();
  for await (const { detail } of terminalEvents(events, channel)) {
    if (detail.kind !== 'output' && detail.kind !== 'error-output') continue;
    const piece = strip(decoder.decode(detail.bytes, { stream: true }));
    if (piece !== '') yield piece;
  }
}

/** Takes escape sequences (ECMA-48, also their one-character forms) and control characters but tab and line feed out of text that comes in pieces. */
function stripper(): (piece: string) => string {
  let state: 'text' | 'escape' | 'sequence' | 'string' | 'string-escape' = 'text';
  return (piece) => {
    let out = '';
    for (const character of piece) {
      const code = character.codePointAt(0) ?? 0;
      if (state === 'escape') {
        state =
          character === '['
            ? 'sequence'
            : ']P^_X'.includes(character)
              ? 'string'
              : '()*+#% '.includes(character)
                ? 'escape'
                : 'text';
      } else if (state === 'sequence') state = code >= 0x40 && code <= 0x7e ? 'text' : 'sequence';
      else if (state === 'string') state = code === 7 ? 'text' : code === 0x1b ? 'string-escape' : 'string';
      else if (state === 'string-escape') state = character === '\\' ? 'text' : 'string';
      else if (code === 0x1b) state = 'escape';
      else if (code === 0x9b) state = 'sequence';
      else if (code === 0x9d || code === 0x90 || code === 0x98 || code === 0x9e || code === 0x9f) state = 'string';
      else if (code === 9 || code === 10 || (code >= 0x20 && code !== 0x7f && (code < 0x80 || code > 0x9f)))
        out += character;
    }
    return out;
  };
}

/** Everything that is neither terminal output nor picture, one JSON object a line: times in seconds, bytes as text. */
export async function* exportEvents(events: AsyncIterable<RecordedEvent>): AsyncGenerator<string> {
  for await (const { at, channel, detail } of events) {
    if (detail.kind === 'output' || detail.kind === 'error-output') continue;
    if (detail.kind === 'picture' || detail.kind === 'pointer') continue;
    yield JSON.stringify({ at: at / 1e6, channel, ...plain(detail) });
  }
}

function plain(detail: EventDetail): object {
  if (detail.kind === 'input') return { kind: detail.kind, text: text(detail.bytes) };
  if (detail.kind === 'exec') return { kind: detail.kind, command: text(detail.command) };
  if (detail.kind === 'pty') return { ...detail, modes: hex(detail.modes) };
  if (detail.kind === 'request' || detail.kind === 'unknown') return { ...detail, bytes: hex(detail.bytes) };
  return detail;
}

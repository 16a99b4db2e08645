/**
 * What was done on a desktop as lines of text, in order of time: keys (as far as they were kept), the clipboard, files,
 * channels, sizes. Recorded text is hostile: control characters are written as escapes, so that a line stays a line.
 */
import type { DesktopDetail, FileEvent } from './format/format.ts';
import type { RecordedEvent } from './format/events.ts';
import { readKeyboard } from './format/keyboard.ts';
import { clockOf } from './strip.ts';

/** Lines without line ends, each with its time. Keys that follow one another stand in one line, at the time of the first. */
export async function* exportDesktop(events: AsyncIterable<RecordedEvent>): AsyncGenerator<string> {
  let reading = readKeyboard(0);
  let keys = '';
  let keysAt = 0;
  const line = (at: number, words: string): string => `${clockOf(at)} ${plainly(words)}`;
  for await (const { at, detail } of events) {
    if (detail.kind === 'rdp-key') {
      const typed = reading(detail);
      if (typed === '') continue;
      if (keys === '') keysAt = at;
      keys += typed;
      // a line ends where the person ended it
      if (typed !== '[Enter]' && keys.length < 500) continue;
    } else if (detail.kind === 'keys-masked') {
      if (keys === '') keysAt = at;
      keys += `[${detail.count} masked]`;
      continue;
    } else if (detail.kind === 'keyboard') {
      reading = readKeyboard(detail.layout);
      continue;
    }
    const words = detail.kind === 'rdp-key' ? undefined : wordsFor(detail);
    if (detail.kind !== 'rdp-key' && words === undefined) continue;
    if (keys !== '') yield line(keysAt, `keys: ${keys}`);
    keys = '';
    if (words !== undefined) yield line(at, words);
  }
  if (keys !== '') yield line(keysAt, `keys: ${keys}`);
}

function wordsFor(detail: RecordedEvent['detail']): string | undefined {
  switch (detail.kind) {
    case 'start':
      return 'start';
    case 'end':
      return `end: ${detail.reason}`;
    case 'note':
      return `note: ${detail.text}`;
    case 'desktop':
      return `desktop: ${detail.width}x${detail.height}, ${detail.depth} bits`;
    case 'clipboard':
      return clipboard(detail);
    case 'file':
      return file(detail);
    case 'channel-decision':
      return `channel ${detail.name} (${detail.transport}): ${detail.allowed ? 'passed' : 'refused'}${detail.reason === '' ? '' : `, ${detail.reason}`}`;
    default:
      return undefined;
  }
}

function clipboard({ direction, content, items, size, allowed }: DesktopDetail & { kind: 'clipboard' }): string {
  const way = direction === 'up' ? 'to the target' : 'to the client';
  const what = content === 'text' ? 'text' : content === 'files' ? 'files' : 'data';
  return `clipboard ${way}${allowed ? '' : ', refused'}: ${what}, ${size} bytes: ${items.join(content === 'text' ? '' : ', ')}`;
}

function file({ action, direction, path, to, size, sha256, remark }: FileEvent): string {
  const parts = [
    `file ${direction === 'up' ? 'to the target' : 'to the client'}: ${action} ${path}`,
    ...(to === '' ? [] : [`to ${to}`]),
    `${size} bytes`,
    ...(sha256 === undefined ? [] : [`sha256 ${sha256}`]),
    ...(remark === '' ? [] : [remark]),
  ];
  return parts.join(', ');
}

/** Control characters, and characters that turn the direction of text, as escapes. */
function plainly(words: string): string {
  return words.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/**
 * What a clipboard format holds: text, a picture, files, or nobody knows. By name for registered formats, by number for
 * the system's own (standard clipboard formats of Windows). Pictures go with text; unknown formats need both rights,
 * because they may hold either.
 */
import type { Format } from '../../../protocol/rdp/channels/channels.ts';

export type ClipKind = 'text' | 'picture' | 'files' | 'unknown';

export interface ClipRights {
  readonly text: boolean;
  readonly files: boolean;
}

/** Format ids that the filter reads. */
export const unicodeText = 13;
const asciiText: readonly number[] = [1, 7];

/** Ids from here on are registered by name. */
const registered = 0xc000;

const systemKinds: ReadonlyMap<number, readonly [ClipKind, string]> = new Map([
  [1, ['text', 'CF_TEXT']],
  [2, ['picture', 'CF_BITMAP']],
  [3, ['picture', 'CF_METAFILEPICT']],
  [6, ['picture', 'CF_TIFF']],
  [7, ['text', 'CF_OEMTEXT']],
  [8, ['picture', 'CF_DIB']],
  [9, ['picture', 'CF_PALETTE']],
  [13, ['text', 'CF_UNICODETEXT']],
  [14, ['picture', 'CF_ENHMETAFILE']],
  [15, ['files', 'CF_HDROP']],
  [16, ['text', 'CF_LOCALE']],
  [17, ['picture', 'CF_DIBV5']],
]);

/** The format that a list of files is asked by. */
const fileList = 'filegroupdescriptorw';

const nameKinds: ReadonlyMap<string, ClipKind> = new Map([
  ...kinds('text', 'html format', 'rich text format', 'rich text format without objects', 'csv'),
  ...kinds('text', 'text/html', 'text/plain', 'text/plain;charset=utf-8', 'text/rtf'),
  ...kinds('picture', 'png', 'jfif', 'gif', 'image/png', 'image/jpeg', 'image/gif', 'image/bmp', 'image/tiff'),
  ...kinds('files', fileList, 'filegroupdescriptor', 'filecontents', 'filename', 'filenamew', 'text/uri-list'),
  ...kinds('files', 'preferred dropeffect', 'performed dropeffect', 'x-special/gnome-copied-files'),
]);

function kinds(kind: ClipKind, ...names: string[]): [string, ClipKind][] {
  return names.map((name) => [name, kind]);
}

/** A short list cuts names off after 15 letters; that many are enough to know one. */
function known(name: string, longNames: boolean): string {
  const lower = name.toLowerCase();
  if (longNames || lower.length < 15 || nameKinds.has(lower)) return lower;
  return [...nameKinds.keys()].find((full) => full.startsWith(lower)) ?? lower;
}

/** The kind of an announced format. A system format that carries another kind's name is unknown. */
export function kindOf(format: Format, longNames: boolean): ClipKind {
  const byName = nameKinds.get(known(format.name, longNames));
  if (format.id >= registered) return byName ?? 'unknown';
  const byId = kindOfId(format.id);
  return format.name === '' || byName === byId ? byId : 'unknown';
}

/** The kind of a format asked for by number alone. */
export function kindOfId(id: number): ClipKind {
  return systemKinds.get(id)?.[0] ?? 'unknown';
}

/** What to call a format in events. */
export function titleOf(format: Format): string {
  return systemKinds.get(format.id)?.[1] ?? (format.name === '' ? `format ${format.id}` : format.name);
}

export function isFileList(format: Format, longNames: boolean): boolean {
  return format.id >= registered && known(format.name, longNames) === fileList;
}

export function mayCross(kind: ClipKind, rights: ClipRights): boolean {
  switch (kind) {
    case 'text':
    case 'picture':
      return rights.text;
    case 'files':
      return rights.files;
    case 'unknown':
      return rights.text && rights.files;
    default:
      return kind satisfies never;
  }
}

/** The start of a text as it can be read, without the end mark; and whether more of it exists. */
export function readText(format: Format, data: Uint8Array, most: number): { text: string; cut: boolean } {
  const wide = format.id === unicodeText;
  const start = data.subarray(0, wide ? 2 * most : most);
  const encoding = wide ? 'utf-16le' : asciiText.includes(format.id) ? 'windows-1252' : 'utf-8';
  return { text: new TextDecoder(encoding).decode(start).replace(/\0+$/, ''), cut: start.length < data.length };
}

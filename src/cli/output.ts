/** What a command prints: a table for people, JSON for programs. Text that came from outside cannot move the cursor. */

export type Format = 'table' | 'json';

/** Control characters, those that turn the reading order or are not seen at all, and line separators. */
const acting = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Replaces control characters: what a target or a user named something must not rewrite the reader's screen. */
export function plain(text: string): string {
  return text.replace(acting, '\ufffd');
}

/** JSON in which the same characters are escapes: the same value to a program, and nothing to a terminal. */
export function json(value: unknown, indent?: number): string {
  const written = JSON.stringify(value, bytesAsBase64, indent);
  return written.replace(acting, (found) => (found === '\n' ? found : escaped(found)));
}

function escaped(found: string): string {
  let out = '';
  for (let i = 0; i < found.length; i++) out += `\\u${found.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return out;
}

/** Rows as an aligned table with a heading; `columns` are the fields shown, in order. */
export function table(rows: readonly Record<string, unknown>[], columns: readonly string[]): string {
  const cells = [columns.map((name) => heading(name)), ...rows.map((row) => columns.map((name) => cell(row[name])))];
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((text, at) => text.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function heading(name: string): string {
  return name.replace(/([A-Z])/g, ' $1').toUpperCase();
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : plain(value.join(', '));
  return plain(typeof value === 'string' ? value : JSON.stringify(value));
}

/** Prints a list: JSON as one array, or a table, or a sentence where there is nothing. */
export function printList(
  rows: readonly Record<string, unknown>[],
  columns: readonly string[],
  format: Format,
  none: string,
): void {
  if (format === 'json') print(json(rows, 2));
  else print(rows.length === 0 ? none : table(rows, columns));
}

/** Prints one thing: JSON, or the sentence. */
export function printOne(thing: unknown, sentence: string, format: Format): void {
  print(format === 'json' ? json(thing, 2) : sentence);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function bytesAsBase64(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString('base64') : value;
}

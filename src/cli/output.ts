/** What a command prints: a table for people, JSON for programs. Text that came from outside cannot move the cursor. */

export type Format = 'table' | 'json';

/** Replaces control characters: what a target or a user named something must not rewrite the reader's screen. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
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
  if (format === 'json') print(JSON.stringify(rows, bytesAsBase64, 2));
  else print(rows.length === 0 ? none : table(rows, columns));
}

/** Prints one thing: JSON, or the sentence. */
export function printOne(thing: unknown, sentence: string, format: Format): void {
  print(format === 'json' ? JSON.stringify(thing, bytesAsBase64, 2) : sentence);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function bytesAsBase64(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString('base64') : value;
}

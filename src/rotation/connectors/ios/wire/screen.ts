/**
 * Reading a command line's screen: which prompt it ends with, and what a command printed. A command's answer begins after
 * its echo, so that a late log message or an old prompt is never taken for it. Only the last line can be a question or a
 * prompt; banners may say what they like. Pure.
 */

/** What the screen ends with. `question`: something is asked that nobody here foresaw, if nothing more comes. */
export type Ending =
  | { readonly kind: 'prompt'; readonly host: string; readonly mode: string; readonly privileged: boolean }
  | { readonly kind: 'username' }
  | { readonly kind: 'password' }
  | { readonly kind: 'more' }
  | { readonly kind: 'confirm' }
  | { readonly kind: 'question'; readonly line: string }
  | { readonly kind: 'none' };

/** A device that prints more than this to one of our commands is not one that we know. */
export const longestScreen = 256 * 1024;

/** As a person sees it: no escape sequences, and what backspaces and carriage returns have overwritten is gone. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- terminals speak in control characters
  const visible = text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b[@-Z\\-_]/g, '').replace(/\r+\n/g, '\n');
  return visible.includes('\b') || visible.includes('\r') ? visible.split('\n').map(overwritten).join('\n') : visible;
}

function overwritten(line: string): string {
  const cells: string[] = [];
  let at = 0;
  for (const character of line) {
    if (character === '\b') at = Math.max(0, at - 1);
    else if (character === '\r') at = 0;
    else if (character >= ' ') cells[at++] = character;
  }
  return cells.join('').trimEnd();
}

const promptShape = /^([A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,62})(?:\(([A-Za-z0-9_-]{1,40})\))?([>#])$/;
/** `*Mar  1 00:01:02.345: %SYS-5-CONFIG_I: Configured from console`: the device's log, not an answer. */
const logLine = /%[A-Z][A-Z0-9_]*(?:-[A-Z0-9_]+)*-[0-7]-[A-Z0-9_]+:/;

/** What this screen (see `plain`) ends with. Where the host's name is known, no other prompt counts. */
export function endingOf(screen: string, host?: string): Ending {
  const lines = screen.split('\n');
  const last = (lines.at(-1) ?? '').trim();
  if (/^-+ ?more ?-+$/i.test(last)) return { kind: 'more' };
  if (/\[confirm\]$/i.test(last)) return { kind: 'confirm' };
  if (/^(?:user ?name|login)\s*:$/i.test(last)) return { kind: 'username' };
  if (/^(?:[\w.@-]+'s )?password\s*:$/i.test(last)) return { kind: 'password' };
  // A log message may come after the prompt.
  while (lines.length > 1 && (lines.at(-1)?.trim() === '' || logLine.test(lines.at(-1) ?? ''))) lines.pop();
  const found = promptOf((lines.at(-1) ?? '').trim(), host);
  if (found !== undefined) return found;
  if (/[?:\])]$/.test(last)) return { kind: 'question', line: last };
  return { kind: 'none' };
}

function promptOf(line: string, host: string | undefined): Ending | undefined {
  const match = promptShape.exec(line);
  if (match === null) return undefined;
  const [, name = '', mode = '', sign] = match;
  // In configuration mode a long name is cut short.
  const known = host === undefined || name === host || (mode !== '' && name.length >= 8 && host.startsWith(name));
  return known ? { kind: 'prompt', host: name, mode, privileged: sign === '#' } : undefined;
}

/**
 * The screen after the echo of a command, from the bytes as they came: a long line that scrolls overwrites its own
 * beginning. Undefined while the echo is not there in full. `head` is how the command begins.
 */
export function afterEcho(text: string, head: string): string | undefined {
  const at = text.indexOf(head);
  if (at === -1) return undefined;
  const end = text.indexOf('\n', at);
  return end === -1 ? undefined : plain(text.slice(end + 1));
}

/** An answer without the prompt that it ends with and without log messages. */
export function outputOf(screen: string): string {
  const lines = screen.split('\n').filter((line) => !logLine.test(line));
  if (promptShape.test((lines.at(-1) ?? '').trim())) lines.pop();
  return lines.join('\n').trim();
}

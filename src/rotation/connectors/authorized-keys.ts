/**
 * Editing an authorized_keys file as bytes: every line that is not ours stays exactly as it was, with its options,
 * comments, line ends and a missing last one. A new line goes in front, because only there nothing else has to change.
 */
import { concat, same } from '../../base/bytes.ts';
import { isRefusal } from '../../base/errors.ts';
import { formatKeyLine, type KeyLine, parseKeyLine } from '../../protocol/ssh/ssh.ts';

/** The lines of a file with their line ends; joined they are the file again. */
function linesOf(content: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let at = 0; at < content.length; ) {
    const end = content.indexOf(10, at);
    const next = end === -1 ? content.length : end + 1;
    lines.push(content.subarray(at, next));
    at = next;
  }
  return lines;
}

/** Of a line that is no key for us, undefined: such lines are never touched. */
function keyOf(line: Uint8Array): KeyLine | undefined {
  const parsed = parseKeyLine(Buffer.from(line).toString('latin1'));
  return isRefusal(parsed) ? undefined : parsed;
}

/** Options that leave open who is let in: they only say what may be done then. Any other one is not read here. */
const afterwards =
  '(?:restrict|(?:no-)?(?:agent-forwarding|port-forwarding|pty|user-rc|x11-forwarding)|command="(?:[^"\\\\]|\\\\"|\\\\(?!"))*")';
const onlyAfterwards = new RegExp(`^(?:${afterwards}(?:,${afterwards})*)?$`, 'i');

/**
 * Whether this key lets in, by these lines (sshd(8), AUTHORIZED_KEYS FILE FORMAT). `unsure`: only under conditions that are
 * not looked at here: from where (`from`), until when (`expiry-time`), what it signs (`cert-authority`), or others.
 */
export function letsIn(content: Uint8Array, blob: Uint8Array): 'yes' | 'no' | 'unsure' {
  const lines = linesOf(content).filter((line) => isKey(line, blob));
  if (lines.length === 0) return 'no';
  return lines.some((line) => onlyAfterwards.test(keyOf(line)?.options.trim() ?? '')) ? 'yes' : 'unsure';
}

/** Whether some line has this key. */
export function holdsKey(content: Uint8Array, blob: Uint8Array): boolean {
  return linesOf(content).some((line) => isKey(line, blob));
}

function isKey(line: Uint8Array, blob: Uint8Array): boolean {
  const key = keyOf(line);
  return key !== undefined && same(key.blob, blob);
}

/** The file with one more key in front, under the options of the key that it replaces. As it is if the key is there. */
export function addKey(
  content: Uint8Array,
  blob: Uint8Array,
  comment: string,
  replaces: Uint8Array | undefined,
): Uint8Array {
  if (holdsKey(content, blob)) return content;
  const old = replaces === undefined ? undefined : linesOf(content).find((line) => isKey(line, replaces));
  const options = (old && keyOf(old)?.options) ?? '';
  return concat([Buffer.from(`${formatKeyLine(blob, comment, options)}\n`, 'latin1'), content]);
}

/** The file without the lines of these keys. */
export function removeKeys(content: Uint8Array, blobs: readonly Uint8Array[]): Uint8Array {
  return concat(linesOf(content).filter((line) => !blobs.some((blob) => isKey(line, blob))));
}

/** Where sshd looks, from its AuthorizedKeysFile (sshd_config(5)). `unknown`: also at places whose names we cannot make out. */
export function keysPaths(
  patterns: string,
  home: string,
  user: string,
  uid: string,
): { readonly paths: readonly string[]; readonly unknown: boolean } {
  const words = patterns
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '' && word !== 'none');
  const paths = words.map((word) => keysPath(word, home, user, uid));
  return { paths: paths.filter((path) => path !== undefined), unknown: paths.includes(undefined) };
}

function keysPath(pattern: string, home: string, user: string, uid: string): string | undefined {
  const tokens: Readonly<Record<string, string>> = { '%%': '%', '%h': home, '%u': user, '%U': uid };
  let unknown = false;
  const path = pattern.replace(/%./g, (token) => {
    unknown ||= tokens[token] === undefined;
    return tokens[token] ?? '';
  });
  if (unknown) return undefined;
  return path.startsWith('/') ? path : `${home}/${path}`;
}

/** Bytes to be written are bounded: no sshd reads a longer file in reasonable time. */
export const longestFile = 512 * 1024;

/**
 * Public keys as people see them: a line of `authorized_keys` or a `.pub` file (sshd(8)), and fingerprints. Options of a
 * line are kept as they stand and never interpreted here.
 */
import { createHash } from 'node:crypto';
import { type Refusal, refuse } from '../../../base/errors.ts';
import { classify, decodePublicKey, type KeyViolation, largestKeyBlob, type PublicKey } from '../wire/keys.ts';
import { isViolation } from '../wire/reader.ts';

export type KeyRefusal = Refusal<`ssh.key-${KeyViolation['kind']}`>;

/** One line that holds a key. */
export interface KeyLine {
  /** Verbatim, as before the key type; empty when there are none. */
  readonly options: string;
  readonly key: PublicKey;
  readonly blob: Uint8Array;
  readonly comment: string;
}

/** Longer lines are refused; sshd itself stops at 8 KiB of options and key. */
const longestLine = 16_384;

/** Why a blob is not a key for us, or the key. */
export function parsePublicKey(blob: Uint8Array): PublicKey | KeyRefusal {
  const key = decodePublicKey(blob);
  return isViolation(key) ? refuse(`ssh.key-${key.kind}`, key.violation) : key;
}

/** Parses one line. Empty lines and comments are no keys and therefore refused as malformed. */
export function parseKeyLine(line: string): KeyLine | KeyRefusal {
  const bare = line.replace(/\r?\n$/, '').trim();
  if (bare.length > longestLine) return refuse('ssh.key-malformed', 'line too long');
  if (/[\0\r\n]/.test(bare)) return refuse('ssh.key-malformed', 'more than one line');
  const first = /^\S+/.exec(bare)?.[0] ?? '';
  const options = looksLikeType(first) ? '' : bare.slice(0, endOfOptions(bare));
  const rest = bare.slice(options.length).trimStart();
  const match = /^(\S+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+(.*))?$/.exec(rest);
  if (match === null) return refuse('ssh.key-malformed', 'not of the form: type base64 comment');
  const [, type = '', code = '', comment = ''] = match;
  const kind = classify(type);
  if (kind !== 'known') return refuse(`ssh.key-${kind}`, `key type ${JSON.stringify(type.slice(0, 64))}`);
  const blob = new Uint8Array(Buffer.from(code, 'base64'));
  if (blob.length > largestKeyBlob) return refuse('ssh.key-malformed', 'key too long');
  const key = parsePublicKey(blob);
  if ('refused' in key) return key;
  if (key.type !== type) return refuse('ssh.key-malformed', 'the line names another type than the key in it');
  return { options, key, blob, comment: comment.trim() };
}

/** The line of a key: `[options ]type base64[ comment]`, without a line end. Throws on a comment with line ends. */
export function formatKeyLine(blob: Uint8Array, comment: string, options = ''): string {
  if (/[\0\r\n]/.test(comment + options)) throw new RangeError('a key line holds no line ends');
  const key = decodePublicKey(blob);
  if (isViolation(key)) throw new RangeError(`no key: ${key.violation}`);
  return [options, key.type, Buffer.from(blob).toString('base64'), comment].filter((part) => part !== '').join(' ');
}

/** `SHA256:` and the digest in base64 without padding, as `ssh-keygen -l` shows it. */
export function fingerprint(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** Key types hold no `=`, `,` or quotes; options that stand alone (`restrict`) hold no dash-separated `ssh` or `sk`. */
function looksLikeType(word: string): boolean {
  return classify(word) === 'known' || /^(ssh|ecdsa|sk|rsa-sha2)-[a-z0-9@.-]+$/.test(word);
}

/** Options end at the first blank outside double quotes; `\"` inside quotes is not an end (sshd(8)). */
function endOfOptions(line: string): number {
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    const char = line[at];
    if (char === '\\' && line[at + 1] === '"') at++;
    else if (char === '"') quoted = !quoted;
    else if (!quoted && (char === ' ' || char === '\t')) return at;
  }
  return line.length;
}

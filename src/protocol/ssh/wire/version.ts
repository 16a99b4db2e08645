/**
 * The version exchange (RFC 4253 §4.2). Pure. It refuses to buffer without bound: a server may say a few lines before
 * its version, a client none. What it returns as the version is exact, because the exchange hash covers it.
 */
import { concat } from '../../../base/bytes.ts';
import type { Violation } from './reader.ts';

/** RFC 4253 §4.2: 255 characters with CR LF. */
const maxVersion = 253;
const maxLine = 1024;
const maxLines = 32;

export interface VersionFound {
  /** Without CR LF. */
  readonly version: Uint8Array;
  /** What followed it. */
  readonly rest: Uint8Array;
}

/** What was read of the peer's greeting so far. */
export interface Greeting {
  readonly held: Uint8Array;
  readonly lines: number;
}

export const noGreeting: Greeting = { held: new Uint8Array(0), lines: 0 };

/**
 * Takes the next bytes: the version, or a greeting to go on with, or a violation. `preface` allows lines before the
 * version; only a client may allow them.
 */
export function readVersion(
  greeting: Greeting,
  chunk: Uint8Array,
  preface: boolean,
): VersionFound | Greeting | Violation {
  let held = greeting.held.length === 0 ? chunk : concat([greeting.held, chunk]);
  for (let lines = greeting.lines; ; lines++) {
    const end = held.indexOf(0x0a);
    const line = held.subarray(0, end === -1 ? held.length : held[end - 1] === 0x0d ? end - 1 : end);
    const version = startsWith(line, 'SSH-');
    if (end === -1 && line.length > (version ? maxVersion + 1 : maxLine)) return { violation: 'version line too long' };
    if (end === -1) {
      if (!preface && !couldStart(line, 'SSH-')) return { violation: 'first line is not a version' };
      return { held: new Uint8Array(held), lines };
    }
    if (version) {
      if (line.length > maxVersion) return { violation: 'version line too long' };
      if (!startsWith(line, 'SSH-2.0-') && !(preface && startsWith(line, 'SSH-1.99-')))
        return { violation: 'protocol version is not 2.0' };
      if (line.some((byte) => byte < 0x20 || byte === 0x7f)) return { violation: 'control character in version' };
      return { version: new Uint8Array(line), rest: held.subarray(end + 1) };
    }
    if (!preface) return { violation: 'first line is not a version' };
    if (line.length > maxLine) return { violation: 'greeting line too long' };
    if (lines + 1 >= maxLines) return { violation: 'too many lines before the version' };
    held = held.subarray(end + 1);
  }
}

function startsWith(line: Uint8Array, prefix: string): boolean {
  return line.length >= prefix.length && couldStart(line, prefix);
}

/** Whether the bytes agree with the prefix as far as both go. */
function couldStart(line: Uint8Array, prefix: string): boolean {
  for (let i = 0; i < Math.min(line.length, prefix.length); i++) if (line[i] !== prefix.charCodeAt(i)) return false;
  return true;
}

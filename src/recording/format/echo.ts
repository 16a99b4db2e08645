/**
 * What a person typed, without what they typed blindly. A line of input is kept only if the target echoed every printable
 * character of it, in order; a line of which even one character was not echoed (a password prompt, but also a command of
 * an editor) is kept as the bare fact that a line was typed. The error is always towards keeping less.
 *
 * It works per channel with a pty. Lines are held back, bounded, until their echo has decided. An echo counts only as an
 * unbroken run at the beginning of a message from the target, so that a chatty background job cannot spell a password by
 * and by; going back over what was echoed before (as shells with colours do) is part of a run.
 */
import { concat } from '../../base/bytes.ts';

/** A decided line: its bytes as typed, or the fact that it was not echoed. */
export type TypedLine = { readonly kind: 'input'; readonly bytes: Uint8Array } | { readonly kind: 'input-masked' };

export interface EchoGuard {
  /** Bytes from the client. Gives the lines that are decided by now. */
  typed(bytes: Uint8Array): readonly TypedLine[];
  /** One message from the target. Cheap while nothing is undecided. */
  shown(bytes: Uint8Array): readonly TypedLine[];
  /** The channel ended: what is undecided is masked. */
  close(): readonly TypedLine[];
}

/** Longer lines are cut here: decided by their echo so far. */
const maxLine = 4096;
/** Lines typed ahead of their echo; the oldest is masked when there are more. */
const maxLines = 64;

interface Line {
  readonly parts: Uint8Array[];
  length: number;
  /** Printable bytes as typed, and how many of them were seen back. */
  readonly printable: number[];
  echoed: number;
  complete: boolean;
  masked: boolean;
}

const none: readonly TypedLine[] = [];

export function guardEcho(): EchoGuard {
  const lines: Line[] = [];
  let typedEscape = text;
  let shownEscape = text;

  function open(): Line {
    const last = lines.at(-1);
    if (last !== undefined && !last.complete) return last;
    const line: Line = { parts: [], length: 0, printable: [], echoed: 0, complete: false, masked: false };
    lines.push(line);
    return line;
  }
  function decided(): readonly TypedLine[] {
    const out: TypedLine[] = [];
    for (let first = lines[0]; first?.complete; first = lines[0]) {
      if (waits(first) && !first.masked) break;
      out.push(verdict(first));
      lines.shift();
    }
    return out.length === 0 ? none : out;
  }
  /** Reads one message against what is awaited. */
  function read(bytes: Uint8Array): void {
    let run = true;
    let at = lines[0]?.echoed ?? 0;
    for (const byte of bytes) {
      const inText = shownEscape === text;
      shownEscape = shownEscape(byte);
      const first = lines[0];
      if (!inText || shownEscape !== text || first === undefined) continue;
      if (byte === 0x0a) {
        // The target has begun a new line: what the first typed line still waits for will not come.
        if (first.complete && waits(first)) first.masked = true;
        run = false;
      } else if (byte === 0x08) at = Math.max(0, at - 1);
      else if (byte >= 0x20 && byte !== 0x7f && run) {
        if (first.printable[at] === byte) at++;
        else run = false;
        first.echoed = Math.max(first.echoed, at);
      }
    }
  }
  function end(line: Line): void {
    line.complete = true;
    const oldest = lines[0];
    if (lines.length > maxLines && oldest !== undefined && waits(oldest)) oldest.masked = true;
  }
  return {
    typed(bytes) {
      let from = 0;
      for (let i = 0; i < bytes.length; i++) {
        const byte = bytes[i] ?? 0;
        const line = open();
        const inText = typedEscape === text;
        typedEscape = typedEscape(byte);
        if (inText && typedEscape === text && byte >= 0x20 && byte !== 0x7f) line.printable.push(byte);
        const ends = byte === 0x0d || byte === 0x0a || byte === 0x03 || byte === 0x04;
        const full = line.length + i + 1 - from >= maxLine;
        if (!ends && !full && i + 1 < bytes.length) continue;
        line.parts.push(bytes.slice(from, i + 1));
        line.length += i + 1 - from;
        from = i + 1;
        if (!full && !ends) continue;
        // A sequence that the end of the line breaks off was none (Alt and `]` begins one too): its bytes were typed blindly.
        if (typedEscape !== text || (full && !ends && waits(line))) line.masked = true;
        typedEscape = text;
        end(line);
      }
      return decided();
    },
    shown(bytes) {
      read(bytes);
      return lines.length === 0 ? none : decided();
    },
    close() {
      const last = lines.at(-1);
      if (last !== undefined && !last.complete && typedEscape !== text) last.masked = true;
      const out = lines.map((line) => (waits(line) ? { kind: 'input-masked' as const } : verdict(line)));
      lines.length = 0;
      return out;
    },
  };
}

function waits(line: Line): boolean {
  return line.echoed < line.printable.length;
}

function verdict(line: Line): TypedLine {
  return line.masked ? { kind: 'input-masked' } : { kind: 'input', bytes: concat(line.parts) };
}

/** Where in an escape sequence (ECMA-48) a stream is: each state takes a byte and gives the next one. */
type Escape = (byte: number) => Escape;

function text(byte: number): Escape {
  return byte === 0x1b ? escape : text;
}
function escape(byte: number): Escape {
  if (byte === 0x5b) return sequence;
  if (byte === 0x5d || byte === 0x50 || byte === 0x5e || byte === 0x5f || byte === 0x58) return string;
  if (byte === 0x4f) return single;
  return byte === 0x1b ? escape : text;
}
function sequence(byte: number): Escape {
  return byte >= 0x40 && byte <= 0x7e ? text : sequence;
}
function single(): Escape {
  return text;
}
function string(byte: number): Escape {
  return byte === 0x07 ? text : byte === 0x1b ? stringEscape : string;
}
function stringEscape(byte: number): Escape {
  return byte === 0x5c ? text : string;
}

/** Where a secret enters: typed without echo at a terminal, or read from standard input. Never from an argument. */
import { readSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { CliError } from './errors.ts';

/** Everything on standard input, without one last line break. At most 64 KiB. */
export async function readStdin(): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > 64 * 1024) throw new CliError('cli.usage', 'more than 64 KiB on standard input');
    parts.push(part);
  }
  const all = Buffer.concat(parts);
  const end = all.at(-1) === 0x0a ? (all.at(-2) === 0x0d ? -2 : -1) : all.length;
  return Uint8Array.from(all.subarray(0, end));
}

/** The lines of standard input as bytes without their line breaks, for commands that need more than one value. */
export async function readStdinLines(): Promise<Uint8Array[]> {
  const all = Buffer.from(await readStdin());
  const lines: Uint8Array[] = [];
  for (let at = 0; at <= all.length; ) {
    const end = all.indexOf(0x0a, at);
    const stop = end === -1 ? all.length : end;
    lines.push(Uint8Array.from(all.subarray(at, end !== -1 && all[stop - 1] === 0x0d ? stop - 1 : stop)));
    at = stop + 1;
    if (end === -1) break;
  }
  return lines;
}

/** Asks at the terminal without echo, byte by byte. Throws `cli.no-terminal` where there is none. */
export function askHidden(question: string): Uint8Array {
  if (!process.stdin.isTTY) throw new CliError('cli.no-terminal');
  // The echo goes first: who pastes as soon as the question appears is not shown either.
  process.stdin.setRawMode(true);
  process.stderr.write(question);
  const typed: number[] = [];
  const one = Buffer.alloc(1);
  try {
    for (;;) {
      if (readOne(one) === 0) break;
      const byte = one[0] ?? 0;
      if (byte === 0x0d || byte === 0x0a) break;
      if (byte === 0x03 || byte === 0x04) throw new CliError('cli.not-confirmed', 'interrupted');
      if (byte === 0x7f || byte === 0x08) typed.pop();
      else if (byte === 0x15) typed.length = 0;
      else typed.push(byte);
    }
    return Uint8Array.from(typed);
  } finally {
    typed.fill(0);
    process.stdin.setRawMode(false);
    process.stderr.write('\n');
  }
}

function readOne(into: Buffer): number {
  for (;;) {
    try {
      return readSync(0, into, 0, 1, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}

/** Asks twice and compares. */
export function askHiddenTwice(question: string): Uint8Array {
  const first = askHidden(`${question}: `);
  const second = askHidden(`${question}, again: `);
  const equal = first.length === second.length && first.every((byte, at) => byte === second[at]);
  second.fill(0);
  if (!equal) throw new CliError('cli.unequal');
  return first;
}

/** Asks a visible question. */
export async function askLine(question: string): Promise<string> {
  if (!process.stdin.isTTY) throw new CliError('cli.no-terminal');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await lines.question(question)).trim();
  } finally {
    lines.close();
  }
}

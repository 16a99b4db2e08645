/**
 * What the clients of RDP in the lab have in common: one program on a display of the lab's, with a home of its own, so
 * that it remembers nothing of the last one. The password reaches it through standard input. It ends with the test process.
 */
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startTethered } from '../tethered.ts';
import type { Display } from './display.ts';
import type { Picture } from './picture.ts';
import { picture, windows } from './screen.ts';

export interface RdpClientOptions {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly domain?: string;
  readonly width?: number;
  readonly height?: number;
  /** Colour depth it asks for; default 32 (rdesktop: 24). */
  readonly bpp?: 8 | 15 | 16 | 24 | 32;
  /**
   * A folder of this machine that the session sees as a drive. With xrdp only rdesktop gets so far: xfreerdp opens the
   * channel and announces no drive, because xrdp does not promise the message that says when a user is logged on.
   */
  readonly drive?: { readonly name: string; readonly folder: string };
  /** More arguments, in the client's own words. */
  readonly more?: readonly string[];
}

export interface RdpClient extends AsyncDisposable {
  /** Resolves when it shows the session; rejects with its words if it ends before. */
  connected(signal?: AbortSignal): Promise<void>;
  /** Its exit status, once it has ended by itself. */
  readonly ended: Promise<number>;
  readonly log: () => string;
  /** The first match in its log, now or later; rejects if it ends without. */
  said(pattern: RegExp, signal?: AbortSignal): Promise<RegExpExecArray>;
  /** The number of its window as soon as it has one, as xwd, xdotool and xwininfo take it. */
  window(signal?: AbortSignal): Promise<string>;
  /** What its window shows, without the pointer. */
  picture(signal?: AbortSignal): Promise<Picture>;
}

export interface ClientProgram {
  readonly argv: readonly string[];
  /** All that it reads. */
  readonly input: string;
  /** The title of its window. */
  readonly title: string;
  /** What it logs when the session is there. */
  readonly connected: RegExp;
}

/** Starts a client's program; it waits for nothing. */
export async function startClient(
  display: Display,
  { argv, input: text, title, connected }: ClientProgram,
): Promise<RdpClient> {
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await mkdtempDisposable(join(tmpdir(), 'lab-rdp-'))).path;
  await mkdir(join(home, '.config'));
  const input = join(home, 'input');
  await writeFile(input, text, { mode: 0o600 });
  const env = { ...display.env, HOME: home, LAB_INPUT: input };
  // Into a pipe it would keep its words until it ends.
  const reading = ['sh', '-c', 'exec "$@" <"$LAB_INPUT"', 'sh', 'stdbuf', '-oL'];
  const client = undo.use(await startTethered([...reading, ...argv], '', [], env));
  const over = new AbortController();
  void client.ended.then(() => over.abort(new Error(`${title} ended: ${client.output().slice(-2000)}`)));
  const window = async (signal?: AbortSignal): Promise<string> => {
    for (;;) {
      over.signal.throwIfAborted();
      const [id] = await windows(display, new RegExp(`^${title}$`), signal);
      if (id !== undefined) return id;
      await pause(20, undefined, { signal: signal ?? over.signal });
    }
  };
  const life = undo.move();
  return {
    connected: async (signal) => void (await client.said(connected, signal)),
    ended: client.ended,
    log: client.output,
    said: (pattern, signal) => client.said(pattern, signal),
    window,
    picture: async (signal) => picture(display, { window: await window(signal) }, signal),
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** How fast a recorded desktop is decoded, and drawn as pictures and films. The product that made it has been stopped. */
import { isViolation, openScreen, type Screen } from '../src/protocol/rdp/bitmap/bitmap.ts';
import { draw, type DrawQuestion, readRecording } from '../src/recording/recording.ts';
import { joinUpdates } from '../src/recording/updates.ts';
import type { Secret } from '../src/base/secret.ts';

const never = new AbortController().signal;
const fullFrame = 1024 * 768;

export interface Decoded {
  /** Pictures of 1024 × 768 that the pixels drawn in a second amount to. */
  readonly framesPerSecond: number;
  /** Payload in MB (10^6 bytes) in a second. */
  readonly rate: number;
  readonly frames: number;
  readonly seconds: number;
}

/** Only the decoder: decrypted and joined before the time begins. Draws all of it `rounds` times, the first unmeasured. */
export async function decode(path: string, key: Secret, rounds: number): Promise<Decoded> {
  const updates: { readonly code: number; readonly payload: Uint8Array }[] = [];
  const joining = joinUpdates();
  for await (const event of readRecording(path, key, never)) {
    const detail = joining.join(event)?.detail;
    if (detail?.kind === 'picture') updates.push({ code: detail.code, payload: detail.payload.slice() });
  }
  const screen = openScreen(1024, 768);
  if (isViolation(screen)) throw new Error(screen.violation);
  drawAll(screen, updates);
  const start = performance.now();
  let pixels = 0;
  for (let round = 0; round < rounds; round++) pixels += drawAll(screen, updates);
  const seconds = (performance.now() - start) / 1000;
  const bytes = rounds * updates.reduce((sum, { payload }) => sum + payload.length, 0);
  const frames = pixels / fullFrame;
  return { framesPerSecond: frames / seconds, rate: bytes / 1e6 / seconds, frames: frames / rounds, seconds };
}

function drawAll(screen: Screen, updates: readonly { readonly code: number; readonly payload: Uint8Array }[]): number {
  let pixels = 0;
  for (const update of updates) {
    const drawn = screen.apply(update);
    if (isViolation(drawn)) throw new Error(drawn.violation);
    for (const { width, height } of drawn) pixels += width * height;
  }
  return pixels;
}

export interface Exported {
  readonly recordedSeconds: number;
  /** Seconds until the picture of the end is there: the first time, which makes the key frames, and the second. */
  readonly pngFirst: number;
  readonly png: number;
  /** Seconds for the film of all of it at five pictures a second, and its bytes. */
  readonly mp4: number;
  readonly mp4Bytes: number;
}

/** In the process that the product draws in, its start included. */
export async function exportAll(path: string, key: Secret): Promise<Exported> {
  let until = 0;
  for await (const { at } of readRecording(path, key, never)) until = at;
  const about = { path, whole: true } as const;
  const png = (): Promise<Answer> => timed({ ...about, kind: 'png', at: until }, key);
  const [first, second] = [await png(), await png()];
  const film = await timed({ ...about, kind: 'mp4', framesPerSecond: 5 }, key);
  return {
    recordedSeconds: until / 1e6,
    pngFirst: first.seconds,
    png: second.seconds,
    mp4: film.seconds,
    mp4Bytes: film.bytes,
  };
}

interface Answer {
  readonly seconds: number;
  readonly bytes: number;
}

async function timed(question: DrawQuestion, key: Secret): Promise<Answer> {
  const start = performance.now();
  let bytes = 0;
  for await (const part of draw(question, key, never)) bytes += part.length;
  return { seconds: (performance.now() - start) / 1000, bytes };
}

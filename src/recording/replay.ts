/**
 * A recording of a desktop as pictures: the screen at any time, from the nearest key frame, and a film from the start.
 * Runs where drawing is allowed: in the process that draws recordings, see draw-process.ts.
 */
import type { Secret } from '../base/secret.ts';
import { check } from '../base/signals.ts';
import { RecordingError } from './errors.ts';
import { type KeyFrames, makeKeyFrames, openKeyFrames } from './keyframes.ts';
import { readBlocks } from './playback.ts';
import { openScene, type Scene } from './scene.ts';

/** One picture: red, green, blue, alpha of each pixel, rows from the top, with the pointer. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

export interface Replay extends AsyncDisposable {
  /** What the person saw at a time, in microseconds from the start. Throws `recording.no-picture` if there was nothing yet. */
  seek(at: number, signal: AbortSignal): Promise<Picture>;
}

export interface ReplayOptions {
  /** The recording is whole: key frames that are missing or not its own are made, which takes as long as drawing all of it once. */
  readonly keyFrames: boolean;
}

/** Opens the recording in the file at `path`. The key is borrowed until the replay is disposed. */
export async function openReplay(
  path: string,
  key: Secret,
  options: ReplayOptions,
  signal: AbortSignal,
): Promise<Replay> {
  let frames: KeyFrames | undefined;
  if (options.keyFrames) {
    frames = await openKeyFrames(path, key);
    if (frames === undefined) {
      await makeKeyFrames(path, key, signal);
      frames = await openKeyFrames(path, key);
    }
  }
  return {
    async seek(at, cut) {
      const scene = await sceneAt(path, key, frames, at, cut);
      if (scene.screen === undefined) throw new RecordingError('recording.no-picture', `${at / 1e6} s`);
      const { width, height } = scene.screen;
      return { width, height, pixels: scene.screen.withPointer() };
    },
    async [Symbol.asyncDispose]() {
      await frames?.[Symbol.asyncDispose]();
    },
  };
}

/** The scene after all events up to a time. */
async function sceneAt(
  path: string,
  key: Secret,
  frames: KeyFrames | undefined,
  at: number,
  signal: AbortSignal,
): Promise<Scene> {
  const head = frames?.heads.findLast((frame) => frame.at <= at);
  const scene = openScene(head === undefined ? undefined : await frames?.snapshot(head));
  for await (const block of readBlocks(path, key, signal, head?.fresh)) {
    if (head !== undefined && block.place.number < head.next) continue;
    for (const event of block.events) {
      if (event.at > at) return scene;
      scene.see(event);
    }
  }
  return scene;
}

/** What a look over all events tells without drawing: how large the desktop gets, when there is one, and when it ends. */
export interface Outline {
  readonly width: number;
  readonly height: number;
  readonly from: number;
  readonly until: number;
}

/** Throws `recording.no-picture` if the desktop never has a size: a terminal's recording. */
export async function outlineOf(path: string, key: Secret, signal: AbortSignal): Promise<Outline> {
  let [width, height, until] = [0, 0, 0];
  let from: number | undefined;
  for await (const block of readBlocks(path, key, signal)) {
    for (const { at, detail } of block.events) {
      until = at;
      if (detail.kind !== 'desktop') continue;
      from ??= at;
      width = Math.max(width, detail.width);
      height = Math.max(height, detail.height);
    }
  }
  if (from === undefined) throw new RecordingError('recording.no-picture');
  return { width, height, from, until };
}

export interface FilmOptions {
  readonly framesPerSecond: number;
  /** No stretch in which nothing is seen to change is longer than so many microseconds. */
  readonly maxIdle?: number;
}

/** The pictures of a film in order, one for each frame; a picture that did not change is the same object again. */
export async function* film(
  path: string,
  key: Secret,
  options: FilmOptions,
  signal: AbortSignal,
): AsyncGenerator<Picture> {
  const step = 1e6 / options.framesPerSecond;
  const scene = openScene();
  let shown: Picture | undefined;
  let changed = false;
  // `due` is the recorded time of the next frame, `seen` that of the last change
  let due = 0;
  let seen = 0;

  function picture(): Picture | undefined {
    const { screen } = scene;
    if (screen === undefined) return undefined;
    if (changed || shown === undefined)
      shown = { width: screen.width, height: screen.height, pixels: screen.withPointer() };
    changed = false;
    return shown;
  }
  function* until(at: number): Generator<Picture> {
    const idleFrom = options.maxIdle === undefined ? Infinity : seen + options.maxIdle;
    for (; due <= at; due += step) {
      if (due > idleFrom) {
        // the rest of the stretch takes no time
        due += Math.floor((at - due) / step) * step;
        continue;
      }
      const now = picture();
      if (now !== undefined) yield now;
    }
  }
  let last = 0;
  for await (const block of readBlocks(path, key, signal)) {
    for (const event of block.events) {
      check(signal);
      if (scene.screen === undefined) due = event.at;
      else yield* until(event.at);
      if (scene.see(event)) {
        changed = true;
        seen = event.at;
      }
      last = event.at;
    }
  }
  yield* until(last + step);
}

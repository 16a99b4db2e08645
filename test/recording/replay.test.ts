/** Recordings of desktops as pictures: any time, with and without key frames, and key frames that are nobody else's. */
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { draw } from '../../src/recording/draw.ts';
import { decodeFrameHead, decodeFramesHead } from '../../src/recording/format/frames.ts';
import { framesPath, makeKeyFrames, openKeyFrames } from '../../src/recording/keyframes.ts';
import { pngOf } from '../../src/recording/png.ts';
import { film, openReplay, outlineOf, type Picture } from '../../src/recording/replay.ts';
import { recordDesktop } from './desktop.ts';
import { type Made, made, never } from './made.ts';

interface Filmed {
  readonly it: Made;
  /** What was seen from each second on, for five minutes. */
  readonly seen: readonly Uint8Array[];
}

/** Five minutes in blocks of a second, one change a second; the desktop becomes larger after two. */
async function filmed(): Promise<Filmed> {
  const it = await made({ limits: { blockBytes: 1 } });
  const desktop = recordDesktop(it.recorder, it.at);
  desktop.resize(64, 48, 0);
  const seen: Uint8Array[] = [];
  for (let second = 0; second < 300; second++) {
    if (second === 120) desktop.resize(80, 50, second);
    desktop.box(second % 60, second % 40, 4, 4, (second * 7919) & 0xffffff, second + 0.1);
    desktop.point(second % 50, 20, second + 0.2);
    seen.push(desktop.seen());
  }
  await it.recorder[Symbol.asyncDispose]();
  return { it, seen };
}

test('the screen at any time is the same with key frames as without, and is what was seen', async () => {
  const { it, seen } = await filmed();
  await using _ = it;
  await using plain = await openReplay(it.path, it.key, { keyFrames: false }, never);
  await using keyed = await openReplay(it.path, it.key, { keyFrames: true }, never);
  const frames = await openKeyFrames(it.path, it.key);
  expect(frames?.heads.length).toBeGreaterThanOrEqual(9);
  expect(frames?.heads.some(({ fresh }) => fresh.number > 64)).toBe(true);
  await frames?.[Symbol.asyncDispose]();
  for (const second of [0, 1, 29, 30, 31, 119, 120, 121, 200, 299]) {
    const at = second * 1e6 + 500_000;
    const picture = await keyed.seek(at, never);
    expect(picture).toEqual(await plain.seek(at, never));
    expect(picture.width).toBe(second < 120 ? 64 : 80);
    expect(Buffer.compare(picture.pixels, seen[second] ?? new Uint8Array())).toBe(0);
  }
  // past the end is the end
  expect((await keyed.seek(1e12, never)).pixels).toEqual(seen.at(-1));
});

test('key frames that are missing, damaged or of another recording are made again', async () => {
  const { it } = await filmed();
  await using _ = it;
  await makeKeyFrames(it.path, it.key, never);
  const good = readFileSync(framesPath(it.path));
  const foreign = Buffer.from(good);
  foreign[60] = (foreign[60] ?? 0) ^ 1;
  for (const bytes of [undefined, foreign, good.subarray(0, good.length - 1), good.subarray(0, 50), Buffer.alloc(0)]) {
    if (bytes === undefined) await rm(framesPath(it.path));
    else writeFileSync(framesPath(it.path), bytes);
    expect(await openKeyFrames(it.path, it.key)).toBeUndefined();
    await using replay = await openReplay(it.path, it.key, { keyFrames: true }, never);
    expect((await replay.seek(200e6, never)).width).toBe(80);
    const again = readFileSync(framesPath(it.path));
    expect(again.length).toBeGreaterThan(1000);
    // made again under another key
    expect(again.equals(good)).toBe(false);
  }
});

test('a key frame that was changed is not shown, nor one opened with another key', async () => {
  const { it } = await filmed();
  await using _ = it;
  await makeKeyFrames(it.path, it.key, never);
  const bytes = readFileSync(framesPath(it.path));
  bytes[bytes.length - 30] = (bytes[bytes.length - 30] ?? 0) ^ 1;
  writeFileSync(framesPath(it.path), bytes);
  await using replay = await openReplay(it.path, it.key, { keyFrames: true }, never);
  await expect(replay.seek(299e6, never)).rejects.toMatchObject({ code: 'recording.key' });
  using other = new Secret(new Uint8Array(32).fill(1));
  await using locked = await openReplay(it.path, other, { keyFrames: true }, never);
  await expect(locked.seek(1e6, never)).rejects.toMatchObject({ code: 'recording.key' });
});

test('no picture is in the clear on the disk', async () => {
  await using it = await made();
  const desktop = recordDesktop(it.recorder, it.at);
  desktop.resize(64, 64, 0);
  // a colour as a mark: it would stand in the frame many times over
  desktop.box(0, 0, 64, 64, 0x123456, 1);
  desktop.point(0, 0, 40);
  it.clock.advance(1000);
  desktop.box(0, 0, 4, 4, 0xffffff, 50);
  await it.recorder[Symbol.asyncDispose]();
  await makeKeyFrames(it.path, it.key, never);
  const mark = Buffer.from('123456ff123456ff', 'hex');
  for (const path of [it.path, framesPath(it.path)]) expect(readFileSync(path).includes(mark)).toBe(false);
  // and it would be found: it is what the replay shows
  await using replay = await openReplay(it.path, it.key, { keyFrames: true }, never);
  expect(Buffer.from((await replay.seek(40e6, never)).pixels).includes(mark)).toBe(true);
});

test('heads of key frames are read or refused whatever they say', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 90 }), (bytes) => {
      decodeFramesHead(bytes);
      decodeFrameHead(bytes);
    }),
    { numRuns: 2000 },
  );
});

async function frames(pictures: AsyncIterable<Picture>): Promise<Picture[]> {
  const all: Picture[] = [];
  for await (const picture of pictures) all.push(picture);
  return all;
}

test('a film has its frames a second from the first picture on; without change they stand, and are skipped if wanted', async () => {
  await using it = await made();
  const desktop = recordDesktop(it.recorder, it.at);
  desktop.resize(16, 16, 1);
  desktop.box(0, 0, 16, 16, 0xff0000, 2);
  desktop.box(0, 0, 16, 16, 0x00ff00, 62);
  await it.recorder[Symbol.asyncDispose]();
  expect(await outlineOf(it.path, it.key, never)).toMatchObject({ width: 16, height: 16, from: 1e6, until: 62e6 });
  const whole = await frames(film(it.path, it.key, { framesPerSecond: 2 }, never));
  expect(whole).toHaveLength(2 * 61 + 2);
  expect(new Set(whole).size).toBe(3);
  const short = await frames(film(it.path, it.key, { framesPerSecond: 2, maxIdle: 3e6 }, never));
  expect(short.length).toBeLessThan(2 * 8);
  expect(new Set(short).size).toBe(3);
  const color = (picture: Picture | undefined): number[] => [...(picture?.pixels.subarray(4 * 15, 4 * 15 + 3) ?? [])];
  expect([color(short[0]), color(short[4]), color(short.at(-1))]).toEqual([
    [0, 0, 0],
    [255, 0, 0],
    [0, 255, 0],
  ]);
});

/** The pixels in a PNG of ours: one IDAT, rows as differences to the row above. */
function readPng(png: Uint8Array): { width: number; height: number; pixels: number[] } {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const raw = inflateSync(png.subarray(41, 41 + view.getUint32(33)));
  const pixels: number[] = [];
  for (let y = 0; y < height; y++) {
    expect(raw[y * (1 + 3 * width)]).toBe(2);
    for (let at = 0; at < 3 * width; at++) {
      const above = y === 0 ? 0 : (pixels[(y - 1) * 3 * width + at] ?? 0);
      pixels.push(((raw[y * (1 + 3 * width) + 1 + at] ?? 0) + above) & 255);
    }
  }
  return { width, height, pixels };
}

test('a PNG holds the picture to the last pixel', () => {
  const pixels = Uint8Array.from({ length: 4 * 7 * 5 }, (_, at) => (at * 37) & 255);
  const read = readPng(pngOf({ width: 7, height: 5, pixels }));
  expect(read).toMatchObject({ width: 7, height: 5 });
  expect(read.pixels).toEqual([...pixels].filter((_, at) => at % 4 !== 3));
});

async function drawn(...question: Parameters<typeof draw>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of draw(...question)) parts.push(part);
  return Buffer.concat(parts);
}

test('a process of its own draws: a picture, and lines of colours for a terminal', async () => {
  const { it, seen } = await filmed();
  await using _ = it;
  const about = { path: it.path, whole: true };
  const png = await drawn({ ...about, kind: 'png', at: 100.5e6 }, it.key, never);
  expect(readPng(new Uint8Array(png)).pixels).toEqual([...(seen[100] ?? [])].filter((_value, at) => at % 4 !== 3));
  const strip = (await drawn({ ...about, kind: 'strip', columns: 80, count: 6 }, it.key, never)).toString();
  expect(strip.match(/\d\d:\d\d:\d\d/g)).toEqual([
    '00:00:49',
    '00:01:39',
    '00:02:29',
    '00:03:19',
    '00:04:09',
    '00:04:59',
  ]);
  expect(
    strip
      .split('\u001b')
      .map((piece) => piece.replace(/^\[[0-9;]*m/, ''))
      .join(''),
  ).toMatch(/^[▀ :0-9\n]+$/);
  const one = (await drawn({ ...about, kind: 'strip', columns: 40, count: 6, at: 10e6 }, it.key, never)).toString();
  expect(one.match(/\d\d:\d\d:\d\d/g)).toEqual(['00:00:10']);
});

test('what a drawing process says is an error of ours', async () => {
  await using it = await made();
  await it.recorder[Symbol.asyncDispose]();
  const about = { path: it.path, whole: false };
  await expect(drawn({ ...about, kind: 'png', at: 0 }, it.key, never)).rejects.toMatchObject({
    code: 'recording.no-picture',
  });
  using other = new Secret(new Uint8Array(32));
  await expect(drawn({ ...about, kind: 'png', at: 0 }, other, never)).rejects.toMatchObject({ code: 'recording.key' });
  const gone = new AbortController();
  gone.abort(new Error('gone'));
  await expect(drawn({ ...about, kind: 'png', at: 0 }, it.key, gone.signal)).rejects.toThrow('gone');
});

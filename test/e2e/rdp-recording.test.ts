/** A film of a recorded desktop, made by the real ffmpeg and looked at with its own tools: size, length and colours. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../lab/run.ts';
import { draw } from '../../src/recording/draw.ts';
import { writeFilm } from '../../src/recording/ffmpeg.ts';
import { recordDesktop } from '../recording/desktop.ts';
import { type Made, made, never } from '../recording/made.ts';

/** A desktop that is red from its second second on, larger and green from the eleventh, and blue from the hundredth. */
async function colored(): Promise<Made> {
  const it = await made();
  const desktop = recordDesktop(it.recorder, it.at);
  desktop.resize(64, 48, 1);
  desktop.box(0, 0, 64, 48, 0xff0000, 2);
  desktop.resize(101, 75, 11);
  desktop.box(0, 0, 101, 75, 0x00ff00, 11);
  desktop.box(0, 0, 101, 75, 0x0000ff, 100);
  await it.recorder[Symbol.asyncDispose]();
  return it;
}

async function filmOf(it: Made, folder: string, maxIdle?: number): Promise<string> {
  const parts: Uint8Array[] = [];
  const question = { path: it.path, whole: true, kind: 'mp4', framesPerSecond: 5 } as const;
  const asked = maxIdle === undefined ? question : { ...question, maxIdle };
  for await (const part of draw(asked, it.key, never)) parts.push(part);
  const path = join(folder, `film-${maxIdle ?? 'whole'}.mp4`);
  await writeFile(path, Buffer.concat(parts));
  return path;
}

async function probe(path: string): Promise<{ width: number; height: number; frames: number; seconds: number }> {
  const entries = 'stream=width,height,nb_read_frames,codec_name,pix_fmt:format=duration';
  const words = ['-v', 'error', '-count_frames', '-show_entries', entries, '-of', 'json', path];
  const ran = await run(['ffprobe', ...words]);
  expect(ran.stderr).toBe('');
  const told = JSON.parse(ran.stdout) as {
    streams: { width: number; height: number; nb_read_frames: string; codec_name: string; pix_fmt: string }[];
    format: { duration: string };
  };
  expect(told.streams).toHaveLength(1);
  expect(told.streams[0]).toMatchObject({ codec_name: 'h264', pix_fmt: 'yuv420p' });
  const [stream] = told.streams;
  return {
    width: stream?.width ?? 0,
    height: stream?.height ?? 0,
    frames: Number(stream?.nb_read_frames),
    seconds: Number(told.format.duration),
  };
}

/** The colour of one pixel at a time: which of red, green and blue are bright. */
async function colorAt(path: string, seconds: number, x: number, y: number): Promise<string> {
  const cut = ['-vf', `crop=2:2:${x}:${y}`, '-frames:v', '1', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-'];
  const ran = await run(['ffmpeg', '-v', 'error', '-i', path, '-ss', String(seconds), ...cut]);
  expect(ran.code).toBe(0);
  const names = ['red', 'green', 'blue'].filter((_, at) => (ran.output[at] ?? 0) > 128);
  return names.length === 0 ? 'black' : names.join(' ');
}

test('a film is as long as the desktop was there, has its largest size, and shows what was seen', async () => {
  await using it = await colored();
  await using folder = await mkdtempDisposable(join(tmpdir(), 'sallyport-film-'));
  const path = await filmOf(it, folder.path);
  const film = await probe(path);
  // even sides
  expect(film).toMatchObject({ width: 102, height: 76 });
  expect(film.frames).toBe(Math.round(film.seconds * 5));
  expect(Math.abs(film.seconds - 99)).toBeLessThan(1);
  expect(await colorAt(path, 0.2, 40, 40)).toBe('black');
  expect(await colorAt(path, 3, 40, 40)).toBe('red');
  // before the desktop grew there is nothing beyond it
  expect(await colorAt(path, 3, 90, 60)).toBe('black');
  expect(await colorAt(path, 20, 90, 60)).toBe('green');
  expect(await colorAt(path, film.seconds - 0.3, 90, 60)).toBe('blue');
});

test('what nobody did is left out of a film if that is wanted', async () => {
  await using it = await colored();
  await using folder = await mkdtempDisposable(join(tmpdir(), 'sallyport-film-'));
  const path = await filmOf(it, folder.path, 2e6);
  const film = await probe(path);
  expect(film.seconds).toBeLessThan(8);
  expect(await colorAt(path, film.seconds - 0.3, 90, 60)).toBe('blue');
});

test('without an ffmpeg that works the error says how to get one', async () => {
  async function* pictures(): AsyncGenerator<{ width: number; height: number; pixels: Uint8Array }> {
    for (let n = 0; n < 50; n++) yield { width: 512, height: 512, pixels: new Uint8Array(4 * 512 * 512) };
  }
  const size = { width: 512, height: 512 };
  const missing = writeFilm(pictures(), size, 5, '/nowhere/ffmpeg');
  await expect(missing).rejects.toMatchObject({
    code: 'recording.no-ffmpeg',
    remedy: expect.stringContaining('apt-get install ffmpeg') as string,
  });
  await expect(writeFilm(pictures(), size, 5, '/bin/false')).rejects.toMatchObject({ code: 'recording.no-ffmpeg' });
});

/**
 * A film as MP4, made by ffmpeg: pictures go into it raw, the film comes out of it in fragments, and nothing of either
 * ever lies on a disk. No shell is involved, and nothing that was recorded is an argument.
 */
import { spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { wordsOf } from '../base/errors.ts';
import { RecordingError } from './errors.ts';
import type { Outline, Picture } from './replay.ts';

/** Where ffmpeg may be; the machinery that starts us has no PATH. */
const path = '/usr/local/bin:/usr/bin:/bin';

/** Writes the film to standard output. Throws `recording.no-ffmpeg`. */
export async function writeFilm(
  pictures: AsyncIterable<Picture>,
  { width, height }: Pick<Outline, 'width' | 'height'>,
  framesPerSecond: number,
  program = 'ffmpeg',
): Promise<void> {
  // the usual pixel format wants even sides
  const [across, down] = [width + (width % 2), height + (height % 2)];
  const input = [
    '-f',
    'rawvideo',
    '-pix_fmt',
    'rgba',
    '-s',
    `${across}x${down}`,
    '-r',
    `${framesPerSecond}`,
    '-i',
    '-',
  ];
  const coding = ['-an', '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '26', '-pix_fmt', 'yuv420p'];
  const output = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-f', 'mp4', '-'];
  const words = ['-hide_banner', '-loglevel', 'error', '-nostdin', ...input, ...coding, ...output];
  const child = spawn(program, words, { stdio: ['pipe', 'inherit', 'pipe'], env: { PATH: path } });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    if (said.length < 2000) said += bytes.toString();
  });
  // an ffmpeg that ends early says why on its way out
  child.stdin.on('error', () => {});
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', (error) => reject(new RecordingError('recording.no-ffmpeg', wordsOf(error), { cause: error })));
  });
  ended.catch(() => {});
  const frame = new Frame(across, down);
  for await (const picture of pictures) {
    if (child.exitCode !== null || child.stdin.destroyed) break;
    if (!child.stdin.write(frame.of(picture))) await Promise.race([drained(child.stdin), ended]);
  }
  child.stdin.end();
  const code = await ended;
  if (code !== 0) throw new RecordingError('recording.no-ffmpeg', said.trim() || `ended with ${code}`);
}

function drained(pipe: Writable): Promise<void> {
  return new Promise((resolve) => {
    pipe.once('drain', resolve);
  });
}

/** Every frame has the film's size: a smaller picture stands at the top left of a black one. */
class Frame {
  readonly #width: number;
  readonly #height: number;
  #last: Picture | undefined;
  #pixels: Uint8Array = new Uint8Array();

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
  }

  of(picture: Picture): Uint8Array {
    if (picture === this.#last) return this.#pixels;
    this.#last = picture;
    if (picture.width === this.#width && picture.height === this.#height) {
      this.#pixels = picture.pixels;
      return this.#pixels;
    }
    // new memory: the pipe may still hold the frame before
    this.#pixels = new Uint8Array(4 * this.#width * this.#height);
    const row = 4 * Math.min(picture.width, this.#width);
    for (let y = 0; y < Math.min(picture.height, this.#height); y++) {
      const from = 4 * y * picture.width;
      this.#pixels.set(picture.pixels.subarray(from, from + row), 4 * y * this.#width);
    }
    return this.#pixels;
  }
}

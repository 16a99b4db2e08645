/**
 * The process that draws recordings: the keeper starts one for each question, and it ends with its answer. It alone
 * decodes what a target has sent as pictures; it has no database and no key but the recording's.
 *
 * Standard input: the question as one line of JSON, then the recording's key. Standard output: the answer, as bytes.
 * If it fails it ends with 1, and the last line of standard error is JSON with code and words.
 */
import { constants, setPriority } from 'node:os';
import { wordsOf } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { DrawQuestion } from './draw.ts';
import { RecordingError } from './errors.ts';
import { writeFilm } from './ffmpeg.ts';
import { pngOf } from './png.ts';
import { film, openReplay, outlineOf } from './replay.ts';
import { stripOf } from './strip.ts';

async function readQuestion(): Promise<{ question: DrawQuestion; key: Secret }> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const all = Buffer.concat(chunks);
  const end = all.indexOf(10);
  const key = new Secret(new Uint8Array(all.subarray(end + 1)));
  all.fill(0, end + 1);
  for (const chunk of chunks) if (chunks.length > 1) chunk.fill(0);
  // it comes from our own keeper
  return { question: JSON.parse(all.subarray(0, end).toString()) as DrawQuestion, key };
}

async function answer(question: DrawQuestion, key: Secret, signal: AbortSignal): Promise<void> {
  const { path, whole } = question;
  if (question.kind === 'mp4') {
    const { framesPerSecond, maxIdle } = question;
    const outline = await outlineOf(path, key, signal);
    const options = { framesPerSecond, ...(maxIdle !== undefined && { maxIdle }) };
    return await writeFilm(film(path, key, options, signal), outline, framesPerSecond);
  }
  await using replay = await openReplay(path, key, { keyFrames: whole }, signal);
  if (question.kind === 'png') return await write(pngOf(await replay.seek(question.at, signal)));
  const { from, until } = await outlineOf(path, key, signal);
  const times = question.at === undefined ? spread(from, until, question.count) : [question.at];
  const shots = [];
  for (const at of times) shots.push({ at, picture: await replay.seek(at, signal) });
  await write(new TextEncoder().encode(`${stripOf(shots, question.columns).join('\n')}\n`));
}

/** So many times over a stretch, the last at its end. */
function spread(from: number, until: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.round(from + ((until - from) * (index + 1)) / count));
}

function write(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

try {
  // gates and the keeper go first
  setPriority(constants.priority.PRIORITY_LOW);
} catch {
  // then it is not
}
try {
  const { question, key } = await readQuestion();
  using _ = key;
  await answer(question, key, new AbortController().signal);
} catch (error) {
  const code = error instanceof RecordingError ? error.code : 'recording.render';
  const detail = error instanceof RecordingError ? error.detail : wordsOf(error);
  process.stderr.write(`\n${JSON.stringify({ code, detail })}\n`);
  process.exitCode = 1;
}

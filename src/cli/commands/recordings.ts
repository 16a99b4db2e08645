/** `recordings`, `play`, `recording verify`, `recording export`: what was recorded. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { Part } from '../../contract/contract.ts';
import type { Caller } from '../caller.ts';
import { CliError, exitCodes } from '../errors.ts';
import { plain, printList, printOne } from '../output.ts';

export function recordingCommands(program: Command, with_: () => Caller): void {
  program
    .command('recordings')
    .description('list recordings, newest first')
    .action(async () => {
      const here = with_();
      const { recordings } = await here.call('recording.list', {});
      printList(
        recordings,
        ['recording', 'protocol', 'session', 'user', 'account', 'startedAt', 'state', 'size', 'blocks'],
        here.format,
        'no recordings yet',
      );
    });
  program
    .command('play <recording>')
    .description('show what the terminal showed, when it showed it; of a desktop, small pictures')
    .option('--speed <factor>', '2 is twice as fast; 0 is at once', '1')
    .option('--max-idle <seconds>', 'no pause is longer than this', '3')
    .option('--at <time>', 'of a desktop: the picture at this time, in seconds or as hh:mm:ss')
    .addOption(
      new Option(
        '--format <format>',
        'text without escape sequences, asciicast v2, or the events as JSON lines',
      ).choices(['text', 'asciicast', 'events']),
    )
    .action(
      async (
        recording: string,
        options: { speed: string; maxIdle: string; at?: string; format?: 'text' | 'asciicast' | 'events' },
      ) => {
        const here = with_();
        const speed = Number(options.speed);
        const maxIdle = Number(options.maxIdle) * 1000;
        if (!(speed >= 0) || !(maxIdle >= 0)) throw new CliError('cli.usage', 'speed and pause are numbers from 0');
        if (options.format !== undefined) {
          await here.call(
            'recording.play',
            { recording, format: options.format },
            (part) => void process.stdout.write(part.bytes),
          );
          return;
        }
        const { recordings } = await here.call('recording.list', {});
        if (recordings.find((each) => each.recording === recording)?.protocol === 'rdp') {
          await showDesktop(here, recording, options.at);
          return;
        }
        if (options.at !== undefined) throw new CliError('cli.usage', '--at is for the recording of a desktop');
        const parts: Part<'recording.play'>[] = [];
        await here.call('recording.play', { recording, format: 'terminal' }, (part) => void parts.push(part));
        await show(parts, speed, maxIdle, here.signal);
      },
    );
  const group = program.command('recording').description('one recording');
  group
    .command('verify <recording>')
    .description('check every block, the chain over them and the seal')
    .action(async (recording: string) => {
      const here = with_();
      const answer = await here.call('recording.verify', { recording });
      printOne(
        answer,
        answer.ok ? `${answer.state}: ${answer.blocks} blocks, unbroken` : `BROKEN: ${plain(answer.problem ?? '')}`,
        here.format,
      );
      if (!answer.ok) process.exitCode = exitCodes.conflict;
    });
  group
    .command('export <recording>')
    .description('the recording of a desktop as a picture, a film or text, into a file or a pipe')
    .option('--png <time>', 'the picture at this time, in seconds or as hh:mm:ss')
    .option('--mp4', 'all of it as a film; needs ffmpeg where the keeper runs')
    .option('--text', 'what was typed, copied and transferred, in order of time')
    .option('--max-idle <seconds>', 'of a film: no stretch without change is longer than this')
    .option('--out <file>', 'a new file; without it standard output')
    .action(async (recording: string, options: ExportOptions) => {
      await exportTo(options.out, with_(), recording, options);
    });
}

/** Writes the pieces at their times. A terminal that was left in a strange state is reset at the end, also when interrupted. */
async function show(
  parts: readonly Part<'recording.play'>[],
  speed: number,
  maxIdle: number,
  signal: AbortSignal,
): Promise<void> {
  let at = parts[0]?.at ?? 0;
  try {
    for (const part of parts) {
      const wait = speed === 0 ? 0 : Math.min(part.at - at, maxIdle) / speed;
      at = part.at;
      if (wait > 1) await pause(wait, undefined, { signal });
      process.stdout.write(part.bytes);
    }
  } finally {
    if (process.stdout.isTTY) process.stdout.write('\u001b[0m\u001b[?25h\n');
  }
}

interface ExportOptions {
  readonly png?: string;
  readonly mp4?: boolean;
  readonly text?: boolean;
  readonly maxIdle?: string;
  readonly out?: string;
}

/** Seconds of a time that a person wrote: seconds, mm:ss or hh:mm:ss. */
export function secondsOf(written: string): number {
  const parts = /^(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)$/.exec(written);
  if (parts === null) throw new CliError('cli.usage', `not a time: ${plain(written)}`);
  const [, hours = '0', minutes = '0', seconds = '0'] = parts;
  return 3600 * Number(hours) + 60 * Number(minutes) + Number(seconds);
}

async function exportTo(
  out: string | undefined,
  here: Caller,
  recording: string,
  options: ExportOptions,
): Promise<void> {
  const ways = [options.png !== undefined, options.mp4 === true, options.text === true].filter(Boolean).length;
  if (ways !== 1) throw new CliError('cli.usage', 'say one of --png TIME, --mp4 and --text');
  if (out === undefined && process.stdout.isTTY && options.text !== true)
    throw new CliError('cli.usage', 'pictures are not for a terminal: name a file with --out, or a pipe');
  const maxIdle = options.maxIdle === undefined ? undefined : Number(options.maxIdle);
  if (maxIdle !== undefined && !(maxIdle >= 0)) throw new CliError('cli.usage', 'a pause is a number from 0');
  const at = options.png === undefined ? undefined : secondsOf(options.png);
  // a file that cannot be made is found before a film is
  await using file = out === undefined ? undefined : await openNew(out);
  const parts: Uint8Array[] = [];
  const take = (part: { bytes: Uint8Array }): void => void parts.push(part.bytes);
  try {
    if (options.text === true) await here.call('recording.play', { recording, format: 'text' }, take);
    else if (at !== undefined) await here.call('recording.draw', { recording, format: 'png', at }, take);
    else {
      const asked = { recording, format: 'mp4', ...(maxIdle !== undefined && { maxIdle }) } as const;
      await here.call('recording.draw', asked, take);
    }
  } catch (error) {
    if (out !== undefined) await rm(out, { force: true });
    throw error;
  }
  for (const part of parts) {
    if (file === undefined) process.stdout.write(part);
    else await file.writeFile(part);
  }
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (cause) {
    throw new CliError('cli.file-unwritable', path, { cause });
  }
}

/** Small pictures of a desktop in a terminal that has colours; anywhere else, how to get pictures. */
async function showDesktop(here: Caller, recording: string, time: string | undefined): Promise<void> {
  const at = time === undefined ? undefined : secondsOf(time);
  if (!process.stdout.isTTY) {
    process.stdout.write(
      [
        'this is the recording of a desktop; get it with',
        `  sallyport recording export ${plain(recording)} --mp4 --out FILE`,
        `  sallyport recording export ${plain(recording)} --png TIME --out FILE`,
        `  sallyport recording export ${plain(recording)} --text`,
        '',
      ].join('\n'),
    );
    return;
  }
  const columns = Math.max(10, Math.min(500, process.stdout.columns));
  const asked = { recording, format: 'strip', columns, ...(at !== undefined && { at }) } as const;
  await here.call('recording.draw', asked, (part) => void process.stdout.write(part.bytes));
}

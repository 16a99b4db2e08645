/** `recordings`, `play`, `recording verify`: what was recorded. */
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
        ['recording', 'session', 'user', 'account', 'startedAt', 'state', 'size', 'blocks'],
        here.format,
        'no recordings yet',
      );
    });
  program
    .command('play <recording>')
    .description('show what the terminal showed, when it showed it')
    .option('--speed <factor>', '2 is twice as fast; 0 is at once', '1')
    .option('--max-idle <seconds>', 'no pause is longer than this', '3')
    .addOption(
      new Option(
        '--format <format>',
        'text without escape sequences, asciicast v2, or the events as JSON lines',
      ).choices(['text', 'asciicast', 'events']),
    )
    .action(
      async (
        recording: string,
        options: { speed: string; maxIdle: string; format?: 'text' | 'asciicast' | 'events' },
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

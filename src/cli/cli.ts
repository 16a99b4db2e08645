/**
 * The command line. Every command but `start` is one or two calls of the contract over the keeper's socket; what it
 * prints is for people, or JSON with `-o json`. Exit codes: 0 ok, 1 internal, 2 usage, 3 not authenticated, 4 denied,
 * 5 pending approval, 6 not found, 7 conflict, 130 interrupted.
 */
import { Command, CommanderError, Option } from 'commander';
import { codeOf, SallyportError, wordsOf } from '../base/errors.ts';
import { type Caller, caller } from './caller.ts';
import { auditCommands } from './commands/audit.ts';
import { conflictCommands } from './commands/conflicts.ts';
import { estateCommands } from './commands/estate.ts';
import { eventSourceCommands } from './commands/event-sources.ts';
import { nodeCommands } from './commands/nodes.ts';
import { rdpCommands } from './commands/rdp.ts';
import { recordingCommands } from './commands/recordings.ts';
import { rotationCommands } from './commands/rotation.ts';
import { scheduleCommands } from './commands/schedules.ts';
import { sessionCommands } from './commands/sessions.ts';
import { userCommands } from './commands/users.ts';
import { exitCodeOf, exitCodes } from './errors.ts';
import { type Format, plain } from './output.ts';

/** What the process's entry gives to the command line: how to start, and where the data directory is by default. */
export interface Entry {
  readonly version: string;
  readonly defaultData: string;
  start(flags: Record<string, string>): Promise<void>;
}

/** Runs one command and returns the exit code. Errors are printed with their code and remedy. */
export async function runCli(argv: readonly string[], entry: Entry): Promise<number> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  const program = new Command('sallyport')
    .description('a gate for machines: one door for ssh, credentials injected, sessions recorded, secrets rotated')
    .version(entry.version)
    .option(
      '--data <directory>',
      'the data directory of the running Sallyport (or SALLYPORT_DATA)',
      process.env['SALLYPORT_DATA'] ?? entry.defaultData,
    )
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table'))
    .showSuggestionAfterError()
    .exitOverride();

  program
    .command('start')
    .description('run Sallyport: database, keeper and gates, until interrupted')
    .option('--config <file>', 'settings in YAML')
    .option('--root-key <file>', 'the key that opens the vault, outside the data directory')
    .option('--ssh-listen <address>', 'where ssh clients come in, e.g. 0.0.0.0:2222')
    .option('--rdp-listen <address>', 'where clients of RDP come in, e.g. 0.0.0.0:3389, or off')
    .option('--node-listen <address>', 'where the databases of other nodes come in, over TLS, e.g. 10.0.0.1:7432')
    .option('--gates <count>', 'gate processes')
    .option('--log-level <level>', 'debug, info, warn, error or silent')
    .action(async (flags: Record<string, string>) => {
      const data =
        program.getOptionValueSource('data') === 'cli' ? { data: program.opts<{ data: string }>().data } : {};
      await entry.start({ ...flags, ...data });
    });

  const here = (): Caller => {
    process.once('SIGINT', interrupt);
    const options = program.opts<{ data: string; output: Format }>();
    return caller(options.data, options.output, interrupted.signal);
  };
  for (const add of [
    sessionCommands,
    rdpCommands,
    estateCommands,
    userCommands,
    recordingCommands,
    rotationCommands,
    scheduleCommands,
    eventSourceCommands,
    conflictCommands,
    nodeCommands,
    auditCommands,
  ])
    add(program, here);

  try {
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? exitCodes.ok);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    // What was asked for may be going on: only who looks at the outcome knows it.
    if (interrupted.signal.aborted) return exitCodes.interrupted;
    return complain(error);
  }
}

/** Prints what went wrong, its stable code and what to do about it. */
function complain(error: unknown): number {
  const code = codeOf(error);
  process.stderr.write(`sallyport: ${plain(wordsOf(error))} (${code})\n`);
  if (error instanceof SallyportError && error.remedy !== '') process.stderr.write(`  ${plain(error.remedy)}\n`);
  return exitCodeOf(code);
}

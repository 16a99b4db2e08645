import { defineErrors, SallyportError } from '../base/errors.ts';

export const cliErrors = defineErrors({
  'cli.usage': { meaning: 'the command cannot be understood', remedy: 'add --help to see how it is used' },
  'cli.no-terminal': {
    meaning: 'there is no terminal to ask at',
    remedy: 'give the value on standard input with --stdin; never as an argument, where other users see it',
  },
  'cli.unequal': { meaning: 'the two inputs differ', remedy: 'type the same value twice' },
  'cli.file-unreadable': { meaning: 'the file cannot be read', remedy: 'check its path and your permissions' },
  'cli.not-confirmed': {
    meaning: 'nothing was changed',
    remedy: 'answer `yes`, or give --yes after you compared the fingerprints yourself',
  },
});

export class CliError extends SallyportError<keyof typeof cliErrors> {
  constructor(code: keyof typeof cliErrors, detail?: string, options?: ErrorOptions) {
    super(code, cliErrors[code], detail, options);
  }
}

/** Exit codes of every command. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  notAuthenticated: 3,
  denied: 4,
  pending: 5,
  notFound: 6,
  conflict: 7,
} as const;

/** The exit code that a stable code stands for. */
export function exitCodeOf(code: string): number {
  if (/^cli\.|\.(invalid|malformed|bad-fields|usage)|estate-file/.test(code)) return exitCodes.usage;
  if (/not-authenticated|no-keeper|not-yours|code-(wrong|invalid|expired)|enrolment/.test(code))
    return exitCodes.notAuthenticated;
  if (/denied|forbidden|not-allowed|refused/.test(code)) return exitCodes.denied;
  if (/unknown|not-found|no-such|missing|no-password/.test(code)) return exitCodes.notFound;
  if (/conflict|busy|in-use|already|exists/.test(code)) return exitCodes.conflict;
  return exitCodes.internal;
}

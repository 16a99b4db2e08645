/** `rdp`, `ca show`: the way in for clients of RDP, and what they are to trust. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { wordsOf } from '../../base/errors.ts';
import { parseRdpUser } from '../../link/link.ts';
import type { Caller } from '../caller.ts';
import { CliError } from '../errors.ts';
import { plain, printOne } from '../output.ts';

interface Options {
  readonly minutes?: string;
  readonly from?: string;
  readonly user?: string;
  readonly file?: string;
}

export function rdpCommands(program: Command, with_: () => Caller): void {
  program
    .command('rdp <selector>')
    .description('a connection token for a desktop, once: rdp alice@root@win-01, or rdp root@win-01 --user alice')
    .option('--user <name>', 'whom it is for; then the selector is ACCOUNT@TARGET or TARGET')
    .option('--minutes <count>', 'how long it may wait to be used, 1 to 60 (10 unless told)')
    .option('--from <address>', 'the only address that it may be used from')
    .option('--file <path>', 'also write a signed .rdp file; the token is not in it')
    .action(async (text: string, options: Options) => mint(with_(), text, options));

  program
    .command('ca')
    .description("the gate's own certificate authority")
    .command('show')
    .description('print the certificate that clients of RDP have to trust, and its fingerprint')
    .action(async () => {
      const here = with_();
      const answer = await here.call('authority.show', {});
      const lines = [
        answer.certificate.trim(),
        `SHA-256 ${answer.fingerprint}`,
        `valid to ${answer.validTo}`,
        `signer of .rdp files, SHA-1 ${answer.signer}`,
      ];
      printOne(answer, lines.join('\n'), here.format);
    });
}

async function mint(here: Caller, text: string, options: Options): Promise<void> {
  const selector = parseRdpUser(options.user === undefined ? text : `${escaped(options.user)}@${text}`, '');
  if ('violation' in selector) throw new CliError('cli.usage', `the selector is ${selector.violation}`);
  const { target, account, service } = selector;
  if (target === undefined) throw new CliError('cli.usage', 'write USER@ACCOUNT@TARGET, or --user USER ACCOUNT@TARGET');
  const minutes = options.minutes === undefined ? undefined : Number(options.minutes);
  if (minutes !== undefined && !Number.isInteger(minutes)) throw new CliError('cli.usage', '--minutes takes a number');
  const answer = await here.call('connection-token.mint', {
    user: selector.user,
    target,
    ...(account === undefined ? {} : { account }),
    ...(service === undefined ? {} : { service }),
    ...(minutes === undefined ? {} : { minutes }),
    ...(options.from === undefined ? {} : { from: options.from }),
  });
  if (options.file !== undefined) write(options.file, answer.file);
  const address = `${answer.host.includes(':') ? `[${answer.host}]` : answer.host}:${answer.port}`;
  // Without /p the client asks for the password: on a command line other users would see the token.
  const command = `xfreerdp /v:${address} /u:'${answer.user}' /d: /sec:nla`;
  const lines = [
    `desktop   ${plain(answer.account)}`,
    `address   ${address}`,
    `user      ${plain(answer.user)}`,
    `password  ${answer.token}`,
    `          once, until ${answer.expiresAt}`,
    `e.g.      ${plain(command)}`,
    ...(options.file === undefined ? [] : [`file      ${options.file}`]),
  ];
  const { file: _, ...told } = answer;
  const written = options.file === undefined ? {} : { file: options.file };
  printOne({ ...told, ...written, command }, lines.join('\n'), here.format);
}

/** A user name that may be an e-mail address, as a selector writes it. */
function escaped(user: string): string {
  return user.replaceAll('%', '%25').replaceAll('@', '%40').replaceAll('+', '%2B').replaceAll(',', '%2C');
}

function write(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    throw new CliError('cli.file-unwritable', wordsOf(error), { cause: error });
  }
}

/** `apply`, `targets`, `target trust`, `accounts`, `account set`: what there is, and what opens it. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { wordsOf } from '../../base/errors.ts';
import type { Caller } from '../caller.ts';
import { CliError } from '../errors.ts';
import { plain, printList, printOne } from '../output.ts';
import { askHidden, askLine, readStdin } from '../prompt.ts';

export function estateCommands(program: Command, with_: () => Caller): void {
  program
    .command('apply')
    .description('make the estate as a YAML file says: targets, accounts, users, groups, policies, grants')
    .requiredOption('-f, --file <path>', 'the file, or - for standard input')
    .option('--dry-run', 'only say what would change, and what is there that the file does not mention')
    .option('--prune', 'also remove what the file does not mention')
    .action(async (options: { file: string; dryRun?: boolean; prune?: boolean }) => {
      const here = with_();
      const text = options.file === '-' ? Buffer.from(await readStdin()).toString('utf8') : readText(options.file);
      const answer = await here.call('estate.apply', {
        text,
        dryRun: options.dryRun ?? false,
        prune: options.prune ?? false,
      });
      const changes = answer.changes.filter((change) => change.change !== 'same');
      const lines = changes.map(
        (c) =>
          `${c.change.padEnd(8)} ${c.object} ${plain(c.name)}${c.fields?.length ? ` (${c.fields.join(', ')})` : ''}`,
      );
      if (changes.length === 0) lines.push('nothing to change');
      for (const name of answer.unmentioned) lines.push(`unmentioned  ${plain(name)}`);
      printOne(answer, lines.join('\n'), here.format);
    });

  const target = program.command('target').description('machines that can be reached');
  target
    .command('ls')
    .description('list targets')
    .action(async () => {
      const here = with_();
      const { targets } = await here.call('target.list', {});
      printList(
        targets,
        ['name', 'platform', 'address', 'services', 'hostKeys'],
        here.format,
        'no targets yet: declare some with `sallyport apply`',
      );
    });
  target
    .command('trust <target>')
    .description("show a target's host keys, or its certificate for rdp, and trust them once compared (TARGET,rdp)")
    .option('--yes', 'do not ask')
    .option('--fingerprint <fingerprint...>', 'trust exactly these, e.g. SHA256:…')
    .action(async (name: string, options: { yes?: boolean; fingerprint?: string[] }) => trust(with_(), name, options));

  const account = program.command('account').description('logins on targets whose credential Sallyport keeps');
  account
    .command('ls')
    .description('list accounts')
    .action(async () => {
      const here = with_();
      const { accounts } = await here.call('account.list', {});
      printList(
        accounts,
        ['account', 'kind', 'policy', 'connector', 'credential', 'conflict', 'rotateAfterSession'],
        here.format,
        'no accounts yet: declare some with `sallyport apply`',
      );
    });
  account
    .command('set <account>')
    .description('store the credential that the account has now: a password, or a private key on standard input')
    .option('--stdin', 'read it from standard input')
    .option('--passphrase', 'ask for the passphrase of an encrypted private key')
    .option('--unverified', 'store it without trying it at the target; the account then counts as uncertain')
    .action(async (name: string, options: { stdin?: boolean; passphrase?: boolean; unverified?: boolean }) => {
      const here = with_();
      const secret =
        options.stdin === true || !process.stdin.isTTY ? await readStdin() : askHidden(`credential of ${name}: `);
      const passphrase = options.passphrase === true ? askHidden('passphrase of the key: ') : undefined;
      try {
        const answer = await here.call('account.store', {
          account: name,
          secret,
          unverified: options.unverified ?? false,
          ...(passphrase === undefined ? {} : { passphrase }),
        });
        printOne(answer, `${name}: stored, ${answer.status}`, here.format);
      } finally {
        secret.fill(0);
        passphrase?.fill(0);
      }
    });
}

async function trust(here: Caller, name: string, options: { yes?: boolean; fingerprint?: string[] }): Promise<void> {
  const { address, port, keys } = await here.call('target.scan', { name });
  const fresh = keys.filter((key) => key.state !== 'trusted');
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const certificate = keys.some((key) => key.algorithm === 'x509-sha256');
  say(`${plain(name)} at ${plain(address)}:${port} shows ${certificate ? 'this certificate' : 'these host keys'}:`);
  for (const key of keys)
    say(
      `  ${key.algorithm.padEnd(22)} ${key.fingerprint}  ${key.state === 'changed' ? 'DIFFERS from the one trusted so far' : key.state}`,
    );
  if (fresh.length === 0) return printOne({ trusted: [] }, 'all of them are trusted already', here.format);
  const wanted =
    options.fingerprint === undefined ? fresh : fresh.filter((key) => options.fingerprint?.includes(key.fingerprint));
  if (wanted.length === 0) throw new CliError('cli.not-confirmed', 'the target shows none of the named fingerprints');
  if (options.yes !== true && options.fingerprint === undefined) {
    const answer = await askLine(
      certificate
        ? 'Is it the right one? Compare the SHA-256 on the machine itself, in its certificate store or with openssl. (yes/no) '
        : 'Are these the right ones? Compare with `ssh-keygen -lf` on the machine itself. (yes/no) ',
    );
    if (answer !== 'yes') throw new CliError('cli.not-confirmed');
  }
  const answer = await here.call('target.trust', {
    name,
    keys: wanted.map(({ algorithm, publicKey }) => ({ algorithm, publicKey })),
  });
  printOne(
    answer,
    answer.trusted.map((key) => `trusted  ${key.algorithm}  ${key.fingerprint}`).join('\n'),
    here.format,
  );
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CliError('cli.file-unreadable', wordsOf(error), { cause: error });
  }
}

/** `enrol` and `user …`: the people who log in to Sallyport. */
import type { Command } from 'commander';
import type { Caller } from '../caller.ts';
import { CliError } from '../errors.ts';
import { printList, printOne } from '../output.ts';
import { askHidden, askHiddenTwice, readStdin, readStdinLines } from '../prompt.ts';

export function userCommands(program: Command, with_: () => Caller): void {
  program
    .command('enrol <name>')
    .description('become a user with a one-time code; the first one is the administrator')
    .option('--stdin', 'read the code and the password from standard input, one a line')
    .option('--key <line>', 'a public key, as it stands in id_ed25519.pub')
    .action(async (name: string, options: { stdin?: boolean; key?: string }) => {
      const here = with_();
      const [code, password] =
        options.stdin === true
          ? await readStdinLines()
          : [askHidden('one-time code: '), askHiddenTwice(`new password of ${name}`)];
      if (code === undefined || password === undefined)
        throw new CliError('cli.usage', 'standard input needs two lines: code, password');
      const answer = await here.call('enrol', {
        code,
        name,
        password,
        ...(options.key === undefined ? {} : { publicKey: options.key }),
      });
      password.fill(0);
      printOne(answer, `${answer.user} may log in now; roles: ${answer.roles.join(', ') || 'none'}`, here.format);
    });

  const user = program.command('user').description('people');
  user
    .command('ls')
    .description('list users')
    .action(async () => {
      const here = with_();
      const { users } = await here.call('user.list', {});
      printList(
        users,
        ['name', 'roles', 'groups', 'factors', 'state', 'expiresAt'],
        here.format,
        'nobody yet: enrol with the code that `sallyport start` printed',
      );
    });
  user
    .command('code <name>')
    .description('a one-time code with which a user enrols')
    .action(async (name: string) => {
      const here = with_();
      const answer = await here.call('user.code', { name });
      printOne(
        answer,
        `${answer.code}\nvalid until ${answer.expiresAt}; give it to ${name}, who types: sallyport enrol ${name}`,
        here.format,
      );
    });
  user
    .command('passwd <name>')
    .description('set a password')
    .option('--stdin', 'read it from standard input')
    .action(async (name: string, options: { stdin?: boolean }) => {
      const here = with_();
      const password = options.stdin === true ? await readStdin() : askHiddenTwice(`new password of ${name}`);
      await here.call('user.password', { name, password });
      password.fill(0);
      printOne({ done: true }, `${name}: password set`, here.format);
    });
  user
    .command('key <name> <line>')
    .description('add a public key, as it stands in id_ed25519.pub')
    .action(async (name: string, line: string) => {
      const here = with_();
      const answer = await here.call('user.key', { name, line });
      printOne(answer, `${name}: ${answer.fingerprint}`, here.format);
    });
  user
    .command('totp <name>')
    .description('a second factor from an authenticator app; the address is shown once')
    .action(async (name: string) => {
      const here = with_();
      const answer = await here.call('user.totp', { name });
      printOne(answer, answer.uri, here.format);
    });
  user
    .command('unlock <name>')
    .description('lift a lock-out after wrong passwords')
    .action(async (name: string) => {
      const here = with_();
      printOne(await here.call('user.unlock', { name }), `${name}: unlocked`, here.format);
    });
  for (const [word, disabled] of [
    ['disable', true],
    ['enable', false],
  ] as const) {
    user
      .command(`${word} <name>`)
      .description(disabled ? 'shut a user out; running sessions end' : 'let a user in again')
      .action(async (name: string) => {
        const here = with_();
        printOne(await here.call('user.disable', { name, disabled }), `${name}: ${word}d`, here.format);
      });
  }
}

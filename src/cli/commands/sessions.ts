/** `sessions`, `kill`, `explain`, `status`: who is on what, and why. */
import type { Command } from 'commander';
import type { Caller } from '../caller.ts';
import { exitCodes } from '../errors.ts';
import { plain, printList, printOne } from '../output.ts';

export function sessionCommands(program: Command, with_: () => Caller): void {
  program
    .command('status')
    .description('whether Sallyport runs, and how it is')
    .action(async () => {
      const here = with_();
      const status = await here.call('status', {});
      const lines = [
        `Sallyport ${status.version}, since ${status.startedAt}`,
        `database      ${plain(status.database)}`,
        `gates         ${status.gates.length} (${status.gates.map((gate) => `process ${gate.pid}: ${gate.sessions} sessions`).join('; ') || 'none'})`,
        `live sessions ${status.liveSessions}`,
        `users         ${status.users}${status.enrolmentOpen ? ' (the first one can still enrol)' : ''}`,
      ];
      printOne(status, lines.join('\n'), here.format);
    });
  program
    .command('sessions')
    .description('list sessions')
    .option('--live', 'only those that run now')
    .action(async (options: { live?: boolean }) => {
      const here = with_();
      const { sessions } = await here.call('session.list', { live: options.live ?? false });
      printList(
        sessions,
        ['session', 'user', 'account', 'peer', 'state', 'openedAt', 'endedAt', 'outcome', 'recording'],
        here.format,
        'no sessions',
      );
    });
  program
    .command('kill <session>')
    .description('end a running session now')
    .requiredOption('--reason <words>', 'why; it is audited, and shown to the user')
    .action(async (session: string, options: { reason: string }) => {
      const here = with_();
      printOne(await here.call('session.kill', { session, reason: options.reason }), `${session}: killed`, here.format);
    });
  program
    .command('explain <user> <account>')
    .description('why a user may or may not reach an account now, e.g. explain alice root@web-01')
    .action(async (user: string, selector: string) => {
      const here = with_();
      const at = selector.lastIndexOf('@');
      const answer = await here.call('access.explain', {
        user,
        target: selector.slice(at + 1),
        ...(at === -1 ? {} : { account: selector.slice(0, at) }),
      });
      printOne(
        answer,
        [answer.allowed ? 'allowed' : 'not allowed', ...answer.lines.map((line) => `  ${plain(line)}`)].join('\n'),
        here.format,
      );
      if (!answer.allowed) process.exitCode = exitCodes.denied;
    });
}

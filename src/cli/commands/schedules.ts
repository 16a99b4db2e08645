/** `schedule`: when credentials are changed by themselves, and what is due. They are declared in estate.yaml. */
import type { Command } from 'commander';
import type { Caller } from '../caller.ts';
import { json, print, printList, table } from '../output.ts';

export function scheduleCommands(program: Command, with_: () => Caller): void {
  const schedule = program.command('schedule').description('when credentials are changed by themselves');
  schedule
    .command('ls')
    .description('the schedules, and how each policy is managed')
    .action(async () => {
      const here = with_();
      const answer = await here.call('schedule.list', {});
      if (here.format === 'json') return print(json(answer, 2));
      const columns = ['schedule', 'times', 'zone', 'window', 'jitterMinutes', 'retries'];
      print(answer.schedules.length === 0 ? 'no schedules' : table(answer.schedules, columns));
      print('');
      print(
        table(answer.management, [
          'policy',
          'schedule',
          'maxAgeDays',
          'managingNode',
          'localFallback',
          'automaticResolution',
        ]),
      );
    });
  schedule
    .command('due')
    .description('what will be changed when, and why not yet')
    .action(async () => {
      const here = with_();
      const { accounts } = await here.call('schedule.due', {});
      printList(accounts, ['account', 'when', 'why'], here.format, 'no account has a connector');
    });
}

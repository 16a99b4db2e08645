/**
 * `conflicts`: accounts of which it is not known which value holds. Lists and trees are for reading; every decision is
 * about one account (`force`, `confirm`, `reject`, `set-current`, `blank`), `resolve` may be about many.
 */
import type { Command } from 'commander';
import type { Reply } from '../../contract/contract.ts';
import type { Caller } from '../caller.ts';
import { CliError, exitCodes } from '../errors.ts';
import { json, plain, print, printOne, table } from '../output.ts';
import { drawTree } from '../tree.ts';

export function conflictCommands(program: Command, with_: () => Caller): void {
  const conflicts = program.command('conflicts').description('accounts of which it is not known which value holds');
  reading(conflicts, with_);
  deciding(conflicts, with_);
}

function reading(conflicts: Command, with_: () => Caller): void {
  conflicts
    .command('ls')
    .description('every account in conflict or out of sync, and why it was not resolved by itself')
    .action(async () => {
      const here = with_();
      const answer = await here.call('conflict.list', {});
      if (here.format === 'json') return print(json(answer, 2));
      const columns = ['account', 'policy', 'kind', 'state', 'candidates', 'since', 'reason'];
      print(answer.conflicts.length === 0 ? 'no conflicts' : table(answer.conflicts, columns));
      if (answer.lastDiscovery !== undefined) print(`all accounts were last looked at on ${answer.lastDiscovery}`);
    });
  conflicts
    .command('show <account>')
    .description('the whole tree of one account: every value, who drew it, what became of it')
    .action(async (account: string) => {
      const here = with_();
      const tree = await here.call('conflict.show', { account });
      if (here.format === 'json') return print(json(tree, 2));
      print(plainLines(drawTree(tree)));
    });
  conflicts
    .command('report [account]')
    .description('what resolutions did to every single value, newest first')
    .option('--limit <rows>', 'at most so many rows', '100')
    .action(async (account: string | undefined, { limit }: { limit: string }) => {
      const here = with_();
      const most = Number(limit);
      if (!Number.isInteger(most) || most < 1 || most > 100_000) throw new CliError('cli.usage', `--limit ${limit}`);
      const fields = { limit: most, ...(account === undefined ? {} : { account }) };
      const answer = await here.call('conflict.report', fields);
      if (here.format === 'json') return print(json(answer, 2));
      const { rows, lastDiscovery: last } = answer;
      const columns = [
        'at',
        'actionreason',
        'accountname',
        'type',
        'retcode',
        'sigkey',
        'requestername',
        'svcid',
        'agentmessage',
      ];
      print(rows.length === 0 ? 'nothing was resolved yet' : table(rows, columns));
      if (last !== undefined)
        print(`all accounts were last looked at on ${last.at}: ${last.accounts} accounts, ${last.found} in conflict`);
    });
}

function deciding(conflicts: Command, with_: () => Caller): void {
  conflicts
    .command('resolve [accounts...]')
    .description('try the candidates now, of the named accounts or of all in conflict')
    .action(async (accounts: string[]) => {
      const here = with_();
      const rows: object[] = [];
      const counts = await here.call('conflict.resolve', { accounts }, (part) => {
        rows.push(part);
        if (here.format === 'json') return;
        const remedy = part.remedy === undefined || part.remedy === '' ? '' : `\n  ${plain(part.remedy)}`;
        print(`${part.account}: ${part.status}, ${plain(part.words)}${remedy}`);
      });
      if (here.format === 'json') print(json({ ...counts, accounts: rows }, 2));
      else print(`${counts.resolved} resolved, ${counts.left} left`);
      if (counts.left > 0) process.exitCode = exitCodes.conflict;
    });
  conflicts
    .command('force <account>')
    .description('presume that the newest confirmed value holds, and set a new one at once')
    .action(async (account: string) => {
      const here = with_();
      const answer = await here.call('conflict.force', { account });
      printOne(answer, `${account}: ${answer.status}, ${plain(answer.words)}`, here.format);
      if (answer.status !== 'confirmed') process.exitCode = exitCodes.conflict;
    });
  for (const [what, words] of [
    ['confirm', 'say that an uncertain value was set'],
    ['reject', 'say that an uncertain value was not set'],
    ['set-current', 'make one candidate of a tree the current value'],
  ] as const)
    conflicts
      .command(`${what} <account> <sigkey>`)
      .description(words)
      .action(async (account: string, sigkey: string) => {
        const here = with_();
        decided(here, await here.call('conflict.decide', { account, sigkey, what }));
      });
  conflicts
    .command('blank <account>')
    .description('last resort: no current value any more; nothing is checked, and every value is kept')
    .option('--yes', 'you know what it does')
    .action(async (account: string, { yes }: { yes?: boolean }) => {
      const here = with_();
      if (yes !== true) throw new CliError('cli.not-confirmed', 'blanking checks nothing; give --yes');
      decided(here, await here.call('conflict.blank', { account }));
    });
  conflicts
    .command('discover')
    .description('look at all accounts for conflicts now, and save when that was')
    .action(async () => {
      const here = with_();
      const answer = await here.call('conflict.discover', {});
      printOne(answer, `${answer.accounts} accounts, ${answer.found} in conflict`, here.format);
    });
}

function decided(here: Caller, answer: Reply<'conflict.decide'>): void {
  const current = answer.current ?? 'No password recorded yet';
  printOne(
    answer,
    `${answer.account}: ${answer.words}; conflict: ${answer.conflict}; current: ${current}`,
    here.format,
  );
}

/** Line ends are ours; everything else that could move the cursor is not. */
function plainLines(text: string): string {
  return text.split('\n').map(plain).join('\n');
}

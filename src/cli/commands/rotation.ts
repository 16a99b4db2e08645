/** `rotate`, `verify`, `history`: what an account's credential is, was and may be. */
import type { Command } from 'commander';
import type { Reply } from '../../contract/contract.ts';
import type { Caller } from '../caller.ts';
import { exitCodes } from '../errors.ts';
import { plain, print, printOne, table } from '../output.ts';

export function rotationCommands(program: Command, with_: () => Caller): void {
  program
    .command('rotate <account>')
    .description('change the credential on the target now, and prove the new one by a login')
    .option('--wait', 'let a change that is under way end first')
    .action(async (account: string, options: { wait?: boolean }) => {
      const here = with_();
      judge(here, account, await here.call('rotation.rotate', { account, wait: options.wait ?? false }), 'confirmed');
    });
  program
    .command('verify <account>')
    .description('try the stored credential at the target')
    .action(async (account: string) => {
      const here = with_();
      judge(here, account, await here.call('rotation.verify', { account }), 'accepted');
    });
  program
    .command('history <account>')
    .description('every value that the credential has had or may have had; never the values themselves')
    .action(async (account: string) => {
      const here = with_();
      const answer = await here.call('rotation.history', { account });
      if (here.format === 'json') return printOne(answer, '', 'json');
      const rows = answer.versions.map((version) => ({ ...version, current: version.current ? 'yes' : '' }));
      print(
        rows.length === 0
          ? 'No password recorded yet'
          : table(rows, ['sigkey', 'status', 'place', 'current', 'createdAt', 'parent', 'node']),
      );
      if (answer.conflict !== 'none') print(`conflict: ${answer.conflict}`);
    });
}

/** Prints what became of it, and lets the exit code say so: uncertain is neither success nor failure. */
function judge(here: Caller, account: string, answer: Reply<'rotation.rotate'>, good: string): void {
  printOne(
    answer,
    `${account}: ${answer.status}${answer.words ? `, ${plain(answer.words)}` : ''}${answer.remedy ? `\n${plain(answer.remedy)}` : ''}`,
    here.format,
  );
  if (answer.status !== good)
    process.exitCode =
      answer.status === 'uncertain' || answer.status === 'unknown' ? exitCodes.conflict : exitCodes.internal;
}

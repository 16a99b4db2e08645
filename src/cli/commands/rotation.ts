/** `rotate`, `verify`, `history`: what an account's credential is, was and may be. */
import type { Command } from 'commander';
import type { Caller } from '../caller.ts';
import { exitCodes } from '../errors.ts';
import { plain, print, printOne, table } from '../output.ts';

export function rotationCommands(program: Command, with_: () => Caller): void {
  program
    .command('rotate <account>')
    .description('change the credential on the target now, and prove the new one by a login')
    .action(async (account: string) => verdict(with_(), 'rotation.rotate', account, 'confirmed'));
  program
    .command('verify <account>')
    .description('try the stored credential at the target')
    .action(async (account: string) => verdict(with_(), 'rotation.verify', account, 'accepted'));
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

async function verdict(
  here: Caller,
  route: 'rotation.rotate' | 'rotation.verify',
  account: string,
  good: string,
): Promise<void> {
  const answer = await here.call(route, { account });
  printOne(
    answer,
    `${account}: ${answer.status}${answer.words ? `, ${plain(answer.words)}` : ''}${answer.remedy ? `\n${plain(answer.remedy)}` : ''}`,
    here.format,
  );
  if (answer.status !== good)
    process.exitCode =
      answer.status === 'uncertain' || answer.status === 'unknown' ? exitCodes.conflict : exitCodes.internal;
}

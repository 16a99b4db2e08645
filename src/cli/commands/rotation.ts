/** `rotate`, `verify`, `reconcile`, `history`, `connectors`: what accounts' credentials are, were and may be. */
import type { Command } from 'commander';
import type { Reply } from '../../contract/contract.ts';
import type { Caller } from '../caller.ts';
import { CliError, exitCodes } from '../errors.ts';
import { json, plain, print, printList, printOne, table } from '../output.ts';

interface Choice {
  readonly policy?: string;
  readonly target?: string;
}

export function rotationCommands(program: Command, with_: () => Caller): void {
  many(
    program
      .command('rotate [accounts...]')
      .description('change credentials on their targets now, and prove the new ones by a login')
      .option('--wait', 'let a change that is under way end first (one account)'),
    'rotate',
    with_,
  );
  many(program.command('verify [accounts...]').description('try stored credentials at their targets'), 'verify', with_);
  many(
    program
      .command('reconcile [accounts...]')
      .description('set new credentials by the reconcile accounts, where every known one is refused'),
    'reconcile',
    with_,
  );
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
  program
    .command('connectors')
    .description('the kinds of target whose credentials can be changed, and what their accounts may be told')
    .action(async () => {
      const here = with_();
      const { connectors } = await here.call('connector.list', {});
      printList(connectors, ['connector', 'kind', 'protocols', 'modes', 'sends', 'title'], here.format, 'none');
      if (here.format === 'json') return;
      for (const { connector, settings } of connectors)
        for (const { name, values, words } of settings) print(`${connector}: ${name} (${values}): ${words}`);
    });
}

type Work = 'rotate' | 'verify' | 'reconcile';
const good = { rotate: 'confirmed', verify: 'accepted', reconcile: 'confirmed' } as const;

/** One account by its own route, with its own exit code; several by the bulk route, with a line for each as it ends. */
function many(command: Command, what: Work, with_: () => Caller): void {
  command
    .option('--policy <name>', 'all accounts of a policy')
    .option('--target <name>', 'all accounts of a target')
    .action(async (accounts: string[], options: Choice & { readonly wait?: boolean }) => {
      const here = with_();
      const [account, ...others] = accounts;
      const chosen = options.policy !== undefined || options.target !== undefined;
      if (account === undefined && !chosen) throw new CliError('cli.usage', 'name accounts, --policy or --target');
      if (account !== undefined && others.length === 0 && !chosen) {
        const fields = { account, ...(what === 'rotate' ? { wait: options.wait ?? false } : {}) };
        return judge(here, account, await here.call(`rotation.${what}`, fields), good[what]);
      }
      await bulk(here, what, accounts, options);
    });
}

async function bulk(here: Caller, what: Work, accounts: readonly string[], { policy, target }: Choice): Promise<void> {
  const rows: object[] = [];
  const fields = {
    what,
    accounts: [...accounts],
    ...(policy === undefined ? {} : { policy }),
    ...(target === undefined ? {} : { target }),
  };
  const counts = await here.call('rotation.bulk', fields, (part) => {
    rows.push(part);
    if (here.format === 'table') print(`${part.account}: ${part.status}, ${plain(part.words)}`);
  });
  if (here.format === 'json') print(json({ ...counts, accounts: rows }, 2));
  else print(`${counts.done} done, ${counts.failed} not, ${counts.refused} refused`);
  if (counts.failed + counts.refused > 0) process.exitCode = exitCodes.conflict;
}

/** Prints what became of it, and lets the exit code say so: uncertain is neither success nor failure. */
function judge(here: Caller, account: string, answer: Reply<'rotation.rotate'>, wanted: string): void {
  printOne(
    answer,
    `${account}: ${answer.status}${answer.words ? `, ${plain(answer.words)}` : ''}${answer.remedy ? `\n${plain(answer.remedy)}` : ''}`,
    here.format,
  );
  if (answer.status !== wanted)
    process.exitCode =
      answer.status === 'uncertain' || answer.status === 'unknown' ? exitCodes.conflict : exitCodes.internal;
}

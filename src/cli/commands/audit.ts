/** `audit tail` and `audit verify`: what happened, and the proof that nobody changed the account of it. */
import type { Command } from 'commander';
import type { Caller } from '../caller.ts';
import { exitCodes } from '../errors.ts';
import { json, plain, print, printOne } from '../output.ts';

export function auditCommands(program: Command, with_: () => Caller): void {
  const audit = program.command('audit').description('the audit trail');
  audit
    .command('tail')
    .description('the newest events')
    .option('-n, --lines <count>', 'how many', '20')
    .option('-f, --follow', 'go on with new ones until interrupted')
    .action(async (options: { lines: string; follow?: boolean }) => {
      const here = with_();
      await here.call('audit.tail', { limit: Number(options.lines), follow: options.follow ?? false }, (row) => {
        if (here.format === 'json') print(json(row));
        else
          print(
            `${String(row.seq).padStart(6)}  ${row.at}  ${plain(row.actor)}  ${row.type}  ${plain(JSON.stringify(row.details))}`,
          );
      });
    });
  audit
    .command('verify')
    .description('check every row, the chain over them and the signed heads')
    .action(async () => {
      const here = with_();
      const answer = await here.call('audit.verify', {});
      printOne(
        answer,
        answer.ok ? `${answer.rows} rows, unbroken; head ${answer.head}` : `BROKEN: ${plain(answer.problem ?? '')}`,
        here.format,
      );
      if (!answer.ok) process.exitCode = exitCodes.conflict;
    });
}

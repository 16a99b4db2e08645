/** `event-source`: who may ask for changes of credentials by a signed event. */
import type { Command } from 'commander';
import type { Caller } from '../caller.ts';
import { printList, printOne } from '../output.ts';

export function eventSourceCommands(program: Command, with_: () => Caller): void {
  const source = program
    .command('event-source')
    .description('who may have credentials changed by a signed event (POST /events/NAME)');
  source
    .command('add <name>')
    .description('make one; what its messages are signed with is printed once')
    .requiredOption('--accounts <selectors...>', 'what it may have changed: root@web-01, *@web-01, root@*')
    .action(async (name: string, { accounts }: { readonly accounts: string[] }) => {
      const here = with_();
      const answer = await here.call('event-source.add', { name, accounts });
      // As the Standard Webhooks specification writes it.
      const secret = `whsec_${Buffer.from(answer.signingKey).toString('base64')}`;
      answer.signingKey.fill(0);
      printOne({ source: answer.source, secret }, secret, here.format);
    });
  source
    .command('ls')
    .description('list them, and when each was last used')
    .action(async () => {
      const here = with_();
      const { sources } = await here.call('event-source.list', {});
      const columns = ['source', 'accounts', 'madeBy', 'madeAt', 'lastUsedAt'];
      printList(sources, columns, here.format, 'no event sources');
    });
  source
    .command('rm <name>')
    .description('remove one; nothing that it signs is taken from then on')
    .action(async (name: string) => {
      const here = with_();
      printOne(await here.call('event-source.remove', { name }), `${name}: removed`, here.format);
    });
}

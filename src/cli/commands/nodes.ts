/** `node …`: several sites, each with its own database, that tell each other what became of every credential. */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { wordsOf } from '../../base/errors.ts';
import type { Caller } from '../caller.ts';
import { CliError, exitCodes } from '../errors.ts';
import { plain, print, printList, printOne, table } from '../output.ts';

export function nodeCommands(program: Command, with_: () => Caller): void {
  const node = program.command('node').description('several sites that tell each other what became of credentials');
  node
    .command('init')
    .description('give this node its name; its database then lets other nodes in')
    .requiredOption('--name <name>', 'as it will stand in facts for ever, e.g. paris')
    .action(async ({ name }: { name: string }) => {
      const here = with_();
      const { startedAt } = await here.call('status', {});
      const answer = await here.call('node.init', { name });
      await untilBack(here, startedAt);
      printOne(
        answer,
        `this node is ${answer.node}; the next one joins with \`sallyport node invite\` here`,
        here.format,
      );
    });
  node
    .command('invite')
    .description('write an invitation for another node; it holds a password, so only you can read the file')
    .requiredOption('--file <file>', 'a new file')
    .action(async ({ file }: { file: string }) => {
      const here = with_();
      const { invitation } = await here.call('node.invite', {});
      try {
        writeFileSync(file, invitation, { mode: 0o600, flag: 'wx' });
      } catch (error) {
        throw new CliError('cli.file-unwritable', `${file}: ${wordsOf(error)}`);
      } finally {
        invitation.fill(0);
      }
      printOne({ file }, howToJoin(file), here.format);
    });
  node
    .command('join')
    .description('join by an invitation: take over the key ring, hear every node, and be heard')
    .requiredOption('--file <file>', 'the invitation')
    .action(async ({ file }: { file: string }) => {
      const here = with_();
      const invitation = read(file);
      const { startedAt } = await here.call('status', {});
      const { restarts, ...answer } = await here.call('node.join', { invitation });
      invitation.fill(0);
      if (restarts) await untilBack(here, startedAt);
      const unreached =
        answer.unreached.length === 0
          ? ''
          : `\nnot reached yet: ${list(answer.unreached)}; they are when they answer, and until then this node changes nothing`;
      printOne(answer, `joined; heard from now on: ${list(answer.peers)}${unreached}`, here.format);
      if (answer.unreached.length > 0) process.exitCode = exitCodes.pending;
    });
  node
    .command('status')
    .description('what comes in, what is still to go out, what was put aside; exit code 7 if anything is wrong')
    .option('--compare', 'ask the others whether they hold the same facts')
    .action(async ({ compare }: { compare?: boolean }) => {
      const here = with_();
      const answer = await here.call('node.status', { compare: compare ?? false });
      if (here.format === 'json') printOne(answer, '', 'json');
      else {
        print(
          `node ${answer.node}, ${answer.state}; ${answer.unfolded} facts not folded, ${answer.quarantined} put aside`,
        );
        const columns = [
          'name',
          'hearing',
          'silentSeconds',
          'applyErrors',
          'place',
          'behindBytes',
          'keptBytes',
          'owed',
        ];
        if (answer.peers.length > 0) print(table(answer.peers, compare === true ? [...columns, 'same'] : columns));
      }
      const fine = answer.peers.every(
        ({ hearing, place, owed, applyErrors, same }) =>
          hearing === 'live' && place === 'live' && !owed && applyErrors === 0 && same !== 'no',
      );
      const ready = answer.state === 'single' || answer.state === 'member';
      if (!fine || !ready || answer.quarantined > 0) process.exitCode = exitCodes.conflict;
    });
  node
    .command('leave')
    .description('leave the other nodes; facts stay where they are')
    .option('--peer <name>', 'instead forget this one, which does not come back')
    .action(async ({ peer }: { peer?: string }) => {
      const here = with_();
      const answer = await here.call('node.leave', peer === undefined ? {} : { peer });
      const untold = answer.untold.map((name) => `\non ${name}, type: sallyport node leave --peer THIS-NODE`).join('');
      const behind =
        answer.behind.length === 0
          ? ''
          : `\nnot all that this node said has come to: ${list(answer.behind)}; the others pass on what they have`;
      printOne(answer, `heard no more: ${list(answer.peers)}${untold}${behind}`, here.format);
    });
  node
    .command('heal')
    .description('after a return from a backup: fetch back what others have heard, and go on under a new name')
    .option('--peer <name>', 'only copy anew what comes from this one, e.g. because its place in the log was lost')
    .action(async ({ peer }: { peer?: string }) => {
      const here = with_();
      const { startedAt } = await here.call('status', {});
      const answer = await here.call('node.heal', peer === undefined ? {} : { peer });
      if (peer === undefined) await untilBack(here, startedAt);
      const later = answer.unreached.length === 0 ? '' : `; fetched later: ${list(answer.unreached)}`;
      printOne(answer, `this node is ${answer.node}; fetched from ${list(answer.reached)}${later}`, here.format);
    });
  quarantineCommands(node, with_);
}

function quarantineCommands(node: Command, with_: () => Caller): void {
  const quarantine = node
    .command('quarantine')
    .description('facts that were put aside, because another fact has their key');
  quarantine
    .command('ls')
    .description('which they are; exit code 7 if one of them was not acknowledged')
    .option('--all', 'those that were acknowledged too')
    .action(async ({ all }: { all?: boolean }) => {
      const here = with_();
      const { facts } = await here.call('node.quarantine', { all: all ?? false });
      printList(facts, ['id', 'table', 'key', 'node', 'at', 'acknowledged'], here.format, 'nothing was put aside');
      if (facts.some(({ acknowledged }) => !acknowledged)) process.exitCode = exitCodes.conflict;
    });
  quarantine
    .command('acknowledge')
    .description('say that you have looked at them; they are kept')
    .argument('[id...]', 'as `node quarantine ls` shows them')
    .option('--all', 'all of them')
    .action(async (ids: string[], { all }: { all?: boolean }) => {
      const here = with_();
      const facts = ids.map(Number);
      if (all !== (ids.length === 0 ? true : undefined) || facts.some((id) => !Number.isSafeInteger(id) || id < 1))
        throw new CliError('cli.usage', 'name facts by their numbers, or say --all');
      const { acknowledged } = await here.call('node.acknowledge', all === true ? {} : { facts });
      printOne({ acknowledged }, `${acknowledged} acknowledged`, here.format);
    });
}

const patienceMs = 60_000;
const lookAgainMs = 100;

/** Until a keeper answers that was started after this one: then everything is known under the new name. */
async function untilBack(here: Caller, startedAt: string): Promise<void> {
  for (const late = Date.now() + patienceMs; Date.now() < late; ) {
    const now = await here.call('status', {}).catch(() => undefined);
    if (now !== undefined && now.startedAt !== startedAt) return;
    await sleep(lookAgainMs, undefined, { signal: here.signal });
  }
}

function howToJoin(file: string): string {
  return `written to ${file}
On the new node: copy this node's root key file to where its own would be, start Sallyport with a listener for nodes
(setting \`node\`), then
  sallyport node init --name ITS-NAME
  sallyport node join --file FILE
and apply the same estate file. Copy both files over a channel that nobody else reads, and delete the invitation afterwards.`;
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'nobody' : plain(names.join(', '));
}

function read(file: string): Uint8Array {
  try {
    return Uint8Array.from(readFileSync(file));
  } catch (error) {
    throw new CliError('cli.file-unreadable', `${file}: ${wordsOf(error)}`);
  }
}

/**
 * `npm run simulate -- [--histories N] [--nodes K] [--seed S] [--replay H] [--mutate NAME]`: plays histories of several
 * nodes that rotate one account, with everything going wrong, and lets the oracle judge each (oracle.ts). It closes with
 * one line of JSON, and with exit code 1 if anything was lost, silently wrong, diverged or broken. `--replay H` plays
 * history H alone and tells its story; `--mutate NAME` breaks one rule, to see that the oracle notices.
 */
import { parseArgs } from 'node:util';
import { playHistory } from './history.ts';
import { mutated, mutationNames } from './mutations.ts';
import { realRules, type Rules } from './rules.ts';
import { isClean, run } from './run.ts';

class UsageError extends Error {}

function count(name: string, text: string, least = 0): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(number) || number < least)
    throw new UsageError(`--${name} is a whole number from ${least}, not ${text}`);
  return number;
}

function rulesFor(name: string | undefined): Rules {
  if (name === undefined) return realRules;
  const rules = mutated(name);
  if (rules === undefined) throw new UsageError(`--mutate is one of ${mutationNames.join(', ')}, not ${name}`);
  return rules;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function main(): boolean {
  const { values } = parseArgs({
    options: {
      histories: { type: 'string', default: '100000' },
      nodes: { type: 'string' },
      seed: { type: 'string', default: '1' },
      replay: { type: 'string' },
      mutate: { type: 'string' },
    },
  });
  const options = {
    seed: count('seed', values.seed),
    nodes: values.nodes === undefined ? undefined : Math.min(26, count('nodes', values.nodes, 1)),
    rules: rulesFor(values.mutate),
    mutation: values.mutate,
  };
  const tell = (at: number, text: string): void => say(`${(at / 1000).toFixed(3).padStart(10)} s  ${text}`);
  const summary =
    values.replay === undefined
      ? run({ ...options, from: 0, histories: count('histories', values.histories) }, say)
      : run({ ...options, from: count('replay', values.replay), histories: 1 }, say, (one) =>
          playHistory({ ...one, tell }),
        );
  say(JSON.stringify(summary));
  return isClean(summary);
}

try {
  process.exitCode = main() ? 0 : 1;
} catch (error) {
  const usage = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
  if (!usage) throw error;
  process.stderr.write(`simulate: ${(error as Error).message}\n`);
  process.exitCode = 2;
}

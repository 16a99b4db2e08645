/** The simulation as a whole: what it says at the end, that it can be had again, and that it notices a broken rule. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { playHistory } from '../../simulate/history.ts';
import { mutated, mutationNames } from '../../simulate/mutations.ts';
import { realRules } from '../../simulate/rules.ts';
import { isClean, run, type Summary } from '../../simulate/run.ts';

const root = join(import.meta.dirname, '../..');
const silent = (): void => undefined;
const usual = { seed: 1, nodes: undefined, rules: realRules, from: 0, histories: 1000 } as const;

function without(summary: Summary): Summary {
  return { ...summary, seconds: 0 };
}

async function simulate(...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  const argv = [join(root, 'simulate/simulate.ts'), ...args];
  return await promisify(execFile)(process.execPath, argv).then(
    ({ stdout }) => ({ code: 0, output: stdout }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ code, output: stdout + stderr }),
  );
}

test('a thousand histories end without a loss, a silent mismatch or a difference, and most without a person', () => {
  const summary = run(usual, silent);
  expect(summary).toMatchObject({ histories: 1000, lost: 0, silentMismatch: 0, diverged: 0, broken: 0 });
  expect(summary.unresolvedFlagged).toBeGreaterThan(0);
  expect(summary.unresolvedFlagged).toBeLessThan(200);
});

test('the same seed says the same, another seed something else', () => {
  const small = { ...usual, histories: 300 };
  expect(without(run(small, silent))).toEqual(without(run(small, silent)));
  expect(without(run({ ...small, seed: 2 }, silent))).not.toEqual(without(run(small, silent)));
});

test('any number of nodes can be asked for', () => {
  for (const nodes of [1, 2, 7]) expect(isClean(run({ ...usual, nodes, histories: 100 }, silent))).toBe(true);
});

test('a history tells the same story each time, in plain words', () => {
  const story = (): string => {
    const lines: string[] = [];
    playHistory({ ...usual, history: 5, tell: (at, text) => lines.push(`${at} ${text}`) });
    return lines.join('\n');
  };
  expect(story()).toBe(story());
  expect(story()).toMatch(/ draws p1 under p0 and commits it, pending/);
});

test.each(mutationNames)(
  'with the rule broken by %s, the oracle turns red and says how to play that history',
  (name) => {
    const rules = mutated(name);
    if (rules === undefined) throw new Error(`there is no mutation ${name}`);
    const said: string[] = [];
    const options = { ...usual, rules, mutation: name, histories: 4000, untilFailure: true };
    const summary = run(options, (text) => said.push(text));
    expect(isClean(summary)).toBe(false);
    const [, number, why] = /^history (\d+) failed: (.*)/.exec(said[0] ?? '') ?? [];
    expect(said[1]).toBe(`  npm run simulate -- --seed 1 --mutate ${name} --replay ${number}`);
    const alone = playHistory({ ...usual, rules, history: Number(number) });
    expect(alone.faults[0]).toBe(why);
  },
);

test('the command closes with one line of JSON, and with 1 if a history failed; its replay fails alike', async () => {
  const clean = await simulate('--histories', '50', '--nodes', '3', '--seed', '9');
  expect(clean.code).toBe(0);
  expect(clean.output).toMatch(
    /^\{"histories":50,"lost":0,"silentMismatch":0,"diverged":0,"unresolvedFlagged":\d+,"seconds":[\d.]+,.*\}\n$/,
  );
  const red = await simulate('--histories', '50', '--mutate', 'last-write-wins');
  expect(red.code).toBe(1);
  const replay = /npm run simulate -- (.*)/.exec(red.output)?.[1]?.split(' ') ?? [];
  const again = await simulate(...replay);
  expect(again.code).toBe(1);
  expect(again.output).toContain(/history \d+ failed: .*/.exec(red.output)?.[0]);
  expect(again.output).toContain('— from here on nothing new goes wrong');
});

test.each([
  [['--histories', 'many'], '--histories is a whole number from 0, not many'],
  [['--mutate', 'nothing'], '--mutate is one of first-accepted-wins'],
  [['--frobnicate'], "Unknown option '--frobnicate'"],
])('%s is refused in words', async (args, words) => {
  const { code, output } = await simulate(...args);
  expect(code).toBe(2);
  expect(output).toContain(words);
});

test('the oracle knows nothing of the rules that it judges', () => {
  const open = ['simulate/oracle.ts'];
  const read = new Set<string>();
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (read.has(file)) continue;
    read.add(file);
    expect(file).not.toContain('rotation/plan');
    for (const [, specifier = ''] of readFileSync(join(root, file), 'utf8').matchAll(
      /(?:from\s+|import\s*\(?\s*)'([^']+)'/g,
    ))
      if (specifier.startsWith('.')) open.push(normalize(join(dirname(file), specifier)));
  }
  expect([...read]).toEqual(['simulate/oracle.ts']);
});

test('chance comes from the seed alone', () => {
  const files = [
    'agenda',
    'chance',
    'engine',
    'history',
    'life',
    'network',
    'operator',
    'oracle',
    'process',
    'resolver',
  ];
  for (const file of files)
    expect(readFileSync(join(root, 'simulate', `${file}.ts`), 'utf8')).not.toMatch(
      /Math\.random|Date\.now|node:crypto/,
    );
});

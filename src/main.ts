/**
 * The entry of every process. `sallyport start` is the supervisor; `keeper` and `gate` are what it starts, and they take
 * everything from their standard input; all else is the command line. Rooms are loaded only by the process that needs them.
 */
import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join, relative } from 'node:path';
import type { Running } from './supervisor/supervisor.ts';
import { type Config, defaultData, type Flags, readConfig } from './config.ts';

// Halves the time to the first line of work. The folder belongs to whoever installed; where it cannot be written, so be it.
enableCompileCache?.(join(import.meta.dirname, '../node_modules/.cache/sallyport'));

const [part = '', ...rest] = process.argv.slice(2);
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const oldNode = Number(process.versions.node.split('.')[0]) < 24;

if (oldNode) {
  process.stderr.write(
    `sallyport: this is Node ${process.versions.node}, and 24 is needed (main.old-node)\n  run it through npm (\`npm start\`) or bin/sallyport, which use the Node that npm installed along\n`,
  );
  process.exitCode = 1;
} else if (part === 'keeper') {
  const { runKeeper } = await import('./keeper/keeper.ts');
  await runKeeper(process.stdin, (line) => void process.stdout.write(`${JSON.stringify(line)}\n`), version);
} else if (part === 'gate') {
  const { runGate } = await import('./gate/gate.ts');
  await runGate(process.stdin, (line) => void process.stdout.write(`${JSON.stringify(line)}\n`));
} else {
  const { runCli } = await import('./cli/cli.ts');
  process.exitCode = await runCli(
    [part, ...rest].filter((word) => word !== ''),
    { version, defaultData: defaultData(process.env), start },
  );
}

/** Runs until SIGINT or SIGTERM; a second one is left to its default and ends at once. */
async function start(flags: Flags): Promise<void> {
  const config = readConfig(flags, process.env);
  const { supervise } = await import('./supervisor/supervisor.ts');
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  await supervise(config, (running) => announce(config, running), stop.signal);
}

/** What a person who just started Sallyport needs to know. */
function announce(config: Config, running: Running): void {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const at = running.ssh[0];
  say(`Sallyport ${version} is up.`);
  say(`  ssh        ${running.ssh.map((one) => `${one.address}:${one.port}`).join(', ')}`);
  for (const { address, port } of running.rdp) say(`  rdp        ${address}:${port}`);
  const scheme = config.events?.certificate === undefined ? 'http' : 'https';
  for (const { address, port } of running.events)
    say(`  events     ${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}/events/`);
  say(`  data       ${config.data}`);
  say(`  root key   ${config.rootKey}`);
  if (running.enrolment !== undefined) {
    say('');
    say('Nobody can log in yet. Become the administrator with this code, once, within a day:');
    say(`  ${running.enrolment}`);
    const here = relative(process.cwd(), join(import.meta.dirname, '../bin/sallyport'));
    say(`  ${here} --data ${config.data} enrol YOUR-NAME`);
  } else if (at !== undefined) {
    say(`  connect    ssh -p ${at.port} YOU@ACCOUNT@TARGET@${at.address}`);
  }
}

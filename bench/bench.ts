/**
 * `npm run bench`: stock ssh directly to a real sshd and through other doors to it, side by side in one run.
 *
 *   node bench/bench.ts [--quick] [--key FILE] [--known-hosts FILE] [--door NAME=USER,ADDRESS,PORT[,PID]]…
 *
 * Without a door it starts a machine of its own and measures it twice as if there were two: how far the two lines differ is
 * the noise below which no other difference means anything. The table goes to standard output, all numbers as JSON
 * to bench/results/.
 */
import { mkdir, mkdtempDisposable, truncate, writeFile } from 'node:fs/promises';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeKey } from '../test/lab/client.ts';
import { startMachine } from '../test/lab/machine.ts';
import type { Door } from './measure.ts';
import { bench, type Plan, tableOf } from './run.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    key: { type: 'string' },
    'known-hosts': { type: 'string' },
    door: { type: 'string', multiple: true, default: [] },
  },
});

/** `NAME=USER,ADDRESS,PORT[,PID]` as a door. */
function doorOf(text: string, keyFile: string, knownHostsFile: string): Door {
  const parts = /^([^=]+)=([^,]+),([^,]+),(\d+)(?:,(\d+))?$/.exec(text);
  if (parts === null) throw new Error(`a door is NAME=USER,ADDRESS,PORT[,PID], not ${text}`);
  const [, name = '', user = '', address = '', port = '', pid] = parts;
  const process = pid === undefined ? {} : { pid: Number(pid) };
  return { name, user, address, port: Number(port), keyFile, knownHostsFile, ...process };
}

await using undo = new AsyncDisposableStack();
const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'bench-'))).path;
let doors: readonly Door[];
if (values.door.length > 0) {
  const [key, known] = [values.key, values['known-hosts']];
  if (key === undefined || known === undefined) throw new Error('doors need --key and --known-hosts');
  doors = values.door.map((text) => doorOf(text, key, known));
} else {
  const key = await makeKey(folder);
  const machine = undo.use(
    await startMachine({ name: 'bench', users: [{ name: 'root', authorizedKeys: [key.line] }] }),
  );
  const knownHostsFile = join(folder, 'known_hosts');
  await writeFile(knownHostsFile, machine.knownHosts());
  const { address, port } = machine;
  doors = ['direct', 'direct again'].map((name) => ({
    name,
    address,
    port,
    user: 'root',
    keyFile: key.file,
    knownHostsFile,
  }));
}

const source = join(folder, 'source');
const plan: Plan = values.quick
  ? { transfers: 3, setUps: 10, echoes: 2, keystrokes: 100, bytes: 64 << 20, source }
  : { transfers: 9, setUps: 60, echoes: 5, keystrokes: 200, bytes: 512 << 20, source };
await writeFile(source, '');
await truncate(source, plan.bytes);

const live = process.stderr.isTTY;
const results = await bench(doors, plan, (text) => live && process.stderr.write(`\r\x1b[K${text}`));
if (live) process.stderr.write('\r\x1b[K');
process.stdout.write(`${tableOf(results)}\n`);
const report = {
  at: new Date().toISOString(),
  cores: cpus().length,
  kernel: release(),
  node: process.version,
  plan,
  results,
};
const path = join(import.meta.dirname, 'results', `${report.at.replaceAll(':', '-')}.json`);
await mkdir(join(import.meta.dirname, 'results'), { recursive: true });
await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
process.stdout.write(`all numbers: ${path}\n`);

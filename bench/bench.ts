/**
 * `npm run bench`: stock ssh directly to a real sshd and through a Sallyport to it, side by side in one run.
 *
 *   npm run bench -- [--quick] [--key FILE --known-hosts FILE --door NAME=USER,ADDRESS,PORT[,PID]…]
 *
 * Without a door it starts a machine and a Sallyport of its own. The machine is measured twice as if there were two:
 * how far the two lines differ is the noise below which no other difference means anything. The table goes to standard
 * output, all numbers as JSON to bench/results/. What else the machine does is in the load that is printed.
 */
import { mkdir, mkdtempDisposable, truncate, writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Door } from './measure.ts';
import { openPlace } from './place.ts';
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
let unconfigured: readonly Door[] = [];
if (values.door.length > 0) {
  const [key, known] = [values.key, values['known-hosts']];
  if (key === undefined || known === undefined) throw new Error('doors need --key and --known-hosts');
  doors = values.door.map((text) => doorOf(text, key, known));
} else ({ doors, unconfigured } = undo.use(await openPlace(folder)));

const source = join(folder, 'source');
const plan: Plan = values.quick
  ? { transfers: 3, setUps: 10, echoes: 2, keystrokes: 100, bytes: 64 << 20, source }
  : { transfers: 9, setUps: 60, echoes: 5, keystrokes: 200, bytes: 512 << 20, source };
await writeFile(source, '');
await truncate(source, plan.bytes);

const live = process.stderr.isTTY;
const tell = (text: string): void => void (live && process.stderr.write(`\r\x1b[K${text}`));
const before = loadavg();
const results = [await bench(doors, plan, tell)];
if (unconfigured.length > 0) results.push(await bench(unconfigured, { ...plan, setUps: 0, echoes: 0 }, tell));
if (live) process.stderr.write('\r\x1b[K');
for (const one of results) process.stdout.write(`${tableOf(one)}\n\n`);
const report = {
  at: new Date().toISOString(),
  cores: cpus().length,
  cpu: cpus()[0]?.model,
  kernel: release(),
  node: process.version,
  load: { before, after: loadavg() },
  plan,
  results,
};
const load = (of: readonly number[]): string => (of[0] ?? 0).toFixed(1);
process.stdout.write(`${report.cores} cores, load ${load(before)} before and ${load(report.load.after)} after\n`);
const path = join(import.meta.dirname, 'results', `${report.at.replaceAll(':', '-')}.json`);
await mkdir(join(import.meta.dirname, 'results'), { recursive: true });
await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
process.stdout.write(`all numbers: ${path}\n`);

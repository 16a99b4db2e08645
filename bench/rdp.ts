/**
 * `npm run bench:rdp`: stock xfreerdp directly to real desktops and through a Sallyport to them, side by side in one run.
 *
 *   npm run bench:rdp -- [--quick] [--rounds N] [--scrolls N] [--lines N] [--sessions N] [--seconds N]
 *
 * Each round measures every door in a new order, and ratios are taken within a round, so that what else the machine does
 * meets all alike. Client, gate and target share one machine. As root only; tables, and a line of JSON at the end.
 */
import { randomInt } from 'node:crypto';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { openStoppedVault } from '../test/support/stopped-vault.ts';
import { decode, exportAll } from './rdp-drawing.ts';
import { crowd, firstPicture, scroll, type Scrolled, startDesktop } from './rdp-measure.ts';
import { type DesktopDoor, type DesktopPlace, openDesktopPlace } from './rdp-place.ts';
import { digits, quantile, ratiosOf, showRatio, type Spread, spreadOf, table } from './statistics.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    scrolls: { type: 'string' },
    lines: { type: 'string' },
    sessions: { type: 'string' },
    seconds: { type: 'string' },
  },
});
const [rounds, scrolls, lines, sessions, seconds] = [
  Number(values.rounds ?? (values.quick ? 3 : 20)),
  Number(values.scrolls ?? (values.quick ? 1 : 8)),
  Number(values.lines ?? (values.quick ? 500 : 4000)),
  Number(values.sessions ?? (values.quick ? 3 : 50)),
  Number(values.seconds ?? (values.quick ? 5 : 30)),
];
const tell = (text: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`));
const plan = { rounds, scrolls, lines, sessions, seconds };
const report: Record<string, unknown> = {
  at: new Date().toISOString(),
  cores: cpus().length,
  node: process.version,
  plan,
  loadBefore: loadavg()[0],
};

{
  await using place = await openDesktopPlace();
  const { product, home } = place.house;
  const recordings = async (): Promise<string[]> =>
    (await place.house.call('recording.list', {})).recordings.map(({ recording }) => recording);
  await startDesktop(place);
  const crowded = place.shadowDoors.find(({ gate }) => gate);
  if (sessions > 0 && crowded !== undefined) {
    // What the first session alone costs is none of the others'.
    await firstPicture(place, crowded);
    report['crowd'] = await crowd(place, crowded, sessions, seconds, tell);
  }
  report['firstPictureMs'] = [
    ...(await pictures(place, place.xrdpDoors)),
    ...(await pictures(place, place.shadowDoors)),
  ];
  report['scroll'] = await scrolled(place);
  const [moved] = await recordings();
  await product.stop();
  if (moved !== undefined) {
    await using vault = await openStoppedVault(product.data, `${home}/key/root.key`);
    const { path, key: owned } = await vault.recordingFile(moved);
    using key = owned;
    tell('decoding');
    report['decode'] = await decode(path, key, 3);
    tell('exporting');
    report['export'] = await exportAll(path, key);
  }
}
tell('');
report['loadAfter'] = loadavg()[0];
show();
process.stdout.write(`${short(report)}\n`);
process.exit(0);

interface DoorNumbers {
  readonly door: string;
  readonly values: Spread;
  readonly ratios: Spread;
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, key: randomInt(2 ** 40) }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** Measures each door once a round; the first round warms up and is not counted. */
async function interleaved<T>(
  place: DesktopPlace,
  doors: readonly DesktopDoor[],
  count: number,
  words: string,
  measure: (door: DesktopDoor, round: number) => Promise<T>,
): Promise<ReadonlyMap<DesktopDoor, readonly T[]>> {
  const samples = new Map(doors.map((door): [DesktopDoor, T[]] => [door, []]));
  for (let round = 0; round <= count; round++) {
    tell(`${words} ${round}/${count}`);
    for (const door of shuffled(doors)) {
      const value = await measure(door, round).catch(async (cause: unknown) => {
        const last = (await place.house.trail(0)).slice(-6).map((row) => JSON.stringify(row));
        throw new Error(`${door.name}: the last events are\n${last.join('\n')}`, { cause });
      });
      if (round > 0) samples.get(door)?.push(value);
    }
  }
  return samples;
}

async function pictures(place: DesktopPlace, doors: readonly DesktopDoor[]): Promise<readonly DoorNumbers[]> {
  if (rounds === 0) return [];
  const samples = await interleaved(place, doors, rounds, 'first picture', (door) => firstPicture(place, door));
  return compared(samples, (one) => one);
}

async function scrolled(place: DesktopPlace): Promise<readonly object[]> {
  if (scrolls === 0) return [];
  // Within a round everybody gets the same lines.
  const samples = await interleaved(place, place.xrdpDoors, scrolls, 'scrolling', (door, round) =>
    scroll(place, door, lines, round),
  );
  const ms = compared(samples, (one) => one.ms);
  const bytes = compared(samples, (one) => one.bytes);
  const median = (of: readonly Scrolled[], what: 'gateCpu' | 'allCpu'): number | undefined => {
    const known = of.flatMap((one) => one[what] ?? []);
    return known.length === 0 ? undefined : quantile(known, 0.5);
  };
  return [...samples].map(([door, of], at) => ({
    door: door.name,
    ms: ms[at],
    bytes: bytes[at],
    gateCpuSeconds: median(of, 'gateCpu'),
    sallyportCpuSeconds: median(of, 'allCpu'),
  }));
}

/** Against the first door. */
function compared<T>(
  samples: ReadonlyMap<DesktopDoor, readonly T[]>,
  number: (one: T) => number,
): readonly DoorNumbers[] {
  const all = [...samples].map(([door, of]) => ({ door: door.name, of: of.map(number) }));
  return all.map(({ door, of }) => ({ door, values: spreadOf(of), ratios: ratiosOf(of, all[0]?.of ?? []) }));
}

function short(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'number' ? Number(one.toPrecision(5)) : one));
}

function show(): void {
  const firsts = report['firstPictureMs'] as readonly DoorNumbers[];
  const moves = report['scroll'] as readonly {
    door: string;
    ms: DoorNumbers;
    bytes: DoorNumbers;
    gateCpuSeconds?: number;
    sallyportCpuSeconds?: number;
  }[];
  const first = firsts.map(({ door, values: of, ratios }) => [door, digits(of.p50), showRatio(ratios), digits(of.p95)]);
  if (first.length > 0) process.stdout.write(`${table([['first picture', 'ms', 'ratio', 'p95'], ...first])}\n\n`);
  const cpu = (one: number | undefined): string => (one === undefined ? '-' : digits(one));
  const rows = moves.map(({ door, ms, bytes, gateCpuSeconds, sallyportCpuSeconds }) => [
    door,
    digits(ms.values.p50),
    showRatio(ms.ratios),
    digits(bytes.values.p50 / 1e6),
    showRatio(bytes.ratios),
    cpu(gateCpuSeconds),
    cpu(sallyportCpuSeconds),
  ]);
  const head = [`${lines} lines scroll`, 'ms', 'ratio', 'MB', 'ratio', 'CPU s, gate', 'all of it'];
  if (rows.length > 0) process.stdout.write(`${table([head, ...rows])}\n\n`);
  for (const name of ['crowd', 'decode', 'export']) process.stdout.write(`${name}: ${short(report[name])}\n`);
}

/**
 * One interleaved run over several doors: every round measures every door, in a new order, so that what else the machine
 * does meets all alike. Ratios are taken within a round.
 */
import { randomInt } from 'node:crypto';
import { type Door, down, echo, setUp, up } from './measure.ts';
import { digits, quantile, ratiosOf, showRatio, type Spread, spreadOf, table } from './statistics.ts';

export interface Plan {
  /** Rounds of each measurement; 0 leaves it out. */
  readonly transfers: number;
  readonly setUps: number;
  readonly echoes: number;
  readonly bytes: number;
  readonly keystrokes: number;
  /** A file of exactly `bytes` bytes. */
  readonly source: string;
}

export type What = 'down' | 'up' | 'setUp' | 'echo';

/** One measurement at one door: over all its values, and against the first door. An echo's ratios are of its rounds' medians. */
export interface Measured {
  readonly values: Spread;
  readonly ratios: Spread;
}

export interface DoorResult {
  readonly door: string;
  /** MB/s (10^6 bytes), and milliseconds. */
  readonly measured: Readonly<Partial<Record<What, Measured>>>;
  /** CPU seconds of the door per gigabyte (10^9), medians, if it named its process. */
  readonly cpuPerGB?: { readonly down: number; readonly up: number };
}

interface Samples {
  /** Round by round; an echo has many in each. */
  readonly rounds: Record<What, number[][]>;
  readonly cpu: { readonly down: number[]; readonly up: number[] };
}

const fresh = (): Samples => ({ rounds: { down: [], up: [], setUp: [], echo: [] }, cpu: { down: [], up: [] } });

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, key: randomInt(2 ** 40) }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** Measures all doors. `tell` hears what is being done. */
export async function bench(
  doors: readonly Door[],
  plan: Plan,
  tell: (text: string) => void,
): Promise<readonly DoorResult[]> {
  const samples = new Map(doors.map((door): [Door, Samples] => [door, fresh()]));
  async function rounds(what: What, count: number, measure: (door: Door, into: Samples) => Promise<readonly number[]>) {
    if (count === 0) return;
    // Round 0 warms up: caches, just-in-time compilation, the first login of an account.
    for (let round = 0; round <= count; round++) {
      tell(`${what} ${round}/${count}`);
      for (const [door, kept] of shuffled([...samples])) {
        const into = round === 0 ? fresh() : kept;
        into.rounds[what].push([...(await measure(door, into))]);
      }
    }
  }
  await rounds('setUp', plan.setUps, async (door) => [await setUp(door)]);
  await rounds('echo', plan.echoes, (door) => echo(door, plan.keystrokes));
  for (const what of ['down', 'up'] as const) {
    await rounds(what, plan.transfers, async (door, into) => {
      const { rate, cpuPerGigabyte } =
        what === 'down' ? await down(door, plan.bytes) : await up(door, plan.bytes, plan.source);
      if (cpuPerGigabyte !== undefined) into.cpu[what].push(cpuPerGigabyte);
      return [rate];
    });
  }
  const all = [...samples].map(([door, { rounds: of, cpu }]) => ({ door, of, cpu }));
  return all.map(({ door, of, cpu }) => ({
    door: door.name,
    measured: Object.fromEntries(
      (['down', 'up', 'setUp', 'echo'] as const)
        .filter((what) => of[what].length > 0)
        .map((what) => [what, measuredOf(of[what], all[0]?.of[what] ?? [])]),
    ),
    ...(cpu.down.length === 0 ? {} : { cpuPerGB: { down: quantile(cpu.down, 0.5), up: quantile(cpu.up, 0.5) } }),
  }));
}

function measuredOf(own: readonly number[][], base: readonly number[][]): Measured {
  const medians = (some: readonly number[][]): number[] => some.map((round) => quantile(round, 0.5));
  return { values: spreadOf(own.flat()), ratios: ratiosOf(medians(own), medians(base)) };
}

/** A table of medians, and their ratios to the first door: the median of the rounds and the middle half of them. */
export function tableOf(results: readonly DoorResult[]): string {
  const rows = [
    ['door', 'down MB/s', '', 'up MB/s', '', 'set-up ms', '', 'p95', 'echo ms', '', 'p99', 'CPU s/GB down', 'up'],
  ];
  for (const { door, measured, cpuPerGB } of results) {
    const cells = (one: Measured | undefined, tail?: 'p95' | 'p99'): string[] => {
      const width = tail === undefined ? 2 : 3;
      if (one === undefined) return Array.from({ length: width }, () => '-');
      return [digits(one.values.p50), showRatio(one.ratios), ...(tail === undefined ? [] : [digits(one.values[tail])])];
    };
    rows.push([
      door,
      ...cells(measured.down),
      ...cells(measured.up),
      ...cells(measured.setUp, 'p95'),
      ...cells(measured.echo, 'p99'),
      cpuPerGB === undefined ? '-' : digits(cpuPerGB.down),
      cpuPerGB === undefined ? '-' : digits(cpuPerGB.up),
    ]);
  }
  return table(rows);
}

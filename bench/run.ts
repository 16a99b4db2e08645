/** One interleaved run over several doors: every round measures every door, in a new order, so that what else the machine does meets all alike. */
import { randomInt } from 'node:crypto';
import { type Door, down, echo, setUp, up } from './measure.ts';
import { digits, quantile, type Spread, spreadOf, table } from './statistics.ts';

export interface Plan {
  /** Rounds of each measurement. */
  readonly transfers: number;
  readonly setUps: number;
  readonly echoes: number;
  readonly bytes: number;
  readonly keystrokes: number;
  /** A file of exactly `bytes` bytes. */
  readonly source: string;
}

export interface DoorResult {
  readonly door: string;
  readonly downMBs: Spread;
  readonly upMBs: Spread;
  readonly setUpMs: Spread;
  readonly echoMs: Spread;
  /** CPU seconds of the door per gigabyte, medians, if it named its process. */
  readonly cpuPerGB?: { readonly down: number; readonly up: number };
}

type Samples = Record<'down' | 'up' | 'setUp' | 'echo' | 'cpuDown' | 'cpuUp', number[]>;

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
  const samples = new Map(
    doors.map((door): [Door, Samples] => [door, { down: [], up: [], setUp: [], echo: [], cpuDown: [], cpuUp: [] }]),
  );
  async function rounds(
    name: string,
    count: number,
    measure: (door: Door, into: Samples) => Promise<void>,
  ): Promise<void> {
    // Round 0 warms up: caches, just-in-time compilation, the first login of an account.
    for (let round = 0; round <= count; round++) {
      tell(`${name} ${round}/${count}`);
      for (const door of shuffled(doors)) {
        const into = samples.get(door);
        if (into === undefined) continue;
        const thrown: Samples = { down: [], up: [], setUp: [], echo: [], cpuDown: [], cpuUp: [] };
        await measure(door, round === 0 ? thrown : into);
      }
    }
  }
  await rounds('set-up', plan.setUps, async (door, into) => {
    into.setUp.push(await setUp(door));
  });
  await rounds('echo', plan.echoes, async (door, into) => {
    into.echo.push(...(await echo(door, plan.keystrokes)));
  });
  await rounds('down', plan.transfers, async (door, into) => {
    const { rate, cpuPerGigabyte } = await down(door, plan.bytes);
    into.down.push(rate);
    if (cpuPerGigabyte !== undefined) into.cpuDown.push(cpuPerGigabyte);
  });
  await rounds('up', plan.transfers, async (door, into) => {
    const { rate, cpuPerGigabyte } = await up(door, plan.bytes, plan.source);
    into.up.push(rate);
    if (cpuPerGigabyte !== undefined) into.cpuUp.push(cpuPerGigabyte);
  });
  return [...samples].map(([door, { down: downs, up: ups, setUp: setUps, echo: echoes, cpuDown, cpuUp }]) => ({
    door: door.name,
    downMBs: spreadOf(downs),
    upMBs: spreadOf(ups),
    setUpMs: spreadOf(setUps),
    echoMs: spreadOf(echoes),
    ...(cpuDown.length === 0 ? {} : { cpuPerGB: { down: quantile(cpuDown, 0.5), up: quantile(cpuUp, 0.5) } }),
  }));
}

/** A table of medians and their ratios to the first door. */
export function tableOf(results: readonly DoorResult[]): string {
  const first = results[0];
  if (first === undefined) return '';
  const rows = [
    ['door', 'down MB/s', '', 'up MB/s', '', 'set-up ms', '', 'p95', 'echo ms', '', 'p99', 'CPU s/GB down', 'up'],
  ];
  for (const one of results) {
    const median = (value: Spread, base: Spread): string[] => [
      digits(value.p50),
      `×${(value.p50 / base.p50).toFixed(2)}`,
    ];
    rows.push([
      one.door,
      ...median(one.downMBs, first.downMBs),
      ...median(one.upMBs, first.upMBs),
      ...median(one.setUpMs, first.setUpMs),
      digits(one.setUpMs.p95),
      ...median(one.echoMs, first.echoMs),
      digits(one.echoMs.p99),
      one.cpuPerGB === undefined ? '-' : digits(one.cpuPerGB.down),
      one.cpuPerGB === undefined ? '-' : digits(one.cpuPerGB.up),
    ]);
  }
  return table(rows);
}

/** Numbers of repeated measurements. Pure. */

export interface Spread {
  readonly n: number;
  readonly min: number;
  readonly p25: number;
  readonly p50: number;
  readonly p75: number;
  readonly p95: number;
  readonly p99: number;
}

/** The value below which this share of the (at least one) measurements lies, nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error('no measurements');
  return value;
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    n: values.length,
    min: quantile(values, 0),
    p25: quantile(values, 0.25),
    p50: quantile(values, 0.5),
    p75: quantile(values, 0.75),
    p95: quantile(values, 0.95),
    p99: quantile(values, 0.99),
  };
}

/** How often the base each value is, round by round: what else the machine did in a round met both. */
export function ratiosOf(values: readonly number[], base: readonly number[]): Spread {
  return spreadOf(values.map((value, round) => value / (base[round] ?? Number.NaN)));
}

/** `×0.53 (0.51–0.55)`: the median and the middle half. */
export function showRatio(ratios: Spread): string {
  return `×${ratios.p50.toFixed(2)} (${ratios.p25.toFixed(2)}–${ratios.p75.toFixed(2)})`;
}

/** A number with three digits that matter. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Columns as wide as their widest cell; the first is left-aligned. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    )
    .join('\n');
}

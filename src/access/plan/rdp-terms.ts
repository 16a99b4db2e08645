/**
 * What grants say of a desktop beside the words: how large, how deep, how long idle, which program, what is recorded of
 * the keyboard. Several grants add up to the widest of them; only what is recorded goes the other way, so that no second
 * grant takes evidence away from the first. Pure.
 */

export interface RdpConditions {
  /** Bits a pixel, at most; 24 unless told. */
  readonly depth?: 16 | 24 | 32;
  /** Pixels, at most. */
  readonly maxWidth?: number;
  readonly maxHeight?: number;
  /** Minutes without input after which the session ends. */
  readonly idleMinutes?: number;
  /** The program that runs in place of the desktop. */
  readonly application?: string;
  /** `masked` unless told: that a key was pressed and not which, because people type passwords. */
  readonly keys?: 'all' | 'masked' | 'none';
}

export interface RdpTerms {
  readonly depth: 16 | 24 | 32;
  readonly maxWidth: number | undefined;
  readonly maxHeight: number | undefined;
  readonly idleMinutes: number | undefined;
  readonly application: string | undefined;
  readonly keys: 'all' | 'masked' | 'none';
}

const usualDepth = 24;
const byEvidence = ['none', 'masked', 'all'] as const;

/** What conditions of several grants come to; there is at least one. */
export function termsOf(conditions: readonly RdpConditions[]): RdpTerms {
  const bound = (of: 'maxWidth' | 'maxHeight' | 'idleMinutes'): number | undefined => {
    const most = Math.max(0, ...conditions.map((one) => one[of] ?? Infinity));
    return most === Infinity || most === 0 ? undefined : most;
  };
  const programs = conditions.map((one) => one.application);
  const depths = conditions.map((one) => one.depth ?? usualDepth);
  const recorded = conditions.map((one) => byEvidence.indexOf(one.keys ?? 'masked'));
  return {
    depth: depths.includes(32) ? 32 : depths.includes(24) || depths.length === 0 ? 24 : 16,
    maxWidth: bound('maxWidth'),
    maxHeight: bound('maxHeight'),
    idleMinutes: bound('idleMinutes'),
    application: programs.includes(undefined) ? undefined : programs[0],
    keys: byEvidence[Math.max(...recorded)] ?? 'masked',
  };
}

/** Whether a desktop that was opened under `had` is more than what `has` allows, or is recorded less than `has` demands. */
export function isStricter(has: RdpTerms, had: RdpTerms): boolean {
  const less = (of: 'maxWidth' | 'maxHeight' | 'idleMinutes'): boolean => (has[of] ?? Infinity) < (had[of] ?? Infinity);
  return (
    has.depth < had.depth ||
    less('maxWidth') ||
    less('maxHeight') ||
    less('idleMinutes') ||
    (has.application !== undefined && has.application !== had.application) ||
    byEvidence.indexOf(has.keys) > byEvidence.indexOf(had.keys)
  );
}

const numbers = { maxWidth: [200, 8192], maxHeight: [200, 8192], idleMinutes: [1, 1440] } as const;

/** What is wrong with conditions that somebody wrote, in words; undefined if nothing is. */
export function faultOfRdp(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'rdp is a group of settings';
  for (const [name, given] of Object.entries(value) as [string, unknown][]) {
    if (name in numbers) {
      const [least, most] = numbers[name as keyof typeof numbers];
      if (!Number.isInteger(given) || (given as number) < least || (given as number) > most)
        return `rdp.${name} is a number from ${least} to ${most}`;
    } else if (name === 'depth') {
      if (given !== 16 && given !== 24 && given !== 32) return 'rdp.depth is 16, 24 or 32';
    } else if (name === 'keys') {
      if (!byEvidence.includes(given as 'all')) return 'rdp.keys is all, masked or none';
    } else if (name === 'application') {
      // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
      if (typeof given !== 'string' || !/^[^\u0000-\u001f]{1,255}$/.test(given))
        return 'rdp.application is a command line';
    } else return `rdp.${name} is unknown`;
  }
  return undefined;
}

/**
 * How often one network may ask: a burst, and then so many a second. What it knows of a network is forgotten as soon as
 * it may have its whole burst again, and there is a bound to how many networks it knows; the one that has asked least
 * lately is forgotten first.
 */
export interface RateLimits {
  readonly burst: number;
  readonly perSecond: number;
  readonly networks: number;
}

export interface Rate {
  /** How many networks are known. */
  readonly size: number;
  /** Whether this network may ask once more at `now`, in milliseconds. */
  take(network: string, now: number): boolean;
}

export function openRate({ burst, perSecond, networks }: RateLimits): Rate {
  /** What is left and since when, by network, in the order of their last question. */
  const known = new Map<string, { readonly left: number; readonly at: number }>();

  function forgetRested(now: number): void {
    for (const [network, { left, at }] of known) {
      if (known.size <= networks && left + ((now - at) / 1000) * perSecond < burst) return;
      known.delete(network);
    }
  }

  return {
    get size() {
      return known.size;
    },
    take: (network, now) => {
      const { left, at } = known.get(network) ?? { left: burst, at: now };
      const there = Math.min(burst, left + (Math.max(0, now - at) / 1000) * perSecond);
      const may = there >= 1;
      known.delete(network);
      known.set(network, { left: may ? there - 1 : there, at: now });
      forgetRested(now);
      return may;
    },
  };
}

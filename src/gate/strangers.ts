/**
 * Connections that have not logged in yet. They cost memory and anybody can open them, so there is a limit to them, in
 * all and for one address. A newcomer is never the one turned away: where there is no room, one who waits already has
 * to go, drawn by lot among those of the newcomer's address, or of the address that has the most. So whoever logs in at
 * the usual pace gets in, while those who say nothing lose their places to each other.
 */
import { randomInt } from 'node:crypto';
import { canonicalAddress, ipv6Groups } from '../base/addresses.ts';

export interface StrangerLimits {
  readonly all: number;
  /** Of one address; for IPv6 of one /64, which is what one household or one machine is given. */
  readonly perAddress: number;
}

export const strangerLimits: StrangerLimits = { all: 256, perAddress: 128 };

export interface Strangers {
  readonly size: number;
  /** Takes one in. `turnAway` is called if it loses its place; disposing says that it is known now, or gone. */
  admit(address: string, turnAway: () => void): Disposable;
}

interface Stranger {
  readonly turnAway: () => void;
}

/** `lot` draws a whole number from 0 up to, not including, its argument. */
export function openStrangers(limits: StrangerLimits, lot: (below: number) => number = randomInt): Strangers {
  const byAddress = new Map<string, Set<Stranger>>();
  let size = 0;

  function leave(network: string, stranger: Stranger): void {
    const there = byAddress.get(network);
    if (there === undefined || !there.delete(stranger)) return;
    size--;
    if (there.size === 0) byAddress.delete(network);
  }

  function turnOneAway(network: string): void {
    const there = [...(byAddress.get(network) ?? [])];
    const unlucky = there[there.length > 1 ? lot(there.length) : 0];
    if (unlucky === undefined) return;
    leave(network, unlucky);
    unlucky.turnAway();
  }

  return {
    get size() {
      return size;
    },
    admit: (address, turnAway) => {
      const network = networkOf(address);
      if ((byAddress.get(network)?.size ?? 0) >= limits.perAddress) turnOneAway(network);
      else if (size >= limits.all) turnOneAway(mostCrowded(byAddress));
      const stranger = { turnAway };
      const there = byAddress.get(network);
      if (there === undefined) byAddress.set(network, new Set([stranger]));
      else there.add(stranger);
      size++;
      return { [Symbol.dispose]: () => leave(network, stranger) };
    },
  };
}

function mostCrowded(byAddress: ReadonlyMap<string, ReadonlySet<Stranger>>): string {
  let most = '';
  let count = 0;
  for (const [network, there] of byAddress) {
    if (there.size <= count) continue;
    most = network;
    count = there.size;
  }
  return most;
}

/** Whose connection it is: an IPv4 address, or the first half of an IPv6 one. */
export function networkOf(address: string): string {
  const one = canonicalAddress(address);
  const groups = ipv6Groups(one);
  return groups === undefined
    ? one
    : `${groups
        .slice(0, 4)
        .map((group) => group.toString(16))
        .join(':')}::/64`;
}

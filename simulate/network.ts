/**
 * The lines between nodes: facts travel on them, in order or not, once or twice, and wait where a line is cut. Nothing is
 * ever lost on the way, as with a replication slot; only late.
 */
import type { Agenda } from './agenda.ts';
import type { Chance } from './chance.ts';
import type { Fact } from './node.ts';
import type { NetworkProfile } from './profile.ts';

export interface Network {
  /** Sends a fact from node to node. */
  readonly send: (from: number, to: number, fact: Fact) => void;
  readonly connected: (a: number, b: number) => boolean;
  readonly cut: (a: number, b: number) => void;
  /** Mends one cut; when it was the last, what waited comes. */
  readonly heal: (a: number, b: number) => void;
}

interface Line {
  cuts: number;
  lastAt: number;
  /** Sent and not yet delivered, oldest first. */
  readonly queue: Fact[];
  /** How many should have come while the line was cut. */
  missed: number;
}

/** Lines between `count` nodes; `deliver` is told of every fact that comes, duplicates too. */
export function newNetwork(
  count: number,
  profile: NetworkProfile,
  agenda: Agenda,
  chance: Chance,
  deliver: (to: number, fact: Fact, from: number) => void,
): Network {
  const lines: Line[] = Array.from({ length: count * count }, () => ({ cuts: 0, lastAt: 0, queue: [], missed: 0 }));
  const line = (from: number, to: number): Line => {
    const found = lines[from * count + to];
    if (found === undefined) throw new Error(`there is no line from ${from} to ${to}`);
    return found;
  };

  /** One fact will come: the oldest where order is kept, any where it is not. */
  function arrive(from: number, to: number): void {
    const way = line(from, to);
    const at = agenda.now + chance.between(1, profile.latencyMs);
    way.lastAt = profile.order === 'kept' ? Math.max(way.lastAt, at) : at;
    agenda.plan(way.lastAt, () => {
      if (way.cuts > 0) {
        way.missed += 1;
        return;
      }
      const [fact] = way.queue.splice(profile.order === 'kept' ? 0 : chance.below(way.queue.length), 1);
      if (fact !== undefined) deliver(to, fact, from);
    });
  }
  return {
    send: (from, to, fact) => {
      const copies = profile.duplicates > 0 && chance.likely(profile.duplicates) ? 2 : 1;
      for (let copy = 0; copy < copies; copy += 1) {
        line(from, to).queue.push(fact);
        arrive(from, to);
      }
    },
    connected: (a, b) => line(a, b).cuts === 0,
    cut: (a, b) => {
      line(a, b).cuts += 1;
      line(b, a).cuts += 1;
    },
    heal: (a, b) => {
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        const way = line(from, to);
        way.cuts -= 1;
        if (way.cuts > 0) continue;
        const missed = way.missed;
        way.missed = 0;
        for (let each = 0; each < missed; each += 1) arrive(from, to);
      }
    },
  };
}

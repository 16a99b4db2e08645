/**
 * What one history is made of: how many nodes, what kind of target, which faults may happen and how often. Each fault is
 * in some histories and not in others, so that the oracle's excuses (oracle.ts) are rare and most histories have none.
 */
import type { Chance } from './chance.ts';

export interface TargetProfile {
  /** `keys`: several values may be accepted together, and old ones are taken away by a step of their own. */
  readonly kind: 'password' | 'keys';
  /** So long the value before is accepted too. */
  readonly graceMs: number;
  /** The change is made by the account itself, with its present value, or by an administrator. */
  readonly by: 'self' | 'admin';
  /** `time`: the target ends a change by itself. `sessions`: it does not, and what is left of it can be ended by name. */
  readonly fence: 'time' | 'sessions';
  /** How candidates are tried. `budget`: by logins, of which refused ones lock the account. */
  readonly tries: 'stored' | 'logins' | 'budget';
  /** Chances of what becomes of a change; what is left over goes well. */
  readonly refused: number;
  readonly refusedAndChanged: number;
  readonly acknowledgedAndNot: number;
  readonly answerLost: number;
  readonly requestLost: number;
  readonly unsent: number;
  /** Beyond what any target promises: it lands after its own time is over. */
  readonly tooLate: number;
  /** Chance that a login cannot be made. */
  readonly unknown: number;
  /** How often it falls silent altogether, and for how long. */
  readonly silences: number;
  /** How often a person changes the value there by hand. */
  readonly byHand: number;
}

export interface NodeProfile {
  /** Several processes on one database. */
  readonly processes: number;
  /** How far its clock is wrong, in milliseconds. */
  readonly skew: number;
}

export interface NetworkProfile {
  /** `kept`: facts of one origin arrive in the order of their commits. `mixed`: in any order. */
  readonly order: 'kept' | 'mixed';
  readonly duplicates: number;
  readonly latencyMs: number;
  readonly partitions: number;
}

export interface Profile {
  readonly nodes: readonly NodeProfile[];
  readonly target: TargetProfile;
  readonly network: NetworkProfile;
  /** How long new things begin to happen, in milliseconds. */
  readonly lasts: number;
  readonly rotations: number;
  readonly sessions: number;
  /** A schedule; 0 is none. */
  readonly everyDays: number;
  /** Actions of operators, and how often they are right about what the target has. */
  readonly operators: number;
  readonly operatorsAreRight: number;
  /** Chance of a crash between any two steps of a process; and crashes at any time. */
  readonly crashAtStep: number;
  readonly crashes: number;
  /** Chance that a process stands still between two steps, for minutes. */
  readonly pauseAtStep: number;
  /** Restores of a database from a backup. */
  readonly restores: number;
  readonly automatic: boolean;
  /** Another node may randomize while the managing one is away. */
  readonly fallback: boolean;
  /** How often another node becomes the managing one; nodes hear of it one after the other. */
  readonly handovers: number;
  readonly heartbeats: number;
}

const minute = 60_000;
const hour = 60 * minute;

/** Draws a history. `nodes` fixes how many nodes there are, or leaves it to chance. */
export function drawProfile(chance: Chance, nodes: number | undefined): Profile {
  const { likely, between, one } = chance;
  const sometimes = (probability: number, value: number): number => (likely(probability) ? value : 0);
  const count = nodes ?? between(2, 5);
  const skewed = likely(0.7);
  const budget = likely(0.2);
  // Everything at once, and much of it.
  const tumult = likely(0.15);
  const times = (number: number): number => (tumult ? number * 3 : number);
  return {
    nodes: Array.from({ length: count }, () => ({
      processes: likely(0.3) ? 2 : 1,
      skew: skewed ? between(-hour, hour) : 0,
    })),
    target: {
      kind: likely(0.15) ? 'keys' : 'password',
      graceMs: sometimes(0.2, one([minute, 10 * minute, hour])),
      by: likely(0.4) ? 'self' : 'admin',
      fence: likely(0.3) ? 'sessions' : 'time',
      tries: budget ? 'budget' : likely(0.5) ? 'stored' : 'logins',
      refused: 0.05,
      refusedAndChanged: sometimes(0.25, 0.25),
      acknowledgedAndNot: sometimes(0.25, 0.25),
      answerLost: sometimes(0.7, 0.25),
      requestLost: sometimes(0.5, 0.15),
      unsent: sometimes(0.3, 0.1),
      tooLate: sometimes(0.04, 0.3),
      unknown: sometimes(0.4, 0.15),
      silences: sometimes(0.25, between(1, 3)),
      byHand: sometimes(0.08, between(1, 2)),
    },
    network: {
      order: likely(0.3) ? 'mixed' : 'kept',
      duplicates: sometimes(0.3, 0.2),
      latencyMs: one([20, 500, 5_000, 60_000]),
      partitions: sometimes(0.7, times(between(1, 3))),
    },
    lasts: between(10, 60) * minute,
    rotations: times(between(1, 5)),
    sessions: sometimes(0.3, between(1, 3)),
    everyDays: sometimes(0.2, between(8, 20) / 1440),
    operators: sometimes(tumult ? 0.9 : 0.25, times(between(1, 4))),
    operatorsAreRight: one([1, 0.7]),
    crashAtStep: sometimes(0.4, 0.03),
    crashes: sometimes(0.3, between(1, 3)),
    pauseAtStep: sometimes(0.05, 0.05),
    restores: sometimes(0.05, 1),
    automatic: likely(0.95),
    fallback: likely(0.7),
    handovers: sometimes(tumult ? 0.6 : 0.15, times(between(1, 2))),
    heartbeats: sometimes(0.3, between(1, 3)),
  };
}

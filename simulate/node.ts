/**
 * One node: a database with the facts it has, when each came, the account's lease, and what its own processes noted. All
 * of it is durable; what a process only remembers is in process.ts.
 */
import type { AccountId, Sigkey } from '../src/base/ids.ts';
import type { Facts, OutcomeFact, RandomizationFact, ResolutionFact } from '../src/rotation/plan/facts.ts';
import type { Fold } from '../src/rotation/plan/fold.ts';
import type { Attempt, Use } from '../src/rotation/plan/next.ts';
import { siteOf } from '../src/rotation/plan/site.ts';
import type { Process } from './process.ts';

export const account = 'account' as AccountId;

/** A fact on its way, with its name: what two nodes recognize it by. */
export type Fact =
  | { readonly id: string; readonly kind: 'randomization'; readonly fact: RandomizationFact }
  | { readonly id: string; readonly kind: 'outcome'; readonly fact: OutcomeFact }
  | { readonly id: string; readonly kind: 'resolution'; readonly fact: ResolutionFact };

export interface Lease {
  readonly token: number;
  /** Who renews it; nobody once its holder died or left it to run out. */
  holder: Process | undefined;
  /** Renewed for ever while its holder lives; set when it dies, stands still or leaves it. */
  expiresAt: number;
  sigkey: Sigkey | null;
}

/** A snapshot of the facts, and what they say. */
export interface Looked {
  readonly version: number;
  readonly facts: Facts;
  readonly fold: Fold;
  readonly text: string;
}

export interface Node {
  readonly index: number;
  /** As in facts; another one after a restore from a backup. */
  name: string;
  incarnation: number;
  readonly skew: number;
  readonly processes: Process[];
  randomizations: RandomizationFact[];
  outcomes: OutcomeFact[];
  resolutions: ResolutionFact[];
  /** When each fact came, in simulated time, by its name. */
  heard: Map<string, number>;
  /** Facts of this node, in the order of their commits: what others get. */
  published: Fact[];
  seq: number;
  /** Rises with every fact. */
  version: number;
  /** What the facts of that version say; not durable, only kept from working it out again. */
  looked: Looked | undefined;
  token: number;
  lease: Lease | undefined;
  attempts: Attempt[];
  uses: Use[];
  /** Logins that the target refused, in simulated time. */
  refused: number[];
  /** Changes that were certainly ended on the target, by sigkey. */
  readonly ended: Set<Sigkey>;
  /** Whether this node takes itself for the managing one. */
  managing: boolean;
  /** A verification found the current value refused, and no other known one is accepted. */
  outOfSync: boolean;
  /** Not yet healed after a restore: it draws nothing until then. */
  healingUntil: number;
  backup: Backup | undefined;
}

/** A copy of the database as it was once. */
export interface Backup {
  readonly randomizations: readonly RandomizationFact[];
  readonly outcomes: readonly OutcomeFact[];
  readonly resolutions: readonly ResolutionFact[];
  readonly heard: ReadonlyMap<string, number>;
  readonly published: readonly Fact[];
  readonly ended: ReadonlySet<Sigkey>;
}

/** Node number `index`, with nothing in its database. */
export function newNode(index: number, skew: number): Node {
  return {
    index,
    name: String.fromCharCode(65 + index),
    incarnation: 1,
    skew,
    processes: [],
    randomizations: [],
    outcomes: [],
    resolutions: [],
    heard: new Map(),
    published: [],
    seq: 0,
    version: 0,
    looked: undefined,
    token: 0,
    lease: undefined,
    attempts: [],
    uses: [],
    refused: [],
    ended: new Set(),
    managing: index === 0,
    outOfSync: false,
    healingUntil: 0,
    backup: undefined,
  };
}

/** Adds a fact; false when it is there already. */
export function store(node: Node, { id, kind, fact }: Fact, now: number): boolean {
  if (node.heard.has(id)) return false;
  node.heard.set(id, now);
  if (kind === 'randomization') node.randomizations.push(fact);
  else if (kind === 'outcome') node.outcomes.push(fact);
  else node.resolutions.push(fact);
  node.version += 1;
  return true;
}

export function idOf(fact: RandomizationFact | OutcomeFact | ResolutionFact): string {
  return 'seq' in fact ? `${fact.node}/${fact.seq}` : fact.sigkey;
}

/** The whole database as it is now. */
export function backUp(node: Node): Backup {
  return {
    randomizations: [...node.randomizations],
    outcomes: [...node.outcomes],
    resolutions: [...node.resolutions],
    heard: new Map(node.heard),
    published: [...node.published],
    ended: new Set(node.ended),
  };
}

/** Puts a backup in the place of what there is. Its facts are written under a new name from now on: numbers rise anew. */
export function restore(node: Node, backup: Backup): void {
  node.incarnation += 1;
  node.name = `${siteOf(node.name)}.${node.incarnation}`;
  node.randomizations = [...backup.randomizations];
  node.outcomes = [...backup.outcomes];
  node.resolutions = [...backup.resolutions];
  node.heard = new Map(backup.heard);
  node.published = [...backup.published];
  node.seq = 0;
  node.version += 1;
  node.lease = undefined;
  node.attempts = [];
  node.uses = [];
  node.ended.clear();
  for (const sigkey of backup.ended) node.ended.add(sigkey);
  node.outOfSync = false;
}

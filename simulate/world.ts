/**
 * One world: nodes, lines, target and oracle, and the few things that everybody in it does: committing a fact, getting one
 * from another node, looking at what the facts say.
 */
import type { Sigkey } from '../src/base/ids.ts';
import type { Timing } from '../src/rotation/context.ts';
import type { Facts, OutcomeFact, RandomizationFact, ResolutionFact } from '../src/rotation/plan/facts.ts';
import type { Fold } from '../src/rotation/plan/fold.ts';
import type { HeardAt } from '../src/rotation/plan/quiet.ts';
import type { Agenda } from './agenda.ts';
import type { Chance } from './chance.ts';
import type { Network } from './network.ts';
import { type Fact, idOf, type Looked, type Node, store } from './node.ts';
import type { Oracle } from './oracle.ts';
import { type Process, wake } from './process.ts';
import type { Profile } from './profile.ts';
import type { Rules } from './rules.ts';
import type { Fate, Secret, Target } from './target.ts';

export interface World {
  readonly profile: Profile;
  readonly chance: Chance;
  readonly rules: Rules;
  readonly agenda: Agenda;
  readonly timing: Timing;
  /** As the engine waits: the target's own time for a change, and a margin. */
  readonly quietMs: number;
  readonly target: Target;
  readonly network: Network;
  readonly nodes: readonly Node[];
  readonly oracle: Oracle;
  /** Writes the story, where somebody reads it. */
  readonly tell: ((text: string) => void) | undefined;
  /** The end has begun: no more crashes and pauses. */
  calm: boolean;
  readonly lifeOf: (process: Process) => Generator<number, void>;
  readonly secretOf: (sigkey: Sigkey) => Secret;
  /** A new value, known to the oracle. */
  readonly draw: () => Sigkey;
  /** A value that somebody knows, under a name of its own. */
  readonly enter: (secret: Secret) => Sigkey;
  /** A connector begins to change the target. */
  readonly change: (process: Process, sigkey: Sigkey, by: Sigkey | null, committedAt: number) => Fate;
}

/** One transaction of a node: the fact is durable, on its way to the others, and everybody here looks at it. */
export function commit(world: World, node: Node, kind: 'randomization', fact: RandomizationFact): void;
export function commit(world: World, node: Node, kind: 'outcome', fact: OutcomeFact): void;
export function commit(world: World, node: Node, kind: 'resolution', fact: ResolutionFact): void;
export function commit(
  world: World,
  node: Node,
  kind: Fact['kind'],
  fact: RandomizationFact | OutcomeFact | ResolutionFact,
): void {
  const named = { id: idOf(fact), kind, fact } as Fact;
  store(node, named, world.agenda.now);
  world.oracle.committed(node.index, named.id, world.agenda.now);
  publish(world, node, named);
  wakeAll(world, node);
}

/** To every other node. Also what comes back to a node of its own from before a restore: others may never have had it. */
function publish(world: World, node: Node, fact: Fact): void {
  node.published.push(fact);
  for (const other of world.nodes) if (other !== node) world.network.send(node.index, other.index, fact);
}

/** A fact comes from another node, perhaps not for the first time. */
export function receive(world: World, to: number, fact: Fact, from: number): void {
  const node = world.nodes[to];
  if (node === undefined || !store(node, fact, world.agenda.now)) return;
  world.tell?.(`${node.name} hears from ${world.nodes[from]?.name ?? '?'}: ${inWords(fact)}`);
  const origin = world.nodes[fact.fact.node.charCodeAt(0) - 65];
  if (origin === node) publish(world, node, fact);
  // Sent before its node was restored and come after: its node may not have it. Healing stays open for these.
  else if (origin !== undefined && origin.name !== fact.fact.node) world.network.send(to, origin.index, fact);
  wakeAll(world, node);
}

function wakeAll(world: World, node: Node): void {
  for (const process of node.processes) wake(world, process);
}

function inWords({ kind, fact }: Fact): string {
  if (kind === 'randomization') return `${fact.sigkey} was drawn under ${fact.parent ?? 'nothing'}`;
  if (kind === 'outcome') return `${fact.node} says that ${fact.sigkey} is ${fact.status}`;
  const { decision } = fact;
  if (decision.kind !== 'root') return `${fact.node} says that ${decision.sigkey} was ${decision.kind}ed`;
  return `${fact.node} decided that ${decision.root ?? 'nothing'} is current`;
}

/** A snapshot of what the node has. */
export function factsOf(world: World, node: Node): Facts {
  return lookAt(world, node).facts;
}

export function foldOf(world: World, node: Node): Fold {
  return lookAt(world, node).fold;
}

/** What the fold says, as text: a conflict is the same conflict while this is the same. */
export function digestOf(world: World, node: Node): string {
  return lookAt(world, node).text;
}

function lookAt(world: World, node: Node): Looked {
  if (node.looked?.version === node.version) return node.looked;
  const { randomizations, outcomes, resolutions } = node;
  const facts: Facts = {
    randomizations: randomizations.slice(),
    outcomes: outcomes.slice(),
    resolutions: resolutions.slice(),
  };
  const fold = world.rules.fold(world.rules.keeps(facts));
  const text = world.rules.canonical(fold);
  node.looked = { version: node.version, facts, fold, text };
  world.oracle.watch(node.name, text, facts);
  return node.looked;
}

/** When the node came to know a fact, in simulated time. */
export function heardAt(node: Node): HeardAt {
  return (fact) => node.heard.get(idOf(fact)) ?? 0;
}

/**
 * What all facts of one account say together: the current value, what may be live on the target, what is a conflict.
 *
 * INVARIANT: the answer depends on the set of facts only, not on the order in which they arrived, and every randomization
 * is in exactly one of `history`, `working` and `workingHistory`. Pure.
 */
import type { Sigkey } from '../../base/ids.ts';
import type { Facts, RandomizationFact, Status } from './facts.ts';
import { opinionsOf, type RootFact, rootsOf, standing, wordsOf } from './standing.ts';

/**
 * `tree`: two values hang under one parent, or under none that counts, or two decisions that did not know of each other
 * differ. `incomplete`: at least one outcome is unknown, or what is known of it contradicts itself.
 */
export type Conflict = 'none' | 'incomplete' | 'tree' | 'tree+incomplete';

export interface Fold {
  /** The current value; null means that no password is recorded yet. */
  readonly root: Sigkey | null;
  readonly status: ReadonlyMap<Sigkey, Status>;
  readonly conflict: Conflict;
  /** Some value is pending: a connector is at work, or was when its process died. */
  readonly busy: boolean;
  /** What may be live on the target: confirmed or uncertain, with no confirmed child. Oldest first. */
  readonly candidates: readonly Sigkey[];
  /** Known to have been set at some time, the current one included. */
  readonly history: readonly Sigkey[];
  /** The tree below the current value: pending, uncertain, or confirmed but in conflict. */
  readonly working: readonly Sigkey[];
  /** Failed, or uncertain and rejected by a decision. Never thrown away. */
  readonly workingHistory: readonly Sigkey[];
  /** Values that some fact names and no fact brought, as parent or as current: wait for the node that knows them. */
  readonly missing: readonly Sigkey[];
}

/** Folds the facts of one account. */
export function fold(facts: Facts): Fold {
  const nodes = new Map(facts.randomizations.map((node) => [node.sigkey, node]));
  const words = wordsOf(facts);
  const all = rootsOf(facts);
  // A decision for a value that is not here yet cannot be followed yet.
  const roots = all.filter(({ decision }) => decision.root === null || nodes.has(decision.root));
  const heads = standing(roots) as readonly RootFact[];
  const contested = new Set(heads.map(({ decision }) => decision.root));
  const disputed = contested.size > 1;
  let root = latest(heads)?.decision.root ?? null;

  const decided = decidedBy(roots, words);
  if (disputed) for (const other of contested) if (other !== null && other !== root) decided.delete(other);
  const status = statuses(facts, words, roots, decided);
  const live = [...nodes.values()].filter((node) => !decided.has(node.sigkey) && status.get(node.sigkey) !== 'F');
  const children = byParent(live);

  // From the last decision down to the first fork, uncertainty or pending value.
  const walked: Sigkey[] = [];
  while (!disputed) {
    const below = children.get(root) ?? [];
    const only = below[0];
    if (below.length !== 1 || only === undefined || status.get(only) !== 'C') break;
    walked.push(only);
    root = only;
  }

  const reached = reachable(root, children);
  const known = new Set(walked);
  const working = live.filter((node) => !known.has(node.sigkey)).map((node) => node.sigkey);
  const forked = [root, ...reached].some((sigkey) => (children.get(sigkey)?.length ?? 0) > 1);
  const loose = working.some((sigkey) => !reached.has(sigkey));
  const uncertain = working.some((sigkey) => status.get(sigkey) === 'U');
  const tree = forked || loose || disputed || roots.length < all.length;

  const confirmedParents = new Set(
    working.filter((sigkey) => status.get(sigkey) === 'C').map((sigkey) => nodes.get(sigkey)?.parent ?? null),
  );
  const held = root === null ? working : [root, ...working];
  const settled = [...decided].filter((sigkey) => status.get(sigkey) === 'C');
  const failed = [...nodes.keys()].filter(
    (sigkey) => status.get(sigkey) === 'F' || (decided.has(sigkey) && status.get(sigkey) === 'U'),
  );
  const order = byAge(nodes);
  const named = [...live.map((node) => node.parent), ...all.map(({ decision }) => decision.root)];

  return {
    root,
    status,
    conflict: tree ? (uncertain ? 'tree+incomplete' : 'tree') : uncertain ? 'incomplete' : 'none',
    busy: working.some((sigkey) => status.get(sigkey) === 'P'),
    candidates: order(
      held.filter(
        (sigkey) =>
          (!confirmedParents.has(sigkey) || (disputed && contested.has(sigkey))) &&
          ['C', 'U'].includes(status.get(sigkey) ?? 'P'),
      ),
    ),
    history: order([...settled, ...walked]),
    working: order(working),
    workingHistory: order(failed),
    missing: order([...new Set(named.filter((sigkey) => sigkey !== null && !nodes.has(sigkey)))] as Sigkey[]),
  };
}

/**
 * What decisions have decided: everything that any of them saw (it went to one of the histories then), and what any of
 * them made current. A pending value cannot be decided: its connector may be at work. Nor is one that was decided as
 * unproven if its own node had proved it: that is news.
 */
function decidedBy(roots: readonly RootFact[], words: ReadonlyMap<Sigkey, Status>): Set<Sigkey> {
  const decided = new Set<Sigkey>();
  for (const { decision } of roots) {
    for (const sigkey of decision.seen) {
      const word = words.get(sigkey);
      if (word === undefined || word === 'P') continue;
      if (word !== 'C' || decision.unproven?.includes(sigkey) !== true) decided.add(sigkey);
    }
  }
  for (const { decision } of roots) if (decision.root !== null) decided.add(decision.root);
  return decided;
}

/**
 * The status of every value. What its own node has proved and what people say may contradict each other: then it is
 * uncertain until a decision, and the target is asked.
 */
function statuses(
  facts: Facts,
  words: ReadonlyMap<Sigkey, Status>,
  roots: readonly RootFact[],
  decided: ReadonlySet<Sigkey>,
): Map<Sigkey, Status> {
  const status = new Map(words);
  for (const [sigkey, opinion] of opinionsOf(facts)) {
    const word = words.get(sigkey);
    if (word === 'U') status.set(sigkey, opinion);
    else if ((word === 'C' || word === 'F') && word !== opinion && !decided.has(sigkey)) status.set(sigkey, 'U');
  }
  for (const { decision } of roots) {
    for (const sigkey of decision.unproven ?? [])
      if (words.get(sigkey) === 'C' && !decided.has(sigkey)) status.set(sigkey, 'U');
  }
  // It was current once, whatever was decided later.
  for (const { decision } of roots) if (decision.root !== null) status.set(decision.root, 'C');
  return status;
}

/** One of several that stand, the same on every node. Where they differ, it is only what is shown until that is settled. */
function latest(heads: readonly RootFact[]): RootFact | undefined {
  return [...heads].sort((a, b) => a.at - b.at || (a.node < b.node ? -1 : a.node > b.node ? 1 : a.seq - b.seq)).at(-1);
}

function byParent(nodes: readonly RandomizationFact[]): Map<Sigkey | null, Sigkey[]> {
  const children = new Map<Sigkey | null, Sigkey[]>();
  for (const { sigkey, parent } of nodes) {
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [sigkey]);
    else if (!siblings.includes(sigkey)) siblings.push(sigkey);
  }
  return children;
}

function reachable(root: Sigkey | null, children: ReadonlyMap<Sigkey | null, readonly Sigkey[]>): Set<Sigkey> {
  const reached = new Set<Sigkey>();
  const open: (Sigkey | null)[] = [root];
  while (open.length > 0) {
    for (const child of children.get(open.pop() ?? null) ?? []) {
      if (!reached.has(child)) {
        reached.add(child);
        open.push(child);
      }
    }
  }
  return reached;
}

function byAge(nodes: ReadonlyMap<Sigkey, RandomizationFact>): (sigkeys: readonly Sigkey[]) => Sigkey[] {
  const age = (sigkey: Sigkey): number => nodes.get(sigkey)?.createdAt ?? 0;
  return (sigkeys) => [...new Set(sigkeys)].sort((a, b) => age(a) - age(b) || (a < b ? -1 : a > b ? 1 : 0));
}

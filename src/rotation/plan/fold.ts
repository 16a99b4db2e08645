/**
 * What all facts of one account say together: the current value, what may be live on the target, what is a conflict.
 *
 * INVARIANT: the answer depends on the set of facts only, not on the order in which they arrived, and every randomization
 * is in exactly one of `history`, `working` and `workingHistory`. Pure.
 */
import type { Sigkey } from '../../base/ids.ts';
import type { Facts, OutcomeFact, RandomizationFact, ResolutionFact, Status } from './facts.ts';
import { saidAfter, siteOf } from './site.ts';

/** `tree`: two values hang under one parent, or under none that counts. `incomplete`: at least one outcome is unknown. */
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
  /** Parents that some fact names and no fact brought: wait for the node that knows them. */
  readonly missing: readonly Sigkey[];
}

/** Folds the facts of one account. */
export function fold(facts: Facts): Fold {
  const nodes = new Map(facts.randomizations.map((node) => [node.sigkey, node]));
  const status = statuses(facts, nodes);
  const decision = lastRoot(facts.resolutions);

  // A pending value cannot be decided: its connector may be at work (whoever decides leaves it out of `seen`).
  const decided = new Set((decision?.seen ?? []).filter((sigkey) => nodes.has(sigkey) && status.get(sigkey) !== 'P'));
  if (decision?.root != null) {
    decided.add(decision.root);
    status.set(decision.root, 'C');
  }
  const all = [...nodes.values()];
  const live = all.filter((node) => !decided.has(node.sigkey) && status.get(node.sigkey) !== 'F');
  const children = byParent(live);

  // From the last decision down to the first fork, uncertainty or pending value.
  const walked: Sigkey[] = [];
  let root = decision === undefined ? null : decision.root;
  for (;;) {
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
  const tree = forked || loose;

  const confirmedParents = new Set(
    working.filter((sigkey) => status.get(sigkey) === 'C').map((sigkey) => nodes.get(sigkey)?.parent ?? null),
  );
  const held = root === null ? working : [root, ...working];
  const settled = [...decided].filter((sigkey) => status.get(sigkey) === 'C');
  const failed = all.filter(
    ({ sigkey }) => status.get(sigkey) === 'F' || (decided.has(sigkey) && status.get(sigkey) === 'U'),
  );
  const order = byAge(nodes);

  return {
    root,
    status,
    conflict: tree ? (uncertain ? 'tree+incomplete' : 'tree') : uncertain ? 'incomplete' : 'none',
    busy: working.some((sigkey) => status.get(sigkey) === 'P'),
    candidates: order(
      held.filter((sigkey) => !confirmedParents.has(sigkey) && ['C', 'U'].includes(status.get(sigkey) ?? 'P')),
    ),
    history: order([...settled, ...walked]),
    working: order(working),
    workingHistory: order(failed.map((node) => node.sigkey)),
    missing: order([
      ...new Set(live.map((node) => node.parent).filter((parent) => parent !== null && !nodes.has(parent))),
    ] as Sigkey[]),
  };
}

/** The status of every randomization; see OutcomeFact for whose word counts. */
function statuses(facts: Facts, nodes: ReadonlyMap<Sigkey, RandomizationFact>): Map<Sigkey, Status> {
  const status = new Map<Sigkey, Status>();
  const decidedBy = new Map<Sigkey, OutcomeFact>();
  for (const node of nodes.values()) status.set(node.sigkey, 'P');
  for (const outcome of facts.outcomes) {
    const node = nodes.get(outcome.sigkey);
    if (node === undefined) continue;
    const before = decidedBy.get(outcome.sigkey);
    const own = siteOf(outcome.node) === siteOf(node.node);
    if (own && (before === undefined || saidAfter(outcome, before))) {
      decidedBy.set(outcome.sigkey, outcome);
      status.set(outcome.sigkey, outcome.status);
    } else if (!own && outcome.status === 'U' && before === undefined) {
      status.set(outcome.sigkey, 'U');
    }
  }
  for (const { decision } of [...facts.resolutions].sort(inTime)) {
    if (decision.kind !== 'root' && nodes.has(decision.sigkey))
      status.set(decision.sigkey, decision.kind === 'confirm' ? 'C' : 'F');
  }
  return status;
}

function lastRoot(
  resolutions: readonly ResolutionFact[],
): { root: Sigkey | null; seen: readonly Sigkey[] } | undefined {
  const roots = [...resolutions].sort(inTime).flatMap(({ decision }) => (decision.kind === 'root' ? [decision] : []));
  const last = roots.at(-1);
  // What an earlier decision saw stays decided: it went to one of the histories then.
  return last === undefined ? undefined : { root: last.root, seen: roots.flatMap((each) => each.seen) };
}

function inTime(a: ResolutionFact, b: ResolutionFact): number {
  return a.at - b.at || (a.node < b.node ? -1 : a.node > b.node ? 1 : a.seq - b.seq);
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

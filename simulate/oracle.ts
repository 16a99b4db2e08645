/**
 * Who judges. It knows what truly happened: every value that was ever drawn, what the target accepts, what each node has
 * stored and what each node's fold says, as text. It imports nothing, least of all the rules it judges.
 *
 * `lost`: the target accepts a value that was drawn or entered, and no node has it any more.
 * `silentMismatch`: a node says that all is well, and the target refuses the value that it calls current. Judged twice.
 *   First when everything has come to rest and nobody has looked again: then only three things excuse it, each of which no
 *   rule can know of: a person changed the value on the target by hand, a person said something wrong about it, or the
 *   target (or a process that stood still) put a value in place after the time that was promised; and, fourthly, a disk
 *   was destroyed with the only copy of a value. An excuse ends with the next value that lands in time. Then the managing
 *   node tries its current value once more, as it does regularly: after that nothing is excused, it is in step or flagged.
 * `diverged`: two nodes with the same facts do not say the same, or nodes do not have the same facts in the end.
 * `broken`: something that must hold at every moment did not.
 */

/** What a fold says, as read from its text. */
interface Said {
  readonly root: string | null;
  readonly conflict: string;
  readonly busy: boolean;
  readonly candidates: readonly string[];
  readonly history: readonly string[];
  readonly working: readonly string[];
  readonly workingHistory: readonly string[];
  readonly status: readonly (readonly [string, string])[];
}

/** Facts as they are stored; only what the oracle looks at. */
export interface Stored {
  readonly randomizations: readonly { readonly sigkey: string; readonly parent: string | null }[];
  readonly outcomes: readonly { readonly sigkey: string; readonly status: string }[];
  readonly resolutions: readonly {
    readonly decision: {
      readonly kind: string;
      readonly root?: string | null;
      readonly sigkey?: string;
      readonly seen?: readonly string[];
    };
  }[];
}

export interface Seen {
  readonly node: string;
  /** The fold as canonical text, and the facts, sorted, as text. */
  readonly fold: string;
  readonly facts: string;
  readonly flagged: boolean;
}

export interface Judgement {
  lost: number;
  silentMismatch: number;
  diverged: number;
  broken: number;
  unresolvedFlagged: number;
  /** Out of step with an excuse, and in step after the managing node had looked. */
  selfHealed: number;
  /** The only copy was on a disk that was destroyed. */
  destroyed: number;
  /** In plain words. */
  readonly faults: string[];
}

export interface Oracle {
  readonly drew: (sigkey: string, secret: number) => void;
  readonly committed: (node: number, id: string, at: number) => void;
  readonly landed: (sigkey: string, inTime: boolean) => void;
  readonly changedByHand: () => void;
  readonly saidByHand: (right: boolean) => void;
  /** A database came back from a backup without these facts; `only` were nowhere else. */
  readonly restored: (gone: ReadonlySet<string>, only: readonly string[]) => void;
  /** A node decided by itself, having these facts; the others were asked from `asked` on. */
  readonly decidedByItself: (node: number, has: ReadonlyMap<string, number>, asked: number) => void;
  /** Looks at what a node says at some moment. */
  readonly watch: (node: string, fold: string, facts: Stored) => void;
  /** The history could not be played to its end. */
  readonly broke: (why: string) => Judgement;
  /** Everything is at rest, and nobody has looked again. */
  readonly judgeAtRest: (live: readonly number[], nodes: readonly Seen[]) => void;
  /** The managing node has looked again. */
  readonly judgeAtLast: (live: readonly number[], nodes: readonly Seen[]) => Judgement;
}

export function newOracle(): Oracle {
  const secrets = new Map<string, number>();
  const facts: { readonly node: number; readonly id: string; readonly at: number }[] = [];
  const forgotten = new Set<string>();
  const onlyCopies = new Set<string>();
  let excuse: string | undefined;
  let excused = false;
  const judgement: Judgement = {
    lost: 0,
    silentMismatch: 0,
    diverged: 0,
    broken: 0,
    unresolvedFlagged: 0,
    selfHealed: 0,
    destroyed: 0,
    faults: [],
  };
  const fault = (kind: 'lost' | 'silentMismatch' | 'diverged' | 'broken', words: string): void => {
    judgement[kind] = 1;
    judgement.faults.push(`${kind}: ${words}`);
  };
  const mismatches = (live: readonly number[], nodes: readonly Seen[]): Seen[] =>
    nodes.filter(({ fold }) => {
      const { root, conflict } = JSON.parse(fold) as Said;
      return conflict === 'none' && root !== null && !live.includes(secrets.get(root) ?? -1);
    });

  function judgeLoss(live: readonly number[], nodes: readonly Seen[]): void {
    const kept = new Set<string>();
    for (const { fold } of nodes) {
      const said = JSON.parse(fold) as Said;
      for (const sigkey of [...said.history, ...said.working, ...said.workingHistory]) kept.add(sigkey);
    }
    for (const secret of live) {
      const names = [...secrets].filter(([, value]) => value === secret).map(([sigkey]) => sigkey);
      // A value that a person set by hand was never ours to keep.
      if (names.length === 0 || names.some((sigkey) => kept.has(sigkey))) continue;
      if (names.some((sigkey) => onlyCopies.has(sigkey))) judgement.destroyed = 1;
      else fault('lost', `the target accepts ${names.join(' and ')}, which no node has`);
    }
    if (live.length === 0) fault('lost', 'the target accepts nothing any more');
  }

  function judgeDifference(nodes: readonly Seen[]): void {
    const [first] = nodes;
    for (const other of nodes) {
      if (first === undefined || other === first) continue;
      if (other.facts !== first.facts) fault('diverged', `${first.node} and ${other.node} do not have the same facts`);
      else if (other.fold !== first.fold)
        fault('diverged', `${first.node} says ${first.fold}, ${other.node} says ${other.fold}`);
    }
  }

  return {
    drew: (sigkey, secret) => secrets.set(sigkey, secret),
    committed: (node, id, at) => facts.push({ node, id, at }),
    landed: (sigkey, inTime) => {
      excuse = inTime ? undefined : `${sigkey} landed after its time`;
    },
    changedByHand: () => {
      excuse = 'a person changed the value on the target';
    },
    saidByHand: (right) => {
      if (!right) excuse = 'a person was wrong about the value';
    },
    restored: (gone, only) => {
      for (const id of gone) forgotten.add(id);
      for (const sigkey of only) onlyCopies.add(sigkey);
      if (only.length > 0) excuse = 'a disk was destroyed with the only copy of a value';
    },
    decidedByItself: (node, has, asked) => {
      const unheard = facts.find(
        (fact) => fact.node !== node && fact.at < asked && !has.has(fact.id) && !forgotten.has(fact.id),
      );
      if (unheard !== undefined) fault('broken', `a decision was made before ${unheard.id} was heard`);
    },
    watch: (node, text, stored) => {
      const wrong = wrongIn(JSON.parse(text) as Said, stored);
      if (wrong !== undefined) fault('broken', `${node}: ${wrong}: ${text}`);
    },
    broke: (why) => {
      fault('broken', why);
      return judgement;
    },
    judgeAtRest: (live, nodes) => {
      judgeLoss(live, nodes);
      judgeDifference(nodes);
      const wrong = mismatches(live, nodes);
      excused = wrong.length > 0 && excuse !== undefined;
      if (wrong.length > 0 && excuse === undefined)
        fault('silentMismatch', `${wrong.map(({ node }) => node).join()} took a value for current that does not work`);
    },
    judgeAtLast: (live, nodes) => {
      judgeLoss(live, nodes);
      judgeDifference(nodes);
      const wrong = mismatches(live, nodes);
      const flagged = nodes.some((node) => node.flagged);
      if (wrong.length > 0 && !flagged)
        fault(
          'silentMismatch',
          `${wrong.map(({ node }) => node).join()} still takes it for current, looked and saw nothing`,
        );
      const conflicted = nodes.some(({ fold }) => (JSON.parse(fold) as Said).conflict !== 'none');
      if (conflicted || (wrong.length > 0 && flagged)) judgement.unresolvedFlagged = 1;
      else if (excused && wrong.length === 0) judgement.selfHealed = 1;
      return judgement;
    },
  };
}

/** What must hold of any fold over any facts. */
function wrongIn(said: Said, stored: Stored): string | undefined {
  const { root, conflict, busy, history, working, workingHistory, candidates } = said;
  const status = new Map(said.status);
  const placed = [...history, ...working, ...workingHistory];
  const known = new Set(stored.randomizations.map(({ sigkey }) => sigkey));
  if (new Set(placed).size !== placed.length) return 'a value is in two places';
  if (placed.length !== known.size || placed.some((sigkey) => !known.has(sigkey)))
    return 'not every value is in exactly one place';
  const confirmed = new Set<string>();
  for (const outcome of stored.outcomes) if (outcome.status === 'C') confirmed.add(outcome.sigkey);
  const decided = new Set<string>();
  for (const { decision } of stored.resolutions) {
    if (decision.kind === 'confirm' && decision.sigkey !== undefined) confirmed.add(decision.sigkey);
    if (decision.root != null) {
      confirmed.add(decision.root);
      decided.add(decision.root);
    }
    for (const sigkey of decision.seen ?? [decision.sigkey ?? '']) decided.add(sigkey);
  }
  if (root !== null && status.get(root) !== 'C') return 'the current value is not confirmed';
  if (root !== null && !history.includes(root)) return 'the current value is not in the history';
  for (const sigkey of history)
    if (!confirmed.has(sigkey)) return `${sigkey} is in the history and never was confirmed`;
  // While something is pending its children are not judged yet.
  if (conflict === 'none' && !busy) {
    if (candidates.some((sigkey) => sigkey !== root)) return 'there are several candidates and no conflict';
    if (working.some((sigkey) => status.get(sigkey) !== 'P')) return 'something is undecided and there is no conflict';
    // Nobody decided over an uncertain value, and yet it is no conflict.
    const open = stored.outcomes.find(
      ({ sigkey, status: outcome }) =>
        outcome === 'U' &&
        !decided.has(sigkey) &&
        known.has(sigkey) &&
        !stored.outcomes.some((other) => other.sigkey === sigkey && other.status !== 'U'),
    );
    if (open !== undefined) return `${open.sigkey} is uncertain and there is no conflict`;
  }
  return undefined;
}

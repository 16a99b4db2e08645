/**
 * What a process does about a conflict, and about a current value that the target refuses: as the product's rules say
 * (resolutionStep, verdictOf, decideRoot, retained). Here is the order of steps: ask the other nodes how far their facts
 * go, take the lease, look again, end what may still land, try the values within the budget, decide under the lease.
 */
import type { Facts, ResolutionAction } from '../src/rotation/plan/facts.ts';
import type { Fold } from '../src/rotation/plan/fold.ts';
import { type ResolutionStep, retryMs, silentTries, type Verdict } from '../src/rotation/plan/resolve.ts';
import { fenceAll, localTime, quietUntilOf } from './engine.ts';
import { inWords, tryCandidates, tryLogin } from './logins.ts';
import { account, type Lease } from './node.ts';
import { answers, LeaseLost, type Process, release, stillLeased, takeLease, waited } from './process.ts';
import { commit, digestOf, factsOf, foldOf, heardAt, type World } from './world.ts';

type Work<T> = Generator<number, T>;

/** Another node is waited for so long (`VERIFICATION_WAIT_FOR_NODE_TIMEOUT`). */
const nodeWaitMs = 300_000;
const askAgainMs = 10_000;

/** What is to be done about the conflict now. Asks the other nodes on the way. */
export function stepOf(world: World, process: Process): ResolutionStep {
  const { node, lastTry } = process;
  return world.rules.resolutionStep({
    facts: factsOf(world, node),
    fold: foldOf(world, node),
    automatic: world.profile.automatic,
    targetAdministrator: false,
    managing: node.managing,
    nodes: node.managing ? hear(world, process) : 'waiting',
    quietUntil: quietUntilOf(world, process) + node.skew,
    lastTry: lastTry?.digest === digestOf(world, node) ? lastTry : null,
    now: localTime(world, process),
  });
}

/** Whether what the others had when they were asked about this conflict is here. */
function hear(world: World, process: Process): 'here' | 'waiting' | 'late' {
  const { node } = process;
  const { now } = world.agenda;
  const digest = digestOf(world, node);
  if (process.hearing?.digest !== digest) process.hearing = { digest, since: now, marks: new Map() };
  const { since, marks } = process.hearing;
  let here = true;
  for (const other of world.nodes) {
    if (other === node) continue;
    let mark = marks.get(other.index);
    if (mark === undefined && world.network.connected(node.index, other.index) && answers(other)) {
      mark = other.published.length;
      marks.set(other.index, mark);
    }
    if (mark === undefined) here = false;
    else for (let at = 0; here && at < mark; at += 1) here = node.heard.has(other.published[at]?.id ?? '');
  }
  // A value that others name and nobody brings, though all was heard, may be lost with a disk: not for ever to be waited for.
  if (here && foldOf(world, node).missing.length === 0) return 'here';
  return now - since > nodeWaitMs ? 'late' : 'waiting';
}

/** Looks into the conflict; when to look again, in simulated time. */
export function* resolve(world: World, process: Process): Work<number> {
  const { node } = process;
  const { now } = world.agenda;
  const step = stepOf(world, process);
  if (step.kind === 'wait') {
    if (step.because === 'not-managing' || step.because === 'pending') return Number.POSITIVE_INFINITY;
    return step.because === 'nodes' ? now + askAgainMs : Math.max(now + 10, step.until - node.skew);
  }
  if (step.kind !== 'verify') return Number.POSITIVE_INFINITY;
  const lease = takeLease(world, process);
  if (lease === undefined) return Number.POSITIVE_INFINITY;
  let again = now + 10;
  try {
    // Somebody else may have decided between the question and the lease.
    const under = stepOf(world, process);
    if (under.kind === 'verify') again = yield* tryAndDecide(world, process, lease, under);
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
    world.tell?.(`${process.name} finds that its lease is another's and stops`);
  }
  release(world, process, lease);
  return again;
}

function* tryAndDecide(
  world: World,
  process: Process,
  lease: Lease,
  { candidates, refused }: Extract<ResolutionStep, { kind: 'verify' }>,
): Work<number> {
  const { node } = process;
  const { rules } = world;
  const facts = factsOf(world, node);
  const fold = foldOf(world, node);
  const digest = digestOf(world, node);
  const asked = process.hearing?.since ?? 0;
  const count = (process.lastTry?.digest === digest ? process.lastTry.count : 0) + 1;
  let verdict: Verdict = { kind: 'again', because: 'silent', rejected: refused };
  if (yield* fenceAll(world, process, lease)) {
    const tested = yield* tryCandidates(world, process, lease, candidates);
    world.tell?.(`${process.name} tries ${inWords(tested)}`);
    verdict = rules.verdictOf([...refused.map((sigkey) => ({ sigkey, answer: 'rejected' }) as const), ...tested]);
    // Where none works, every value that was ever known is tried before it is left to a person.
    if (verdict.kind === 'manual' && verdict.because === 'none-accepted') {
      const found = yield* dig(world, process, lease, facts, fold);
      if (found.kind === 'root') verdict = found;
    }
  }
  process.lastTry = { digest, at: localTime(world, process), verdict, count };
  if (verdict.kind !== 'root') {
    world.tell?.(
      `${process.name} decides nothing: ${verdict.kind === 'manual' ? verdict.because : 'it will ask again'}`,
    );
    return world.agenda.now + 10;
  }
  yield* waited(process, lease, world.chance.between(1, 20));
  if (!stillLeased(process, lease)) throw new LeaseLost();
  decide(world, process, 'A', rules.decideRoot(facts, verdict.root, fold), asked);
  return world.agenda.now + 10;
}

/** Tries every value that was ever known and is no candidate. */
function* dig(world: World, process: Process, lease: Lease, facts: Facts, fold: Fold): Work<Verdict> {
  const tested = yield* tryCandidates(world, process, lease, world.rules.retained(facts, fold));
  world.tell?.(`${process.name} tries every value it has: ${inWords(tested)}`);
  return world.rules.verdictOf(tested);
}

/** Writes a decision; `asked` is since when the other nodes were asked for what they have. */
export function decide(
  world: World,
  process: Process,
  action: ResolutionAction,
  decision: ReturnType<World['rules']['decideRoot']>,
  asked: number,
): void {
  const { node } = process;
  const at = localTime(world, process);
  commit(world, node, 'resolution', { account, node: node.name, seq: ++node.seq, action, decision, at });
  if (decision.kind === 'root')
    world.tell?.(
      `${process.name} decides (${action}) that ${decision.root ?? 'nothing'} is current, having seen ${decision.seen.join(' ')}`,
    );
  else world.tell?.(`${process.name} writes that ${decision.sigkey} is ${decision.kind}ed by hand`);
  if (action === 'A') world.oracle.decidedByItself(node.index, node.heard, asked);
}

/**
 * The current value is tried (W-40). If the target refuses it, every other value that was ever known is tried too, newest
 * first, and the only one that works becomes current; where there is none, the account is flagged as out of step. All of
 * it rests on the same facts: if others come in between, it is another question, and is asked anew.
 */
export function* heartbeat(world: World, process: Process): Work<void> {
  const { node } = process;
  if (!node.managing) return;
  const { root, conflict, busy } = foldOf(world, node);
  if (root === null || conflict !== 'none' || busy) return;
  const lease = takeLease(world, process);
  if (lease === undefined) return;
  const { version } = node;
  try {
    let current = yield* tryLogin(world, process, lease, root);
    for (let round = 1; round < silentTries && current === 'unknown'; round += 1) {
      yield* waited(process, lease, retryMs);
      current = yield* tryLogin(world, process, lease, root);
    }
    world.tell?.(`${process.name} looks whether ${root} still works: ${current}`);
    if (current === 'accepted') node.outOfSync = false;
    if (current === 'rejected') {
      const found = (yield* clearToTry(world, process, lease, version)) && (yield* lookForLive(world, process, lease));
      if (!found && node.version !== version) process.demands.push({ kind: 'heartbeat' });
      node.outOfSync = !found;
    }
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
  }
  release(world, process, lease);
}

/** The same caution as with a conflict: others are heard first, and nothing may still land. */
function* clearToTry(world: World, process: Process, lease: Lease, version: number): Work<boolean> {
  const { node } = process;
  for (let heard = hear(world, process); heard !== 'here'; heard = hear(world, process)) {
    if (heard === 'late' || node.version !== version) return false;
    yield* waited(process, lease, askAgainMs);
  }
  const quiet = quietUntilOf(world, process) - world.agenda.now;
  if (quiet > 0) yield* waited(process, lease, quiet);
  return (yield* fenceAll(world, process, lease)) && node.version === version;
}

function* lookForLive(world: World, process: Process, lease: Lease): Work<boolean> {
  const { node } = process;
  const facts = factsOf(world, node);
  const fold = foldOf(world, node);
  const asked = process.hearing?.since ?? 0;
  let verdict: Verdict = { kind: 'again', because: 'silent', rejected: [] };
  for (let round = 0; round < silentTries && verdict.kind === 'again' && verdict.because === 'silent'; round += 1) {
    if (round > 0) yield* waited(process, lease, retryMs);
    verdict = yield* dig(world, process, lease, facts, fold);
  }
  if (verdict.kind !== 'root') return false;
  yield* waited(process, lease, world.chance.between(1, 20));
  if (!stillLeased(process, lease)) throw new LeaseLost();
  decide(world, process, 'A', world.rules.decideRoot(facts, verdict.root, fold), asked);
  return true;
}

/** What other nodes left pending for too long is called uncertain; under the lease. */
export function callUncertain(world: World, process: Process): void {
  const { node } = process;
  const { rules, agenda, timing } = world;
  const facts = factsOf(world, node);
  for (const sigkey of rules.overdue(
    facts,
    foldOf(world, node),
    node.name,
    heardAt(node),
    timing.leaseMs,
    agenda.now,
  )) {
    world.tell?.(`${process.name} waited long enough for word of ${sigkey} and calls it uncertain`);
    const at = localTime(world, process);
    commit(world, node, 'outcome', { sigkey, node: node.name, seq: ++node.seq, status: 'U', at });
  }
}

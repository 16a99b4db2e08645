/**
 * One randomization as the product does it (src/rotation/change/engine.ts, evidence.ts, pending.ts, outcome.ts): lease,
 * plan, checks, the value into the ledger, the change, proof by logins, the outcome. Each `yield` is a place where the
 * process may die. The decisions are the product's own; here is only the order of durable steps.
 *
 * Two rules are kept here that the product's engine has to keep too: nothing is drawn while an earlier change may still
 * land (`clearToDraw`), and on targets that do not end a change by themselves it is ended by name before anything is
 * called failed or decided (`fenceAll`).
 */
import type { Sigkey } from '../src/base/ids.ts';
import type { OutcomeStatus } from '../src/rotation/plan/facts.ts';
import type { Fold } from '../src/rotation/plan/fold.ts';
import type { Question, Trigger } from '../src/rotation/plan/next.ts';
import type { Said, Verification } from '../src/rotation/plan/verdict.ts';
import { account, type Lease } from './node.ts';
import { abandon, LeaseLost, type Process, release, stillLeased, takeLease, waited } from './process.ts';
import { commit, factsOf, foldOf, heardAt, type World } from './world.ts';

type Work<T> = Generator<number, T>;

/** Asks `plan` and randomizes if it says so. */
export function* rotate(world: World, process: Process, trigger: Trigger): Work<void> {
  const { node } = process;
  if (!world.profile.fallback && !node.managing) return;
  if (world.agenda.now < node.healingUntil) return;
  const lease = takeLease(world, process);
  if (lease === undefined) return;
  try {
    yield* waited(process, lease, world.chance.between(1, 50));
    yield* settlePending(world, process, lease);
    const question = questionOf(world, process, { demanded: trigger === 'on-demand', mine: true });
    const action = world.rules.plan(question)[0];
    if (action?.kind === 'randomize') yield* randomize(world, process, lease, question.fold.root, trigger);
    else
      world.tell?.(
        `${process.name} does not rotate: ${action !== undefined && 'because' in action ? action.because : 'changing'}`,
      );
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
    world.tell?.(`${process.name} finds that its lease is another's and stops`);
  }
  release(world, process, lease);
}

function* randomize(world: World, process: Process, lease: Lease, parent: Sigkey | null, trigger: Trigger): Work<void> {
  const { node } = process;
  const { profile, chance, agenda } = world;
  const self = profile.target.by === 'self';
  if (self && parent === null) return note(world, process, trigger, false);
  if (!(yield* clearToDraw(world, process, lease))) {
    world.tell?.(`${process.name} does not rotate: an earlier change may still land`);
    note(world, process, trigger, false);
    return;
  }
  if (parent !== null && (yield* verify(world, process, lease, parent)) !== 'accepted') {
    world.tell?.(`${process.name} does not rotate: ${parent} could not be proven first`);
    note(world, process, trigger, false);
    return;
  }
  yield* waited(process, lease, chance.between(1, 20));
  if (!stillLeased(process, lease)) throw new LeaseLost();
  const sigkey = world.draw();
  const createdAt = localTime(world, process);
  commit(world, node, 'randomization', { sigkey, account, parent, node: node.name, createdAt });
  lease.sigkey = sigkey;
  world.tell?.(`${process.name} draws ${sigkey}${parent === null ? '' : ` under ${parent}`} and commits it, pending`);
  const committedAt = agenda.now;
  try {
    yield* waited(process, lease, chance.between(1, 300));
    const fate = world.change(process, sigkey, self ? parent : null, committedAt);
    yield* waited(process, lease, fate.answersAfter);
    world.tell?.(`${process.name} hears that the change to ${sigkey} ${words[fate.said]}`);
    const status = yield* find(world, process, lease, sigkey, parent, fate.said, false);
    writeOutcome(world, process, lease, sigkey, status);
    note(world, process, trigger, status === 'C');
  } catch (error) {
    abandon(world, process, lease);
    throw error;
  }
}

const words = {
  confirmed: 'was acknowledged',
  failed: 'was refused',
  uncertain: 'was cut off',
  unsent: 'was not sent',
} as const;

/** Pending values of a dead process of this node. */
export function* settlePending(world: World, process: Process, lease: Lease): Work<void> {
  const { node } = process;
  const fold = foldOf(world, node);
  if (!fold.busy) return;
  const pending = node.randomizations.filter((fact) => fold.status.get(fact.sigkey) === 'P' && fact.node === node.name);
  for (const fact of pending.sort((a, b) => a.createdAt - b.createdAt)) {
    world.tell?.(`${process.name} finds ${fact.sigkey} pending, and whoever set it is gone`);
    const status = yield* find(world, process, lease, fact.sigkey, fact.parent, 'uncertain', true);
    writeOutcome(world, process, lease, fact.sigkey, status);
  }
}

/** As evidence.ts: new value, then the old one where that is needed; failed only when nothing can land any more. */
function* find(
  world: World,
  process: Process,
  lease: Lease,
  sigkey: Sigkey,
  old: Sigkey | null,
  said: Said,
  overByTime: boolean,
): Work<OutcomeStatus> {
  if (said === 'unsent') return 'F';
  const { rules, profile, chance } = world;
  const retires = profile.target.kind === 'keys';
  const bySessions = profile.target.fence === 'sessions';
  // Where a change can be ended by name, that is done even after a refusal: then nobody has to be believed.
  let fenced = bySessions ? !rules.waitsForLanding : said === 'failed' || overByTime || !rules.waitsForLanding;
  for (;;) {
    if (!fenced && said !== 'confirmed' && bySessions) fenced = yield* fenceOne(world, process, lease, sigkey);
    const fresh = yield* tryTwice(world, process, lease, sigkey);
    if (retires && fresh === 'accepted') yield* retire(world, process, lease, sigkey);
    let before: Verification | 'none' = 'none';
    if (old !== null && rules.needsOld(said, fresh, retires)) before = yield* tryTwice(world, process, lease, old);
    const status = rules.judge({ said, fresh, old: before, oldMustFail: retires, fenced });
    world.tell?.(
      `${process.name}: a login with ${sigkey} was ${fresh}${before === 'none' ? '' : `, with ${old} ${before}`}; so ${sigkey} is ${status}`,
    );
    if (status !== 'U' || fenced || bySessions || fresh !== 'rejected' || before !== 'accepted') return status;
    yield* waited(process, lease, world.quietMs + chance.between(0, 10));
    fenced = true;
  }
}

/**
 * Other keys are taken away, twice if need be; but only those that are settled. Of two nodes that had heard of each other's
 * new key each would take the other's away otherwise, and nobody could log in any more.
 */
function* retire(world: World, process: Process, lease: Lease, sigkey: Sigkey): Work<void> {
  const { history, working, workingHistory } = foldOf(world, process.node);
  // The same key may have been entered under another name.
  const mine = world.secretOf(sigkey);
  const former = [...history, ...workingHistory, ...(world.rules.retiresUnsettled ? working : [])]
    .map((other) => world.secretOf(other))
    .filter((secret) => secret !== mine);
  for (let round = 0; round < 2; round += 1) {
    yield* waited(process, lease, world.chance.between(50, 2_000));
    if (world.target.retire(former) === 'confirmed') return;
  }
}

function* tryTwice(world: World, process: Process, lease: Lease, sigkey: Sigkey): Work<Verification> {
  const first = yield* verify(world, process, lease, sigkey);
  return first === 'unknown' && world.chance.likely(0.5) ? yield* verify(world, process, lease, sigkey) : first;
}

/** A real login with a stored value. */
export function* verify(world: World, process: Process, lease: Lease | undefined, sigkey: Sigkey): Work<Verification> {
  yield* waited(process, lease, world.chance.between(50, 3_000));
  const answer = world.target.login(world.secretOf(sigkey));
  if (answer === 'rejected') process.node.refused.push(world.agenda.now);
  return answer;
}

function writeOutcome(world: World, process: Process, lease: Lease, sigkey: Sigkey, status: OutcomeStatus): void {
  const { node } = process;
  if (!stillLeased(process, lease)) {
    world.tell?.(`${process.name} is too late to say that ${sigkey} is ${status}: evidence only`);
    return;
  }
  const at = localTime(world, process);
  commit(world, node, 'outcome', { sigkey, node: node.name, seq: ++node.seq, status, at });
  world.tell?.(`${process.name} writes that ${sigkey} is ${status}`);
}

/** Ends what is left of one change; known to be ended from then on. */
function* fenceOne(world: World, process: Process, lease: Lease | undefined, sigkey: Sigkey): Work<boolean> {
  yield* waited(process, lease, world.chance.between(50, 2_000));
  if (!world.target.fence(sigkey)) return false;
  process.node.ended.add(sigkey);
  world.tell?.(`${process.name} ends what was left of the change to ${sigkey}`);
  return true;
}

/** Where the target does not end changes by itself: everything uncertain is ended by name. False if that could not be done. */
export function* fenceAll(world: World, process: Process, lease: Lease | undefined): Work<boolean> {
  if (world.profile.target.fence !== 'sessions' || !world.rules.waitsForLanding) return true;
  for (const { sigkey, status } of factsOf(world, process.node).outcomes) {
    if (status !== 'U' || process.node.ended.has(sigkey)) continue;
    if (!(yield* fenceOne(world, process, lease, sigkey))) return false;
  }
  return true;
}

/** Nothing that was cut off can land any more; waits for the rest of the target's own time. */
export function* clearToDraw(world: World, process: Process, lease: Lease): Work<boolean> {
  if (!world.rules.waitsForLanding) return true;
  if (!(yield* fenceAll(world, process, lease))) return false;
  const until = quietUntilOf(world, process);
  if (until > world.agenda.now) yield* waited(process, lease, until - world.agenda.now);
  return true;
}

/** In simulated time: what was heard a while ago was so by every clock. */
export function quietUntilOf(world: World, process: Process): number {
  return world.rules.quietUntil(factsOf(world, process.node), heardAt(process.node), world.quietMs);
}

export function localTime(world: World, process: Process): number {
  return world.agenda.now + process.node.skew;
}

/** What `plan` must know; in the node's own time. */
export function questionOf(
  world: World,
  process: Process,
  how: { readonly demanded: boolean; readonly mine: boolean },
): Question {
  const { node } = process;
  const fold: Fold = foldOf(world, node);
  const { lease } = node;
  const now = localTime(world, process);
  const held = how.mine || lease === undefined || lease.expiresAt <= world.agenda.now ? null : lease;
  return {
    fold,
    settings: { enabled: true, connector: true, rotateAfterSession: true, skipWhileInUse: true },
    uses: node.uses,
    attempts: node.attempts,
    currentSince: node.randomizations.find((fact) => fact.sigkey === fold.root)?.createdAt ?? null,
    lease: held === null ? null : { sigkey: held.sigkey, expiresAt: held.expiresAt + node.skew },
    demanded: how.demanded,
    now,
  };
}

function note(world: World, process: Process, trigger: Trigger, done: boolean): void {
  process.node.attempts.push({ trigger, at: localTime(world, process), done });
}

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
import type { Schedule } from '../src/rotation/plan/schedule.ts';
import { siteOf } from '../src/rotation/plan/site.ts';
import type { Said, Verification } from '../src/rotation/plan/verdict.ts';
import { tryCandidates, tryLogin } from './logins.ts';
import { account, type Lease } from './node.ts';
import { abandon, LeaseLost, type Process, release, stillLeased, takeLease, waited } from './process.ts';
import { commit, factsOf, foldOf, heardAt, type World } from './world.ts';

type Work<T> = Generator<number, T>;

/** Asks `plan` and randomizes if it says so. */
export function* rotate(world: World, process: Process, trigger: Trigger): Work<void> {
  const lease = takeLease(world, process);
  if (lease === undefined) return;
  try {
    yield* waited(process, lease, world.chance.between(1, 50));
    yield* settlePending(world, process, lease);
    const demanded = trigger === 'on-demand' ? trigger : false;
    const question = questionOf(world, process, { demanded, mine: true });
    const action = world.rules.plan(question)[0];
    if (action?.kind === 'randomize')
      yield* randomize(world, process, lease, question.fold.root, action.trigger, 'proved first');
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

/** The change itself; `presumed`: the present value is not tried first, because nobody knows whether it holds. */
export function* randomize(
  world: World,
  process: Process,
  lease: Lease,
  parent: Sigkey | null,
  trigger: Trigger,
  how: 'proved first' | 'presumed',
): Work<void> {
  const { node } = process;
  const { profile, chance, agenda } = world;
  const startedAt = localTime(world, process);
  const self = profile.target.by === 'self';
  const note = (done: boolean): void =>
    void node.attempts.push({ trigger, startedAt, at: localTime(world, process), done });
  if (self && parent === null) return note(false);
  if (!(yield* clearToDraw(world, process, lease))) {
    world.tell?.(`${process.name} does not rotate: an earlier change may still land`);
    return note(false);
  }
  if (how === 'proved first' && parent !== null) {
    const [current] = yield* tryCandidates(world, process, lease, [parent]);
    if (current?.answer !== 'accepted') {
      world.tell?.(`${process.name} does not rotate: ${parent} could not be proven first`);
      return note(false);
    }
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
    note(status === 'C');
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

/** Pending values of dead processes of this site, under whatever name it drew them. */
export function* settlePending(world: World, process: Process, lease: Lease): Work<void> {
  const { node } = process;
  const fold = foldOf(world, node);
  if (!fold.busy) return;
  const pending = node.randomizations.filter(
    (fact) => fold.status.get(fact.sigkey) === 'P' && siteOf(fact.node) === siteOf(node.name),
  );
  for (const fact of pending.sort((a, b) => a.createdAt - b.createdAt)) {
    world.tell?.(`${process.name} finds ${fact.sigkey} pending, and whoever set it is gone`);
    const status = yield* find(world, process, lease, fact.sigkey, fact.parent, 'uncertain', true);
    writeOutcome(world, process, lease, fact.sigkey, status);
  }
}

/** As evidence.ts: new and old value, what is left of the change ended before; failed only when nothing can land any more. */
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
    const look = yield* lookAt(world, process, lease, said, sigkey, retires ? null : old);
    if (retires && look.fresh === 'accepted') yield* retire(world, process, lease, sigkey, old);
    const before = retires && old !== null ? yield* answerFor(world, process, lease, old) : look.old;
    const { fresh } = look;
    const status = rules.judge({ said, fresh, old: before, oldMustFail: retires, fenced, durable: true });
    world.tell?.(
      `${process.name}: ${sigkey} was ${fresh}${before === 'none' ? '' : `, ${old} ${before}`}; so ${sigkey} is ${status}`,
    );
    if (status !== 'U' || fenced || bySessions || fresh !== 'rejected' || before === 'rejected') return status;
    yield* waited(process, lease, world.quietMs + chance.between(0, 10));
    fenced = true;
  }
}

/** After an acknowledgement a login with the new value; else the old one first, then the new one. */
function* lookAt(
  world: World,
  process: Process,
  lease: Lease,
  said: Said,
  sigkey: Sigkey,
  old: Sigkey | null,
): Work<{ readonly fresh: Verification; readonly old: Verification | 'none' }> {
  if (said === 'confirmed') {
    const fresh = yield* tryLogin(world, process, lease, sigkey);
    if (old === null || !world.rules.needsOld(said, fresh, false)) return { fresh, old: 'none' };
    return { fresh, old: yield* answerFor(world, process, lease, old) };
  }
  const both = old === null ? [sigkey] : [old, sigkey];
  let answers = yield* tryCandidates(world, process, lease, both);
  // One broken connection is no reason to call a value uncertain.
  if (answers.some(({ answer }) => answer === 'unknown') && world.chance.likely(0.5))
    answers = yield* tryCandidates(world, process, lease, both);
  return { fresh: answers.at(-1)?.answer ?? 'unknown', old: old === null ? 'none' : (answers[0]?.answer ?? 'unknown') };
}

function* answerFor(world: World, process: Process, lease: Lease, sigkey: Sigkey): Work<Verification> {
  const [one] = yield* tryCandidates(world, process, lease, [sigkey]);
  return one?.answer ?? 'unknown';
}

/**
 * Other keys are taken away, twice if need be; but only those that are settled. Of two nodes that had heard of each other's
 * new key each would take the other's away otherwise, and nobody could log in any more. And only while the key that this
 * one was drawn to replace is current, or it is current itself: else others went on meanwhile, and a process that comes
 * late would take away what they rely on.
 */
function* retire(world: World, process: Process, lease: Lease, sigkey: Sigkey, old: Sigkey | null): Work<void> {
  const { root, history, working, workingHistory } = foldOf(world, process.node);
  if (root !== old && root !== sigkey) return;
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
  how: { readonly demanded: 'on-demand' | false; readonly mine: boolean },
): Question {
  const { node } = process;
  const { profile, agenda, calm } = world;
  const fold: Fold = foldOf(world, node);
  const { lease } = node;
  const held = how.mine || lease === undefined || lease.expiresAt <= agenda.now ? null : lease;
  return {
    account,
    fold,
    settings: {
      enabled: true,
      connector: true,
      rotateAfterSession: true,
      skipWhileInUse: true,
      localFallback: profile.fallback,
    },
    calendar: { schedule: calm ? null : schedule(profile.everyDays), since: node.skew, maxAgeDays: null },
    uses: node.uses,
    attempts: node.attempts,
    notes: [],
    wishes: [],
    currentSince: node.randomizations.find((fact) => fact.sigkey === fold.root)?.createdAt ?? null,
    lease: held === null ? null : { sigkey: held.sigkey, expiresAt: held.expiresAt + node.skew },
    demanded: how.demanded,
    here: agenda.now < node.healingUntil ? 'not-ready' : node.managing ? 'yes' : 'managing-down',
    now: localTime(world, process),
  };
}

function schedule(days: number): Schedule | null {
  if (days === 0) return null;
  const retry = { count: 3, minutes: 30 };
  return { name: 'often', every: { days }, zone: null, window: null, jitterMinutes: 0, retry, alertAfterSkips: 5 };
}

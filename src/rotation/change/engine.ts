/**
 * One randomization, top to bottom: lease, plan, checks on the target, the value into vault and ledger, the change,
 * proof by logins, the outcome. The process may die between any two lines: before the commit nothing has happened, after
 * it both values are kept and `settlePending` finds out which one the target has.
 */
import type { Actor } from '../../audit/audit.ts';
import { record } from '../../audit/audit.ts';
import { isRefusal, wordsOf } from '../../base/errors.ts';
import type { AccountId, Sigkey } from '../../base/ids.ts';
import { newId } from '../../base/new-id.ts';
import type { Tx } from '../../db/db.ts';
import { holdExclusively } from '../../vault/vault.ts';
import type { ChangeAnswer, Connector, VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { RotationError } from '../errors.ts';
import { holdSubject, type Lease, nameLease, stillLeased, takeLease } from '../ledger/lease.ts';
import { addRandomization } from '../ledger/ledger.ts';
import { type Because, type Demand, plan, type Trigger } from '../plan/next.ts';
import { commit } from '../points.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import { remedyOf } from '../remedies.ts';
import type { RotationResult } from '../result.ts';
import { type Hands, perform } from './ask.ts';
import { find } from './evidence.ts';
import { drawFresh, type Fresh } from './fresh.ts';
import { handsOf, reconcilingHands } from './hands.ts';
import { clearToDraw } from './landing.ts';
import { noteOwnRefusal, tryCandidates } from './logins.ts';
import { noteAttempt, type Tag, writeOutcome } from './outcome.ts';
import { settlePending } from './pending.ts';
import { questionOf } from './question.ts';
import { type Subject, subjectOf, tagOf } from './subject.ts';

const demands: readonly string[] = ['on-demand', 'checkout', 'event', 'bulk', 'reconcile'] satisfies Demand[];

function isDemand(trigger: Trigger): trigger is Demand {
  return demands.includes(trigger);
}

/** See `Rotation.rotate`. Of what nobody asked for, the plan says once more under the lease whether it is due. */
export async function rotateAccount(
  context: Context,
  id: AccountId,
  trigger: Trigger,
  actor: Actor,
  signal: AbortSignal,
): Promise<RotationResult | RotationRefusal> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) return subject;
  const { holder, clock, timing } = context;
  await using lease = await takeLease(context.db, id, { holder, clock, ms: timing.leaseMs }, signal);
  if (lease === undefined) return await skipped(context, subject, 'changing', actor);
  await settlePending(context, subject, lease, lease.signal);

  const demanded = isDemand(trigger) ? trigger : false;
  const started = clock.now();
  let question = await questionOf(context, subject, { demanded, mine: true });
  let action = plan(question)[0];
  if (action?.kind === 'randomize') {
    const { waited, fault } = await clearToDraw(context, subject, actor, lease.signal);
    if (fault !== undefined)
      return await refuseChecked(context, subject, fault, { trigger: action.trigger, actor, started });
    // What came meanwhile counts.
    if (waited) {
      question = await questionOf(context, subject, { demanded, mine: true });
      action = plan(question)[0];
    }
  }
  if (action?.kind !== 'randomize')
    return await skipped(
      context,
      subject,
      action !== undefined && 'because' in action ? action.because : 'changing',
      actor,
    );
  const held = await holdIfFree(context, subject, lease);
  if (held === 'in-use') return await skipped(context, subject, 'in-use', actor);
  await using _ = held;
  const { trigger: cause, fallback } = action;
  const how = { operation: 'change', trigger: cause, actor, fallback: fallback === true } as const;
  return await randomize(context, subject, question.fold.root, lease, how, lease.signal);
}

/** Sets a new value where the present one is lost, by the reconcile account. The caller has the lease and good reasons. */
export async function reconcileUnder(
  context: Context,
  subject: Subject,
  parent: Sigkey | null,
  lease: Lease,
  actor: Actor,
  decides: How['decides'],
): Promise<RotationResult | RotationRefusal> {
  const decision = decides === undefined ? {} : { decides };
  const how = { operation: 'reconcile', trigger: 'reconcile', actor, ...decision } as const;
  return randomize(context, subject, parent, lease, how, lease.signal);
}

interface How {
  readonly operation: 'change' | 'reconcile';
  readonly trigger: Trigger | 'force';
  readonly actor: Actor;
  /** The present value is only presumed to hold, so it is not tried first. */
  readonly presumed?: boolean;
  /** Done here because the managing node cannot be reached. */
  readonly fallback?: boolean;
  /**
   * What is decided by this change and must not be without it: written in the transaction of the intent. A process that
   * dies before it has decided nothing; after it the new value is pending, and somebody finds out what the target has.
   */
  readonly decides?: (tx: Tx) => Promise<void>;
}

/** The change itself. The caller has the lease, has asked the plan, and nothing can land any more. */
export async function randomize(
  context: Context,
  subject: Subject,
  parent: Sigkey | null,
  lease: Lease,
  how: How,
  signal: AbortSignal,
): Promise<RotationResult | RotationRefusal> {
  const { account, connector } = subject;
  const started = context.clock.now();
  if (connector === undefined) return skipped(context, subject, 'no-connector', how.actor);
  const hands = how.operation === 'reconcile' ? reconcilingHands(subject) : handsOf(subject, parent);
  if (hands === undefined) {
    const words = 'whoever changes it has no password or key recorded';
    return refuseChecked(context, subject, { said: 'unsent', class: 'unsupported', words }, { ...how, started });
  }

  const known = how.operation === 'reconcile' || how.presumed === true ? null : parent;
  const fault = await precheck(context, subject, connector, hands, known, how, signal);
  if (fault !== undefined) return refuseChecked(context, subject, fault, { ...how, started });

  const drawn = await drawFresh(context, subject, connector);
  if ('said' in drawn) return refuseChecked(context, subject, drawn, { ...how, started });
  using fresh = drawn;
  const tag: Tag = { sigkey: newId<Sigkey>(), trigger: how.trigger, actor: how.actor, started };
  await commitIntent(context, subject, connector, parent, lease, tag, fresh, how);
  try {
    // Before the target hears of it the other nodes do, as far as they can be reached.
    await context.peers.sent(signal);
    const step = { operation: how.operation, fresh: fresh.sent } as const;
    const answer = await perform(context, subject, connector, hands, step, tagOf(tag.sigkey), how.actor, signal);
    const tried = { sigkey: tag.sigkey, old: parent, hands, answer, fenced: false };
    const finding = await find(context, subject, tried, how.actor, signal);
    return await writeOutcome(context, subject, lease, tag, finding);
  } catch (error) {
    // What the target has is not known, and the change may still be landing: the lease runs out first, then somebody looks.
    lease.abandon();
    context.log.warn({ account: account.id, sigkey: tag.sigkey }, `a change was broken off: ${wordsOf(error)}`);
    throw error;
  }
}

/** W-30: who changes the value may do so, and the current value is right. Nothing has been generated yet. */
async function precheck(
  context: Context,
  subject: Subject,
  connector: Connector,
  hands: Hands,
  parent: Sigkey | null,
  { operation, actor }: How,
  signal: AbortSignal,
): Promise<ChangeAnswer | VerifyAnswer | undefined> {
  const step = { operation: 'precheck', lifts: operation === 'reconcile' } as const;
  const may = await perform(context, subject, connector, hands, step, 'precheck', actor, signal);
  await noteOwnRefusal(context, subject, hands, may);
  if (may.said !== 'confirmed') return may;
  if (parent === null) return undefined;
  const [current] = await tryCandidates(context, subject, [parent], actor, signal);
  return current?.answer === 'accepted' ? undefined : current;
}

/** Intent first: sealed value, fact, places and audit event are durable before the target hears anything. */
async function commitIntent(
  context: Context,
  subject: Subject,
  connector: Connector,
  parent: Sigkey | null,
  lease: Lease,
  tag: Tag,
  fresh: Fresh,
  { fallback = false, decides }: How,
): Promise<void> {
  const { sigkey, actor } = tag;
  const account = subject.account.id;
  const createdAt = context.clock.now();
  await commit(context, 'intent', async (tx) => {
    if (!(await stillLeased(tx, account, lease.token)))
      throw new RotationError('rotation.lease-lost', subject.account.label);
    await decides?.(tx);
    await context.vault.store(tx, { account, sigkey, credential: fresh.stored, origin: 'generated', actor });
    await addRandomization(tx, context.vault, { sigkey, account, parent, node: context.node, createdAt });
    await nameLease(tx, account, lease.token, sigkey);
    await record(tx, actor, {
      type: 'rotation.started',
      about: { account, target: subject.account.target.id, sigkey },
      details: {
        connector: connector.name,
        cause: tag.trigger,
        ...(parent === null ? {} : { parent }),
        ...(fallback ? { fallback } : {}),
      },
    });
  });
}

/** Says what was found on the target before anything was drawn, as an attempt that came to nothing. */
export async function refuseChecked(
  context: Context,
  subject: Subject,
  fault: ChangeAnswer | VerifyAnswer,
  by: { readonly trigger: string; readonly actor: Actor; readonly started: number },
): Promise<RotationRefusal> {
  const account = subject.account.id;
  const { class: kind, words } = fault;
  await commit(context, 'attempt', async (tx) => {
    const ended = context.clock.now();
    const { trigger, actor, started } = by;
    const note = { account, trigger, actor, started, ended, sigkey: null, message: words };
    await noteAttempt(tx, { ...note, result: 'skipped', class: kind });
    const about = { account, target: subject.account.target.id };
    await record(tx, by.actor, { type: 'rotation.skipped', about, details: { reason: `${kind}: ${words}` } });
  });
  return { ...turnDown('rotation.precheck-failed', words), class: kind, remedy: remedyOf(kind) };
}

const codes = {
  disabled: 'rotation.disabled',
  'no-connector': 'rotation.no-connector',
  conflicted: 'rotation.conflicted',
  changing: 'rotation.changing',
  'in-use': 'rotation.in-use',
  'nothing-recorded': 'rotation.nothing-recorded',
  'not-due': 'rotation.not-due',
  'given-up': 'rotation.not-due',
  'outside-window': 'rotation.not-due',
  retrying: 'rotation.not-due',
  'not-managing': 'rotation.not-managing',
  'managing-down': 'rotation.managing-down',
  'not-ready': 'rotation.not-ready',
} as const satisfies Record<Because, string>;

/** Says why not, in the audit trail too; nothing was done and nothing is lost: the plan asks again. */
export async function skipped(
  context: Context,
  subject: Subject,
  why: Because,
  actor: Actor,
): Promise<RotationRefusal> {
  const about = { account: subject.account.id, target: subject.account.target.id };
  await commit(context, 'attempt', (tx) =>
    record(tx, actor, { type: 'rotation.skipped', about, details: { reason: why } }),
  );
  const { label } = subject.account;
  if (why !== 'not-managing') return turnDown(codes[why], label);
  const { node } = await context.peers.mayDecide(subject.policy.id);
  return turnDown(codes[why], node === null ? label : `${label}: ${node}`);
}

/**
 * Keeps sessions from starting on a value that is being replaced; none where the account is rotated while in use. It ends
 * with its disposal, but not while a change may still be landing: then it stands as long as the lease.
 */
export async function holdIfFree(
  context: Context,
  subject: Subject,
  lease: Lease,
): Promise<AsyncDisposable | undefined | 'in-use'> {
  if (!subject.skipWhileInUse) return undefined;
  const { id } = subject.account;
  const held = await holdExclusively(context.db, id, { kind: 'rotation', subject: holdSubject(id) });
  if (isRefusal(held)) return 'in-use';
  return { [Symbol.asyncDispose]: async () => (lease.abandoned ? undefined : await held.release()) };
}

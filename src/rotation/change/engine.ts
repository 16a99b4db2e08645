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
import { inTransaction } from '../../db/db.ts';
import { type Hold, holdExclusively, releaseHoldsOf } from '../../vault/vault.ts';
import { type Hands, perform, verifyStored } from './ask.ts';
import type { ChangeAnswer, Connector, VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { RotationError } from '../errors.ts';
import { find } from './evidence.ts';
import { drawFresh, type Fresh } from './fresh.ts';
import { type Lease, nameLease, stillLeased, takeLease } from '../ledger/lease.ts';
import { addRandomization } from '../ledger/ledger.ts';
import { noteAttempt, type Tag, writeOutcome } from './outcome.ts';
import { type Because, plan, type Trigger } from '../plan/next.ts';
import { settlePending } from './pending.ts';
import { questionOf } from './question.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import { remedyOf } from '../remedies.ts';
import type { RotationResult } from '../result.ts';
import { type Subject, subjectOf } from './subject.ts';

/** See `Rotation.rotate`. */
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
  if (lease === undefined) return skipped(context, subject, 'changing', actor);
  // Under the lease, a hold of an earlier change is a dead process's.
  await releaseHoldsOf(context.db, { subject: holdSubject(id) });
  await settlePending(context, subject, lease, lease.signal);

  const question = await questionOf(context, subject, { demanded: trigger === 'on-demand', mine: true });
  const action = plan(question)[0];
  if (action?.kind !== 'randomize')
    return skipped(context, subject, action !== undefined && 'because' in action ? action.because : 'changing', actor);
  const held = await holdIfFree(context, subject);
  if (held === 'in-use') return skipped(context, subject, 'in-use', actor);
  await using _ = held;
  return await randomize(context, subject, question.fold.root, lease, { trigger, actor }, lease.signal);
}

async function randomize(
  context: Context,
  subject: Subject,
  parent: Sigkey | null,
  lease: Lease,
  by: { readonly trigger: Trigger; readonly actor: Actor },
  signal: AbortSignal,
): Promise<RotationResult | RotationRefusal> {
  const { account, connector } = subject;
  const started = context.clock.now();
  if (connector === undefined) return skipped(context, subject, 'no-connector', by.actor);
  const hands = handsOf(subject, parent);
  if (hands === undefined) return skipped(context, subject, 'nothing-recorded', by.actor);

  const fault = await precheck(context, subject, connector, hands, parent, by.actor, signal);
  if (fault !== undefined) return refuseChecked(context, subject, fault, { ...by, started });

  using fresh = await drawFresh(context, subject, connector);
  const tag: Tag = { sigkey: newId<Sigkey>(), ...by, started };
  await commitIntent(context, subject, connector, parent, lease, tag, fresh);
  try {
    const step = { operation: 'change', fresh: fresh.sent } as const;
    const answer = await perform(context, subject, connector, hands, step, tagOf(tag.sigkey), by.actor, signal);
    const finding = await find(
      context,
      subject,
      { sigkey: tag.sigkey, old: parent, answer, fenced: false },
      by.actor,
      signal,
    );
    return await writeOutcome(context, subject, lease, tag, finding);
  } catch (error) {
    // What the target has is not known, and the change may still be landing: the lease runs out first, then somebody looks.
    lease.abandon();
    context.log.warn({ account: account.id, sigkey: tag.sigkey }, `a change was broken off: ${wordsOf(error)}`);
    throw error;
  }
}

/** The name of a change on its target. */
export function tagOf(sigkey: Sigkey): string {
  return `rot-${sigkey}`;
}

/** By whose current value the change is made; undefined if that account has none. */
function handsOf({ account, admin }: Subject, parent: Sigkey | null): Hands | undefined {
  if (admin !== undefined) return admin.current === null ? undefined : { account: admin, sigkey: admin.current };
  return parent === null ? undefined : { account, sigkey: parent };
}

/** W-30: who changes the value may do so, and the current value is right. Nothing has been generated yet. */
async function precheck(
  context: Context,
  subject: Subject,
  connector: Connector,
  hands: Hands,
  parent: Sigkey | null,
  actor: Actor,
  signal: AbortSignal,
): Promise<ChangeAnswer | VerifyAnswer | undefined> {
  const may = await perform(context, subject, connector, hands, { operation: 'precheck' }, 'precheck', actor, signal);
  if (may.said !== 'confirmed') return may;
  if (parent === null) return undefined;
  const current = await verifyStored(context, subject, parent, actor, signal);
  return current.answer === 'accepted' ? undefined : current;
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
): Promise<void> {
  const { sigkey, actor } = tag;
  const account = subject.account.id;
  const createdAt = context.clock.now();
  await inTransaction(context.db, async (tx) => {
    if (!(await stillLeased(tx, account, lease.token)))
      throw new RotationError('rotation.lease-lost', subject.account.label);
    await context.vault.store(tx, { account, sigkey, credential: fresh.stored, origin: 'generated', actor });
    await addRandomization(tx, context.vault, { sigkey, account, parent, node: context.node, createdAt });
    await nameLease(tx, account, lease.token, sigkey);
    await record(tx, actor, {
      type: 'rotation.started',
      about: { account, target: subject.account.target.id, sigkey },
      details: { connector: connector.name, cause: tag.trigger, ...(parent === null ? {} : { parent }) },
    });
  });
}

async function refuseChecked(
  context: Context,
  subject: Subject,
  fault: ChangeAnswer | VerifyAnswer,
  by: { readonly trigger: string; readonly actor: Actor; readonly started: number },
): Promise<RotationRefusal> {
  const account = subject.account.id;
  const { class: kind, words } = fault;
  await inTransaction(context.db, async (tx) => {
    const ended = context.clock.now();
    await noteAttempt(tx, { account, ...by, ended, result: 'skipped', class: kind, sigkey: null, message: words });
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
  'not-managing': 'rotation.not-due',
  'managing-down': 'rotation.not-due',
} as const satisfies Record<Because, string>;

/** Says why not, in the audit trail too; nothing was done and nothing is lost: the plan asks again. */
async function skipped(context: Context, subject: Subject, why: Because, actor: Actor): Promise<RotationRefusal> {
  const about = { account: subject.account.id, target: subject.account.target.id };
  await record(context.db, actor, { type: 'rotation.skipped', about, details: { reason: why } });
  return turnDown(codes[why], subject.account.label);
}

function holdSubject(account: AccountId): string {
  return `rotation of ${account}`;
}

/** Keeps sessions from starting on a value that is being replaced; none where the account is rotated while in use. */
async function holdIfFree(context: Context, subject: Subject): Promise<Hold | undefined | 'in-use'> {
  if (!subject.skipWhileInUse) return undefined;
  const { id } = subject.account;
  const held = await holdExclusively(context.db, id, { kind: 'rotation', subject: holdSubject(id) });
  return isRefusal(held) ? 'in-use' : held;
}

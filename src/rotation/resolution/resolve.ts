/**
 * Which of several values a target has, found out by logins when somebody asks for a verification (B-19 … B-23). It
 * decides only when exactly one candidate is accepted and every other one refused: two that work are as good as none,
 * and a target that cannot be asked says nothing. Nothing on the target changes, and no value is thrown away.
 */
import type { Actor } from '../../audit/audit.ts';
import { record } from '../../audit/audit.ts';
import type { Sigkey } from '../../base/ids.ts';
import { inTransaction } from '../../db/db.ts';
import { verifyStored } from '../change/ask.ts';
import type { VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { RotationError } from '../errors.ts';
import { type Lease, stillLeased } from '../ledger/lease.ts';
import { addResolution, foldOf } from '../ledger/ledger.ts';
import { noteAttempt } from '../change/outcome.ts';
import type { Facts } from '../plan/facts.ts';
import { remedyOf } from '../remedies.ts';
import type { VerifyResult } from '../result.ts';
import type { Subject } from '../change/subject.ts';

interface Tried extends VerifyAnswer {
  readonly sigkey: Sigkey;
}

/** Tries every candidate of a conflicted account, newest first. The caller has the lease, so nothing else changes it. */
export async function resolveByLogins(
  context: Context,
  subject: Subject,
  lease: Lease,
  actor: Actor,
): Promise<VerifyResult> {
  const started = context.clock.now();
  const { account, verifier } = subject;
  const { facts, fold } = await foldOf(context.db, account.id);
  // A change that was cut off may still be landing; the target itself ends it after its time.
  const quiet = lastUncertain(facts) + (context.timing.targetSeconds + 2) * 1000 - started;
  if (quiet > 0) await context.clock.sleep(quiet, lease.signal);

  const tried: Tried[] = [];
  for (const sigkey of fold.candidates.toReversed()) {
    const answer = await verifyStored(context, subject, sigkey, actor, lease.signal);
    tried.push({ sigkey, ...answer });
    // What is not known of one is not known of the account; more logins would only count against it.
    if (answer.answer === 'unknown') break;
  }
  const result = resultOf(tried);
  const winner = result.answer === 'accepted' ? tried.find((one) => one.answer === 'accepted') : undefined;
  await inTransaction(context.db, async (tx) => {
    if (!(await stillLeased(tx, account.id, lease.token)))
      throw new RotationError('rotation.lease-lost', account.label);
    const at = context.clock.now();
    const about = { account: account.id, target: account.target.id };
    for (const { sigkey, answer } of tried)
      await record(tx, actor, {
        type: 'rotation.verified',
        about: { ...about, sigkey },
        details: { connector: verifier.name, answer },
      });
    if (winner !== undefined) {
      const { node } = context;
      const seen = facts.randomizations.map((fact) => fact.sigkey).filter((one) => fold.status.get(one) !== 'P');
      const decision = { kind: 'root', root: winner.sigkey, seen } as const;
      const tested = tried.map(({ sigkey, answer }) => ({ sigkey, answer }));
      const requester = JSON.stringify(actor);
      await addResolution(tx, context.vault, {
        account: account.id,
        node,
        action: 'A',
        decision,
        tested,
        requester,
        at,
      });
      await record(tx, actor, {
        type: 'rotation.resolved',
        about: { ...about, sigkey: winner.sigkey },
        details: { tried: tested.length, reason: result.words },
      });
    }
    await noteAttempt(tx, {
      account: account.id,
      trigger: 'on-demand',
      actor,
      started,
      ended: at,
      result: 'verified',
      class: result.class === 'none' ? null : result.class,
      sigkey: winner?.sigkey ?? null,
      message: result.words,
    });
  });
  return result;
}

function lastUncertain(facts: Facts): number {
  return Math.max(0, ...facts.outcomes.flatMap(({ status, at }) => (status === 'U' ? [at] : [])));
}

function resultOf(tried: readonly Tried[]): VerifyResult {
  const unknown = tried.find((one) => one.answer === 'unknown');
  if (unknown !== undefined) {
    const words = `the target could not be asked which of ${tried.length} or more values it has: ${unknown.words}`;
    return { answer: 'unknown', class: unknown.class, words, remedy: remedyOf(unknown.class) };
  }
  const accepted = tried.filter((one) => one.answer === 'accepted').length;
  if (accepted === 1) {
    const words = `one of ${tried.length} values works and the others do not; it is current and the conflict is settled`;
    return { answer: 'accepted', class: 'none', words, remedy: '' };
  }
  const words =
    accepted === 0
      ? `none of ${tried.length} values works; the account stays conflicted`
      : `${accepted} of ${tried.length} values work, so it is not known which one holds; the account stays conflicted`;
  const remedy = 'set a value on the target by hand and store it with `sallyport account set ACCOUNT`';
  return {
    answer: accepted === 0 ? 'rejected' : 'unknown',
    class: accepted === 0 ? 'authentication' : 'none',
    words,
    remedy,
  };
}

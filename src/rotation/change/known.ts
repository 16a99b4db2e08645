/**
 * Recording a value that the target has already: the way in for every account, and the way out of a conflict.
 * The target is asked first. What works is confirmed and current, and decides a conflict, because somebody named the value
 * and the target agreed. What was not asked about is uncertain: the account is conflicted until a value is proven.
 *
 * INVARIANT: what the value hangs below, and what it decides, is what was known before the target was asked: whatever
 * comes in meanwhile may be newer than the answer.
 */
import type { Actor } from '../../audit/audit.ts';
import { record } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import type { AccountId, Sigkey } from '../../base/ids.ts';
import { newId } from '../../base/new-id.ts';
import type { Credential } from '../../vault/vault.ts';
import { verifyValue } from './ask.ts';
import type { VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { RotationError } from '../errors.ts';
import { type Lease, stillLeased, takeLease } from '../ledger/lease.ts';
import { addOutcome, addRandomization, addResolution, foldOf } from '../ledger/ledger.ts';
import { clearToDraw, untilLanded } from './landing.ts';
import { counts, recordedWithLogin, writeRefusals } from './logins.ts';
import { noteAttempt } from './outcome.ts';
import { decideRoot } from '../plan/resolve.ts';
import { commit } from '../points.ts';
import { settlePending } from './pending.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import { announceLook } from './wishes.ts';
import type { RotationResult } from '../result.ts';
import { type Subject, subjectOf } from './subject.ts';

/** See `Rotation.recordKnown`. */
export async function recordKnown(
  context: Context,
  id: AccountId,
  credential: Credential,
  how: { readonly unverified: boolean },
  actor: Actor,
  signal: AbortSignal,
): Promise<RotationResult | RotationRefusal> {
  const started = context.clock.now();
  // Where nobody is to be asked, it does not matter whether anybody could be.
  const subject = await subjectOf(context.db, id, how.unverified ? 'if it can be' : 'must be');
  if (isRefusal(subject)) return subject;
  if (credential.kind !== subject.account.kind) return turnDown('rotation.credential-kind', subject.account.label);
  const { holder, clock, timing } = context;
  await using lease = await takeLease(context.db, id, { holder, clock, ms: timing.leaseMs }, signal);
  if (lease === undefined) return turnDown('rotation.changing', subject.account.label);
  await settlePending(context, subject, lease, lease.signal);

  // Who knows the value can say so although nobody ends what may be left: then its time has passed at least.
  const { fault } = await clearToDraw(context, subject, actor, lease.signal);
  if (fault !== undefined) await untilLanded(context, id, lease.signal);
  const before = await foldOf(context.db, id);
  const asked = how.unverified ? undefined : await verifyValue(context, subject, credential, actor, lease.signal);
  if (asked !== undefined && asked.answer !== 'accepted') {
    const code = asked.answer === 'rejected' ? 'rotation.credential-rejected' : 'rotation.credential-unchecked';
    await noteRefused(context, subject, asked, { actor, started });
    return { ...turnDown(code, asked.words), class: asked.class };
  }
  return await write(context, subject, lease, credential, before, asked, { actor, started });
}

/** Whoever enters values tries passwords at a target, so a refused one counts against its lock-out and is in the trail. */
async function noteRefused(
  context: Context,
  subject: Subject,
  asked: VerifyAnswer,
  by: { readonly actor: Actor; readonly started: number },
): Promise<void> {
  const { answer, class: kind, words } = asked;
  const account = subject.account.id;
  await commit(context, 'attempt', async (tx) => {
    if (counts(asked)) await writeRefusals(context, subject, 1, tx);
    const about = { account, target: subject.account.target.id };
    const details = { reason: `an entered value was not taken: ${answer}, ${kind}` };
    await record(tx, by.actor, { type: 'rotation.skipped', about, details });
    const note = { account, trigger: 'known', ...by, ended: context.clock.now(), sigkey: null, message: words };
    await noteAttempt(tx, { ...note, result: 'skipped', class: kind });
  });
}

async function write(
  context: Context,
  subject: Subject,
  lease: Lease,
  credential: Credential,
  before: Awaited<ReturnType<typeof foldOf>>,
  asked: VerifyAnswer | undefined,
  by: { readonly actor: Actor; readonly started: number },
): Promise<RotationResult> {
  const { vault, node, clock } = context;
  const account = subject.account.id;
  const sigkey = newId<Sigkey>();
  const at = clock.now();
  const status = asked === undefined ? 'U' : 'C';
  const words = asked === undefined ? 'recorded without asking the target' : recordedWithLogin;
  await commit(context, 'known value', async (tx) => {
    if (!(await stillLeased(tx, account, lease.token)))
      throw new RotationError('rotation.lease-lost', subject.account.label);
    await vault.store(tx, { account, sigkey, credential, origin: 'entered', actor: by.actor });
    await addRandomization(tx, vault, { sigkey, account, parent: before.fold.root, node, createdAt: at });
    const retcode = asked === undefined ? 'unverified' : 'none';
    await addOutcome(tx, vault, { account, sigkey, node, status, at, retcode, message: words });
    if (status === 'C' && before.fold.conflict !== 'none') {
      const tested = [{ sigkey, answer: 'accepted' }];
      const decision = decideRoot(before.facts, sigkey, before.fold);
      const requester = JSON.stringify(by.actor);
      await addResolution(tx, vault, { account, node, action: 'M', decision, tested, requester, at });
    }
    const about = { account, target: subject.account.target.id, sigkey };
    await record(tx, by.actor, { type: 'rotation.known-recorded', about, details: { reason: words } });
    const note = { account, trigger: 'known', ...by, ended: clock.now(), sigkey, message: words };
    await noteAttempt(tx, { ...note, result: 'known-recorded', class: null });
    await announceLook(tx, account);
  });
  const milliseconds = clock.now() - by.started;
  if (status === 'C') return { status: 'confirmed', sigkey, milliseconds, words };
  return {
    status: 'uncertain',
    sigkey,
    class: 'none',
    words: `${words}; the account is conflicted until a value is proven`,
    remedy: 'record it again without `unverified` as soon as the target can be asked',
    milliseconds,
  };
}

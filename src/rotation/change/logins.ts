/**
 * Trying values at the target so that nothing is ever locked (B-22). Refused logins of ours are counted over half an
 * hour; when an account's budget is spent, an administrator looks at what the target keeps, or the answer is `unknown`.
 */
import type { Actor } from '../../audit/audit.ts';
import type { Sigkey } from '../../base/ids.ts';
import type { Tx } from '../../db/db.ts';
import { spent } from '../connectors/budget.ts';
import type { ChangeAnswer, VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { commit } from '../points.ts';
import { type Hands, overseerOf, unopened, verifyCandidates, verifyStored } from './ask.ts';
import type { Subject } from './subject.ts';

/** What the log of attempts says of a value that was entered and that the target accepted. */
export const recordedWithLogin = 'recorded; a login with it was accepted';

/** Longer than what targets usually count over. */
const windowMs = 30 * 60_000;

/**
 * A real login with a stored value, on a connection of its own. One that was cut off is tried once more: one broken
 * connection is no reason to call a value uncertain. With the budget spent it is as `tryCandidates`; not so for a `proof`,
 * the one login after the target has acknowledged the value, without which nothing could ever be confirmed again. Where
 * refusals mislead, what the target keeps decides instead of one.
 */
export async function tryLogin(
  context: Context,
  subject: Subject,
  sigkey: Sigkey,
  actor: Actor,
  how: { readonly proof: boolean },
  signal: AbortSignal,
): Promise<VerifyAnswer> {
  if (
    !how.proof &&
    subject.verifier.capabilities.adminverify !== 'logins' &&
    (await budgetLeft(context, subject)) <= 0
  ) {
    const [answer] = await tryCandidates(context, subject, [sigkey], actor, signal);
    return answer ?? { answer: 'unknown', class: 'unexpected', words: 'no answer' };
  }
  const first = await verifyStored(context, subject, sigkey, actor, signal);
  const again = first.answer === 'unknown' && first.class === 'cut';
  const answer = again ? await verifyStored(context, subject, sigkey, actor, signal) : first;
  if (counts(answer)) await noteRefusals(context, subject, 1);
  if (answer.answer === 'accepted' || subject.verifier.refusalsMislead !== true || overseerOf(subject) === undefined)
    return answer;
  const [stored] = await tryCandidates(context, subject, [sigkey], actor, signal);
  return stored?.how === 'stored' ? stored : answer;
}

/** So many values are open at a time, and are asked about under one deadline. */
const atOnce = 20;

/**
 * Which of several stored values the target has, within the budget; one answer each, in their order. A few at a time: when
 * the target could not be asked about one of them, the rest is not opened, and what it refused before counts.
 */
export async function tryCandidates(
  context: Context,
  subject: Subject,
  sigkeys: readonly Sigkey[],
  actor: Actor,
  signal: AbortSignal,
): Promise<readonly VerifyAnswer[]> {
  const answers: VerifyAnswer[] = [];
  for (let at = 0; at < sigkeys.length; at += atOnce) {
    const some = sigkeys.slice(at, at + atOnce);
    const said = await trySome(context, subject, some, actor, signal);
    answers.push(...said);
    // Not for a value that cannot be opened here: the target may well answer about the others.
    const silent = said.find((one) => one.answer === 'unknown' && one !== unopened);
    if (silent !== undefined) return sigkeys.map((_, place) => answers[place] ?? silent);
  }
  return answers;
}

async function trySome(
  context: Context,
  subject: Subject,
  sigkeys: readonly Sigkey[],
  actor: Actor,
  signal: AbortSignal,
): Promise<readonly VerifyAnswer[]> {
  const left = Math.max(0, await budgetLeft(context, subject));
  // Where nobody may look and no login is left, opening them would be in vain.
  if (left === 0 && countsRefusals(subject) && overseerOf(subject) === undefined) return sigkeys.map(() => spent);
  const answers = await verifyCandidates(context, subject, sigkeys, left, actor, signal);
  const refused = answers.filter(counts).length;
  if (refused > 0) await noteRefusals(context, subject, refused);
  return answers;
}

/** Refused logins since the last one that was accepted: with that one targets begin to count anew, and so do we. */
async function budgetLeft({ db, clock }: Context, { account, loginBudget }: Subject): Promise<number> {
  const accepted = await db
    .selectFrom('rotation_attempt')
    .select((row) => row.fn.max('ended_at').as('at'))
    .where('account_id', '=', account.id)
    .where((is) =>
      is.or([
        is('result', '=', 'confirmed'),
        is.and([is('result', '=', 'known-recorded'), is('message', '=', recordedWithLogin)]),
      ]),
    )
    .executeTakeFirst();
  const since = Math.max(clock.now() - windowMs, accepted?.at?.getTime() ?? 0);
  const { count } = await db
    .selectFrom('refused_login')
    .select((row) => row.fn.countAll<number>().as('count'))
    .where('account_id', '=', account.id)
    .where('at', '>', new Date(since))
    .executeTakeFirstOrThrow();
  return loginBudget - Number(count);
}

/** Whether the target holds this answer against its lock-out, for all that is known. */
export function counts(answer: VerifyAnswer): boolean {
  return (answer.answer === 'rejected' && answer.how !== 'stored') || answer.counts === true;
}

async function noteRefusals(context: Context, subject: Subject, count: number): Promise<void> {
  if (countsRefusals(subject))
    await commit(context, 'refused logins', (tx) => writeRefusals(context, subject, count, tx));
}

/** An account that changes itself logs in for that, and what the target refuses there counts like any other login. */
export async function noteOwnRefusal(
  context: Context,
  subject: Subject,
  hands: Hands,
  answer: ChangeAnswer,
): Promise<void> {
  if (hands.account.id === subject.account.id && answer.class === 'authentication')
    await noteRefusals(context, subject, 1);
}

/** A target that locks nobody counts nothing. */
function countsRefusals({ verifier }: Subject): boolean {
  return verifier.capabilities.adminverify !== 'logins';
}

/** In the caller's transaction. */
export async function writeRefusals(context: Context, subject: Subject, count: number, tx: Tx): Promise<void> {
  if (!countsRefusals(subject)) return;
  const at = new Date(context.clock.now());
  const rows = Array.from({ length: count }, () => ({ account_id: subject.account.id, at }));
  await tx.insertInto('refused_login').values(rows).execute();
}

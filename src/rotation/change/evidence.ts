/**
 * Finding out what a target has after a change was tried: new value, then, only where that is needed, the old one; keys
 * that are proven take their predecessors away. Ends in one status and the words for it. Nothing is written here.
 */
import type { Actor } from '../../audit/audit.ts';
import type { Sigkey } from '../../base/ids.ts';
import { versionsOf } from '../../vault/vault.ts';
import { type Hands, perform, verifyStored } from './ask.ts';
import type { AnswerClass, ChangeAnswer, VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import type { OutcomeStatus } from '../plan/facts.ts';
import { judge, needsOld, type Verification } from '../plan/verdict.ts';
import type { Subject } from './subject.ts';

export interface Finding {
  readonly status: OutcomeStatus;
  readonly class: AnswerClass;
  readonly words: string;
}

export interface Tried {
  readonly sigkey: Sigkey;
  /** The value before, if there was one. */
  readonly old: Sigkey | null;
  readonly answer: ChangeAnswer;
  /** The change's time on the target is over, whatever became of its connection. */
  readonly fenced: boolean;
}

/** A change that ended by itself cannot land later; one that was cut off can, until the target's own time is over. */
export async function find(
  context: Context,
  subject: Subject,
  tried: Tried,
  actor: Actor,
  signal: AbortSignal,
): Promise<Finding> {
  const { answer } = tried;
  if (answer.said === 'unsent') return { status: 'F', class: answer.class, words: answer.words };
  const fresh = await tryStored(context, subject, tried.sigkey, actor, signal);
  const retires = subject.connector?.retires === true;
  const former = retires && fresh.answer === 'accepted' ? await formerKeys(context, subject, tried.sigkey) : [];
  const left = former.length > 0 ? await retire(context, subject, tried.sigkey, former, actor, signal) : undefined;

  let old: Verification | 'none' = 'none';
  if (tried.old !== null && needsOld(answer.said, fresh.answer, retires))
    old = (await tryStored(context, subject, tried.old, actor, signal)).answer;
  const fenced = tried.fenced || answer.said === 'failed';
  const status = judge({ said: answer.said, fresh: fresh.answer, old, oldMustFail: retires, fenced });
  if (status === 'U' && !fenced && fresh.answer === 'rejected' && old === 'accepted') {
    // It looks as if nothing happened, but the command may still be running there. Its own time-out ends it.
    await context.clock.sleep((context.timing.targetSeconds + 2) * 1000, signal);
    return find(context, subject, { ...tried, fenced: true }, actor, signal);
  }
  return { status, class: classOf(status, answer, fresh.class, left), words: wordsOf(answer, fresh.answer, old, left) };
}

/** A login that was cut off is tried once more: one broken connection is no reason to call a value uncertain. */
async function tryStored(
  context: Context,
  subject: Subject,
  sigkey: Sigkey,
  actor: Actor,
  signal: AbortSignal,
): Promise<VerifyAnswer> {
  const first = await verifyStored(context, subject, sigkey, actor, signal);
  const again = first.answer === 'unknown' && first.class === 'cut';
  return again ? await verifyStored(context, subject, sigkey, actor, signal) : first;
}

/** Public halves of every other key the account ever had: what an earlier run left behind goes too. */
async function formerKeys(context: Context, subject: Subject, sigkey: Sigkey): Promise<Uint8Array[]> {
  const versions = await versionsOf(context.db, subject.account.id);
  const mine = versions.find((version) => version.sigkey === sigkey)?.publicKey;
  return versions.flatMap(({ publicKey }) =>
    publicKey === undefined || (mine !== undefined && Buffer.compare(publicKey, mine) === 0) ? [] : [publicKey],
  );
}

/** Twice if need be: taking away what is gone already does no harm. */
async function retire(
  context: Context,
  subject: Subject,
  sigkey: Sigkey,
  former: readonly Uint8Array[],
  actor: Actor,
  signal: AbortSignal,
): Promise<ChangeAnswer> {
  const { connector } = subject;
  const hands = handsAfter(subject, sigkey);
  if (connector === undefined || hands === undefined)
    return { said: 'unsent', class: 'unsupported', words: 'nobody can take the former key away' };
  const step = { operation: 'retire', former } as const;
  const tag = `rot-${sigkey}`;
  const first = await perform(context, subject, connector, hands, step, tag, actor, signal);
  return first.said === 'confirmed' ? first : perform(context, subject, connector, hands, step, tag, actor, signal);
}

/** Once the new value works, an account changes itself with that one. */
function handsAfter(subject: Subject, sigkey: Sigkey): Hands | undefined {
  const { account, admin } = subject;
  if (admin === undefined) return { account, sigkey };
  return admin.current === null ? undefined : { account: admin, sigkey: admin.current };
}

function classOf(
  status: OutcomeStatus,
  answer: ChangeAnswer,
  fresh: AnswerClass,
  left: ChangeAnswer | undefined,
): AnswerClass {
  if (status === 'C') return 'none';
  if (answer.class !== 'none') return answer.class;
  return left !== undefined && left.class !== 'none' ? left.class : fresh === 'none' ? 'unexpected' : fresh;
}

function wordsOf(
  answer: ChangeAnswer,
  fresh: Verification,
  old: Verification | 'none',
  left: ChangeAnswer | undefined,
): string {
  const said = { confirmed: 'acknowledged', failed: 'refused', uncertain: 'cut off', unsent: 'not sent' }[answer.said];
  const parts = [
    `the change was ${said}`,
    `a login with the new value was ${fresh === 'unknown' ? 'not possible' : fresh}`,
  ];
  if (old !== 'none') parts.push(`with the old one ${old === 'unknown' ? 'not possible' : old}`);
  if (left !== undefined && left.said !== 'confirmed') parts.push(`taking the former key away: ${left.words}`);
  if (answer.words !== '') parts.push(answer.words);
  return parts.join('; ');
}

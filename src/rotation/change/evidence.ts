/**
 * Finding out what a target has after a change was tried. An acknowledged change is proved by a login with the new value;
 * after anything else what is left of it is ended first, and then new and old value are tried. Keys that are proven take
 * their predecessors away. Ends in one status and the words for it; of a status nothing is written here.
 */
import type { Actor } from '../../audit/audit.ts';
import type { Sigkey } from '../../base/ids.ts';
import { versionsOf } from '../../vault/vault.ts';
import type { AnswerClass, ChangeAnswer, VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { foldOf } from '../ledger/ledger.ts';
import type { OutcomeStatus } from '../plan/facts.ts';
import { judge, needsOld, type Said, type Verification } from '../plan/verdict.ts';
import { type Hands, perform } from './ask.ts';
import { endChange, landingMs } from './landing.ts';
import { tryCandidates, tryLogin } from './logins.ts';
import { type Subject, tagOf } from './subject.ts';

export interface Finding {
  readonly status: OutcomeStatus;
  readonly class: AnswerClass;
  readonly words: string;
}

export interface Tried {
  readonly sigkey: Sigkey;
  /** The value before, if there was one. */
  readonly old: Sigkey | null;
  /** By whose rights it was tried; undefined where nobody has them any more. */
  readonly hands: Hands | undefined;
  readonly answer: ChangeAnswer;
  /** The change's time on the target is over, whatever became of its connection. */
  readonly fenced: boolean;
}

/** A change that ended by itself cannot land later; one that was cut off can, until it is fenced or its time is over. */
export async function find(
  context: Context,
  subject: Subject,
  tried: Tried,
  actor: Actor,
  signal: AbortSignal,
): Promise<Finding> {
  const { answer, sigkey, old } = tried;
  if (answer.said === 'unsent') return { status: 'F', class: answer.class, words: answer.words };
  const saves = subject.connector?.capabilities.saves === true;
  const saved = answer.class !== 'unsaved' && !(saves && answer.said === 'uncertain');
  const cutOff = answer.said === 'uncertain' || !saved;
  const end = cutOff ? await endChange(context, subject, tried, actor, signal) : undefined;
  const ended = end?.said === 'confirmed';
  const fenced = tried.fenced || answer.said === 'failed' || ended;
  const durable = saved || ended;

  const retires = subject.connector?.retires === true;
  // Keys may both be live until the former ones are taken away, which the new one must prove itself for.
  const refused = end?.class === 'authentication' && isOwn(tried.hands, subject, old);
  const look = await lookAt(context, subject, answer.said, sigkey, retires ? null : old, refused, actor, signal);
  const { fresh } = look;
  const former = retires && fresh.answer === 'accepted' ? await formerKeys(context, subject, sigkey, old) : [];
  const left = former.length > 0 ? await retire(context, subject, sigkey, former, actor, signal) : undefined;
  const before = retires && old !== null ? await answerFor(context, subject, old, actor, signal) : look.old;

  const status = judge({ said: answer.said, fresh: fresh.answer, old: before, oldMustFail: retires, fenced, durable });
  if (status === 'U' && !fenced && durable && fresh.answer === 'rejected' && before !== 'rejected') {
    // It looks as if nothing happened, but the change may still be running there. Its own time-out ends it.
    await context.clock.sleep(landingMs(context.timing), signal);
    return find(context, subject, { ...tried, old, fenced: true }, actor, signal);
  }
  return {
    status,
    class: classOf(status, answer, fresh.class, left),
    words: wordsOf(answer, fresh.answer, before, left),
  };
}

interface Look {
  readonly fresh: VerifyAnswer;
  readonly old: Verification | 'none';
}

/** Whether what was done by these hands began with a login of the account itself with its value before. */
function isOwn(hands: Hands | undefined, { account }: Subject, old: Sigkey | null): boolean {
  return hands?.account.id === account.id && hands.sigkey === old && account.viaAccountId === null;
}

/**
 * The new value, and where that is needed the old one: by logins after an acknowledgement, else so that nothing is locked.
 * `refused`: the target has just refused a login with the old one, and one more would only count there.
 */
async function lookAt(
  context: Context,
  subject: Subject,
  said: Said,
  sigkey: Sigkey,
  old: Sigkey | null,
  refused: boolean,
  actor: Actor,
  signal: AbortSignal,
): Promise<Look> {
  if (said === 'confirmed') {
    const fresh = await tryLogin(context, subject, sigkey, actor, { proof: true }, signal);
    if (old === null || !needsOld(said, fresh.answer, false)) return { fresh, old: 'none' };
    return { fresh, old: await answerFor(context, subject, old, actor, signal) };
  }
  // The old one first: where it is accepted, what was refused before it no longer counts on most targets.
  const both = old === null || refused ? [sigkey] : [old, sigkey];
  const answers = await tryCandidates(context, subject, both, actor, signal);
  // One broken connection is no reason to call a value uncertain.
  const again = answers.some((one) => one.answer === 'unknown' && one.class === 'cut');
  const looked = again ? await tryCandidates(context, subject, both, actor, signal) : answers;
  const before = refused ? 'rejected' : (looked[0]?.answer ?? 'unknown');
  return { fresh: looked.at(-1) ?? nobody, old: old === null ? 'none' : before };
}

async function answerFor(
  context: Context,
  subject: Subject,
  sigkey: Sigkey,
  actor: Actor,
  signal: AbortSignal,
): Promise<Verification> {
  const [answer] = await tryCandidates(context, subject, [sigkey], actor, signal);
  return answer?.answer ?? 'unknown';
}

const nobody: VerifyAnswer = { answer: 'unknown', class: 'unexpected', words: 'nobody answered' };

/**
 * Public halves of the keys that a proven one takes away: all that are settled, so that what an earlier run left behind
 * goes too. INVARIANT: never one that is undecided, for another node may just be proving it: two that had heard of each
 * other's new key would take both away, and nobody could log in any more. And none once another value than the one it was
 * to replace is current: others went on meanwhile, and rely on what is there.
 */
async function formerKeys(
  context: Context,
  subject: Subject,
  sigkey: Sigkey,
  old: Sigkey | null,
): Promise<Uint8Array[]> {
  const { root, history, workingHistory } = (await foldOf(context.db, subject.account.id)).fold;
  if (root !== old && root !== sigkey) return [];
  const settled = new Set([...history, ...workingHistory]);
  const versions = await versionsOf(context.db, subject.account.id);
  const mine = versions.find((version) => version.sigkey === sigkey)?.publicKey;
  return versions.flatMap(({ sigkey: other, publicKey }) =>
    // The same key may have been entered under another name.
    !settled.has(other) || publicKey === undefined || (mine !== undefined && Buffer.compare(publicKey, mine) === 0)
      ? []
      : [publicKey],
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
  const tag = tagOf(sigkey);
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
    fresh === 'unknown' ? 'the new value could not be tried' : `the new value was ${fresh}`,
  ];
  if (old !== 'none') parts.push(old === 'unknown' ? 'the old one could not be tried' : `the old one was ${old}`);
  if (left !== undefined && left.said !== 'confirmed') parts.push(`taking the former key away: ${left.words}`);
  if (answer.words !== '') parts.push(answer.words);
  return parts.join('; ');
}

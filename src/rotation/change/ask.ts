/**
 * Asking the target: each question is a connector process with the secrets it needs, opened from the vault for that
 * question and zeroed after it. What cannot be asked is an answer too.
 */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal, wordsOf } from '../../base/errors.ts';
import type { Sigkey } from '../../base/ids.ts';
import { parsePrivateKey, signerFromPrivateKey } from '../../protocol/ssh/ssh.ts';
import { VaultError } from '../../vault/errors.ts';
import { type Account, accountById, type Credential } from '../../vault/vault.ts';
import type {
  ChangeAnswer,
  Connector,
  Login,
  LoginCredential,
  NewCredential,
  Task,
  VerifyAnswer,
  Work,
} from '../connectors/connector.ts';
import type { Answer, Job } from '../connectors/job.ts';
import type { Context } from '../context.ts';
import type { Said, Verification } from '../plan/verdict.ts';
import type { Question } from '../points.ts';
import type { Subject } from './subject.ts';

/** By whose value something is done: an administrator's current one, or one of the account's own. */
export interface Hands {
  readonly account: Account;
  readonly sigkey: Sigkey;
}

export type Step =
  | { readonly operation: 'fence' }
  /** `lifts`: a reconcile follows, so that a lock-out is no obstacle. */
  | { readonly operation: 'precheck'; readonly lifts?: boolean }
  | { readonly operation: 'change' | 'reconcile'; readonly fresh: NewCredential }
  | { readonly operation: 'retire'; readonly former: readonly Uint8Array[] };

/** A real login with a value that the caller has at hand. */
export async function verifyValue(
  context: Context,
  subject: Subject,
  credential: Credential,
  actor: Actor,
  signal: AbortSignal,
): Promise<VerifyAnswer> {
  const task = taskOf(context, subject);
  if (task === undefined) return unreached;
  using opened = new DisposableStack();
  const login = await loginOf(context, subject.account, credential, actor, signal, opened);
  if (login === undefined) return cannot;
  const job = { connector: subject.verifier.name, operation: 'verify', task, login } as const;
  return verificationOf(await ask(context, job, signal));
}

/** A real login with a stored value. */
export async function verifyStored(
  context: Context,
  subject: Subject,
  sigkey: Sigkey,
  actor: Actor,
  signal: AbortSignal,
): Promise<VerifyAnswer> {
  using credential = await context.vault.openVersion(subject.account.id, sigkey, 'verification', actor);
  return await verifyValue(context, subject, credential, actor, signal);
}

/**
 * Which of several stored values the target has, one answer each in their order, with at most `budget` refused logins.
 * An administrator, where there is one, may look at what the target keeps instead.
 */
export async function verifyCandidates(
  context: Context,
  subject: Subject,
  sigkeys: readonly Sigkey[],
  budget: number,
  actor: Actor,
  signal: AbortSignal,
): Promise<readonly VerifyAnswer[]> {
  const task = taskOf(context, subject);
  if (task === undefined) return sigkeys.map(() => unreached);
  using opened = new DisposableStack();
  const candidates: LoginCredential[] = [];
  const asked = new Map<Sigkey, number>();
  for (const sigkey of sigkeys) {
    const credential = await openable(context, subject, sigkey, actor);
    if (credential === undefined) continue;
    const candidate = await usable(opened.use(credential), signal);
    if (candidate === undefined) return sigkeys.map(() => cannot);
    asked.set(sigkey, candidates.push(candidate) - 1);
  }
  if (candidates.length === 0) return sigkeys.map(() => unopened);
  const overseer = overseerOf(subject);
  const admin =
    overseer?.current == null
      ? undefined
      : await storedLogin(context, { account: overseer, sigkey: overseer.current }, actor, signal, opened);
  const via = await viaOf(context, subject.account, actor, signal, opened);
  const answer = await ask(
    context,
    {
      connector: subject.verifier.name,
      operation: 'adminverify',
      task: { ...task, ...(via === undefined ? {} : { via }) },
      ...(admin === undefined ? {} : { admin }),
      candidates,
      budget,
    },
    signal,
  );
  return sigkeys.map((sigkey) => {
    const at = asked.get(sigkey);
    if (at === undefined) return unopened;
    return answer.each?.[at] ?? { ...verificationOf(answer), answer: 'unknown' };
  });
}

/** Who may look at what the target keeps, where there is somebody who has a value. */
export function overseerOf({ admin, reconciler }: Subject): Account | undefined {
  return [admin, reconciler].find((one) => one !== undefined && one.current !== null);
}

/** Said of a value that could not be asked about, because only its fact is here: nothing is known of it. */
export const unopened: VerifyAnswer = {
  answer: 'unknown',
  class: 'unsupported',
  words: 'this value cannot be opened here: it has not arrived, or its key was destroyed',
};

/** Undefined for a value that cannot be opened: the others are to be tried all the same. */
async function openable(
  context: Context,
  { account }: Subject,
  sigkey: Sigkey,
  actor: Actor,
): Promise<Awaited<ReturnType<Context['vault']['openVersion']>> | undefined> {
  try {
    return await context.vault.openVersion(account.id, sigkey, 'verification', actor);
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    context.log.warn({ account: account.id, sigkey }, `a value cannot be tried: ${wordsOf(error)}`);
    return undefined;
  }
}

/** One step of a change. `tag` names it on the target. */
export async function perform(
  context: Context,
  subject: Subject,
  connector: Connector,
  hands: Hands,
  step: Step,
  tag: string,
  actor: Actor,
  signal: AbortSignal,
): Promise<ChangeAnswer> {
  const task = taskOf(context, subject);
  if (task === undefined) return { ...unreached, said: 'unsent' };
  using opened = new DisposableStack();
  const login = await storedLogin(context, hands, actor, signal, opened);
  if (login === undefined) return { ...cannot, said: 'unsent' };
  const mode = hands.account.id === subject.account.id ? 'self' : 'admin';
  const { targetSeconds } = context.timing;
  const lifts = step.operation === 'precheck' && step.lifts === true ? { lifts: true } : {};
  const work: Work = { ...task, by: { mode, login }, tag, targetSeconds, ...lifts };
  return changeOf(await ask(context, { connector: connector.name, ...step, work }, signal));
}

/** The one way to a target, with its two points. */
async function ask(context: Context, job: Extract<Job, { operation: Question }>, signal: AbortSignal): Promise<Answer> {
  await context.at(`before ${job.operation}`);
  const answer = await context.run(job, { deadlineMs: context.timing.connectorMs }, signal);
  await context.at(`after ${job.operation}`);
  return answer;
}

const cannot: VerifyAnswer = {
  answer: 'unknown',
  class: 'unsupported',
  words: 'this kind of credential cannot log in there',
};

const unreached: VerifyAnswer = {
  answer: 'unknown',
  class: 'unreachable',
  words: 'the target is disabled, or has no service by which the account could be asked about',
};

/** Undefined where nobody can be asked. */
function taskOf({ plugins }: Context, { account, place, settings }: Subject): Task | undefined {
  if (place === undefined) return undefined;
  return { place, account: account.name, settings, ...(plugins === undefined ? {} : { plugins }) };
}

async function storedLogin(
  context: Context,
  { account, sigkey }: Hands,
  actor: Actor,
  signal: AbortSignal,
  opened: DisposableStack,
): Promise<Login | undefined> {
  const credential = opened.use(await context.vault.openVersion(account.id, sigkey, 'rotation', actor));
  return loginOf(context, account, credential, actor, signal, opened);
}

/** The login of an account with this value, through another account where it has one for that. */
async function loginOf(
  context: Context,
  account: Account,
  credential: Credential,
  actor: Actor,
  signal: AbortSignal,
  opened: DisposableStack,
): Promise<Login | undefined> {
  const candidate = await usable(credential, signal);
  if (candidate === undefined) return undefined;
  const login = { user: account.name, credential: candidate };
  if (account.viaAccountId === null) return login;
  const via = await viaOf(context, account, actor, signal, opened);
  return via === undefined ? undefined : { ...login, via };
}

/** Through whom an account logs in; undefined where there is nobody, or nobody who can. */
async function viaOf(
  context: Context,
  account: Account,
  actor: Actor,
  signal: AbortSignal,
  opened: DisposableStack,
): Promise<Login | undefined> {
  const first = account.viaAccountId === null ? undefined : await accountById(context.db, account.viaAccountId);
  // One step and no more: whoever is gone through logs in himself.
  if (first === undefined || first.current === null || first.viaAccountId !== null) return undefined;
  return storedLogin(context, { account: first, sigkey: first.current }, actor, signal, opened);
}

/** A credential as something that can log in; undefined for kinds that cannot. It is open as long as the credential is. */
async function usable(credential: Credential, signal: AbortSignal): Promise<LoginCredential | undefined> {
  if (credential.kind === 'password') return { kind: 'password', secret: credential.secret };
  if (credential.kind !== 'ssh-key') return undefined;
  const key = await parsePrivateKey(credential.privateKey, credential.passphrase, signal);
  return isRefusal(key) ? undefined : { kind: 'ssh-key', signer: signerFromPrivateKey(key.key) };
}

function changeOf({ outcome, class: kind, words }: Answer): ChangeAnswer {
  const known: readonly string[] = ['confirmed', 'failed', 'uncertain', 'unsent'] satisfies readonly Said[];
  return { said: known.includes(outcome) ? (outcome as Said) : 'uncertain', class: kind, words };
}

function verificationOf({ outcome, class: kind, words, counts }: Answer): VerifyAnswer {
  const known: readonly string[] = ['accepted', 'rejected', 'unknown'] satisfies readonly Verification[];
  const answer = known.includes(outcome) ? (outcome as Verification) : 'unknown';
  return { answer, class: kind, words, ...(counts === true ? { counts } : {}) };
}

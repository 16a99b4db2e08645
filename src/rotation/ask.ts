/**
 * Asking the target: each question is a connector process with the one secret it needs, opened from the vault for that
 * question and zeroed after it. What cannot be asked is an answer too.
 */
import type { Actor } from '../audit/audit.ts';
import { isRefusal } from '../base/errors.ts';
import type { Sigkey } from '../base/ids.ts';
import { parsePrivateKey, signerFromPrivateKey } from '../protocol/ssh/ssh.ts';
import type { Account, Credential } from '../vault/vault.ts';
import type {
  ChangeAnswer,
  Connector,
  LoginCredential,
  NewCredential,
  VerifyAnswer,
  Work,
} from './connectors/connector.ts';
import type { Answer } from './connectors/job.ts';
import type { Context } from './context.ts';
import type { Said, Verification } from './plan/verdict.ts';
import type { Subject } from './subject.ts';

/** Does something with a credential opened as a login, and closes it. */
async function withLogin<T>(
  credential: Credential,
  signal: AbortSignal,
  use: (login: LoginCredential) => Promise<T>,
): Promise<T | undefined> {
  if (credential.kind === 'password') return use({ kind: 'password', secret: credential.secret });
  if (credential.kind !== 'ssh-key') return undefined;
  const key = await parsePrivateKey(credential.privateKey, credential.passphrase, signal);
  return isRefusal(key) ? undefined : use({ kind: 'ssh-key', signer: signerFromPrivateKey(key.key) });
}

const noLogin: VerifyAnswer = {
  answer: 'unknown',
  class: 'unsupported',
  words: 'this kind of credential cannot log in by ssh',
};

/** A real login with a value that the caller has at hand. */
export async function verifyValue(
  context: Context,
  subject: Subject,
  credential: Credential,
  signal: AbortSignal,
): Promise<VerifyAnswer> {
  const { account, place, verifier } = subject;
  const answer = await withLogin(credential, signal, (login) =>
    context.run(
      { connector: verifier.name, operation: 'verify', place, login: { user: account.name, credential: login } },
      { deadlineMs: context.timing.connectorMs },
      signal,
    ),
  );
  return answer === undefined ? noLogin : verificationOf(answer);
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
  return await verifyValue(context, subject, credential, signal);
}

/** By whose value a change is performed: the administrator's current one, or the account's own `sigkey`. */
export interface Hands {
  readonly account: Account;
  readonly sigkey: Sigkey;
}

export type Step =
  | { readonly operation: 'precheck' }
  | { readonly operation: 'change'; readonly fresh: NewCredential }
  | { readonly operation: 'retire'; readonly former: readonly Uint8Array[] };

/** One step of a change. */
export async function perform(
  context: Context,
  subject: Subject,
  connector: Connector,
  hands: Hands,
  step: Step,
  actor: Actor,
  signal: AbortSignal,
): Promise<ChangeAnswer> {
  const { skip_while_in_use: _, ...settings } = subject.account.settings;
  using credential = await context.vault.openVersion(hands.account.id, hands.sigkey, 'rotation', actor);
  const answer = await withLogin(credential, signal, (login) => {
    const mode = hands.account.id === subject.account.id ? 'self' : 'admin';
    const work: Work = {
      place: subject.place,
      account: subject.account.name,
      by: { mode, login: { user: hands.account.name, credential: login } },
      targetSeconds: context.timing.targetSeconds,
      settings,
    };
    return context.run(
      { connector: connector.name, ...step, work },
      { deadlineMs: context.timing.connectorMs },
      signal,
    );
  });
  return answer === undefined ? { ...noLogin, said: 'unsent' } : changeOf(answer);
}

function changeOf({ outcome, class: kind, words }: Answer): ChangeAnswer {
  const known: readonly string[] = ['confirmed', 'failed', 'uncertain', 'unsent'] satisfies readonly Said[];
  return { said: known.includes(outcome) ? (outcome as Said) : 'uncertain', class: kind, words };
}

function verificationOf({ outcome, class: kind, words }: Answer): VerifyAnswer {
  const known: readonly string[] = ['accepted', 'rejected', 'unknown'] satisfies readonly Verification[];
  return { answer: known.includes(outcome) ? (outcome as Verification) : 'unknown', class: kind, words };
}

/**
 * What is to be done about one account now. The engine asks after every event (a hold went away, an operator's wish, a
 * start, a timer) and does what comes out; nothing is remembered between two questions. Pure.
 */
import type { Sigkey } from '../../base/ids.ts';
import type { Fold } from './fold.ts';

export type Trigger = 'on-demand' | 'post-session';

/** The account and its policy, as far as they bear on when. */
export interface AccountSettings {
  /** The policy allows randomization at all (B-41). */
  readonly enabled: boolean;
  /** The account names a connector that there is. */
  readonly connector: boolean;
  readonly rotateAfterSession: boolean;
  /** A session that is running keeps a rotation away; true unless the account says otherwise (W-37). */
  readonly skipWhileInUse: boolean;
}

/** A use of the credential by a session or a checkout. */
export interface Use {
  readonly kind: 'session' | 'checkout';
  readonly since: number;
  readonly releasedAt: number | null;
}

/** An attempt that ended, whether it came to drawing a value or not. */
export interface Attempt {
  readonly trigger: string;
  readonly at: number;
  readonly done: boolean;
}

export interface Question {
  readonly fold: Fold;
  readonly settings: AccountSettings;
  readonly uses: readonly Use[];
  readonly attempts: readonly Attempt[];
  /** When the current value was drawn or recorded; null when there is none. */
  readonly currentSince: number | null;
  /** Whose connector may still be at work, and until when its lease lasts. */
  readonly lease: { readonly sigkey: Sigkey | null; readonly expiresAt: number } | null;
  /** Somebody asks for it now. */
  readonly demanded: boolean;
  readonly now: number;
}

export type Because =
  | 'disabled'
  | 'no-connector'
  | 'conflicted'
  | 'changing'
  | 'in-use'
  | 'not-due'
  | 'given-up'
  | 'nothing-recorded';

export type Action =
  | { readonly kind: 'randomize'; readonly trigger: Trigger }
  /** A pending value whose connector is certainly gone: find out, and where that fails call it uncertain. */
  | { readonly kind: 'time-out'; readonly sigkey: Sigkey }
  | { readonly kind: 'wait'; readonly until: number; readonly because: Because }
  | { readonly kind: 'nothing'; readonly because: Because };

/** W-38: after a failure three more tries, half an hour apart. */
export const retryCount = 3;
export const retryMs = 30 * 60_000;

/** Never empty. Timing out pending values comes first: nothing else may start while one is pending. */
export function plan(question: Question): Action[] {
  const { fold, settings, lease, now } = question;
  const pending = fold.working.filter((sigkey) => fold.status.get(sigkey) === 'P');
  if (lease !== null && lease.expiresAt > now) return [{ kind: 'wait', until: lease.expiresAt, because: 'changing' }];
  if (pending.length > 0) return pending.map((sigkey) => ({ kind: 'time-out', sigkey }));
  if (fold.conflict !== 'none') return nothing('conflicted');
  if (!settings.enabled) return nothing('disabled');
  if (!settings.connector) return nothing('no-connector');
  const inUse = settings.skipWhileInUse && question.uses.some((use) => use.releasedAt === null);
  if (question.demanded) return inUse ? nothing('in-use') : [{ kind: 'randomize', trigger: 'on-demand' }];
  return afterSession(question, inUse);
}

/** W-27: due when a session used the current value and the last session of the account is over. */
function afterSession(question: Question, inUse: boolean): Action[] {
  const { settings, currentSince, attempts, now } = question;
  if (!settings.rotateAfterSession) return nothing('not-due');
  if (currentSince === null) return nothing('nothing-recorded');
  const sessions = question.uses.filter((use) => use.kind === 'session');
  const ended = sessions.flatMap((use) => (use.releasedAt === null ? [] : [use.releasedAt]));
  const lastEnd = Math.max(...ended, Number.NEGATIVE_INFINITY);
  if (lastEnd <= currentSince) return nothing('not-due');
  if (inUse || sessions.some((use) => use.releasedAt === null)) return nothing('in-use');
  const tries = attempts.filter((attempt) => attempt.at >= lastEnd && !attempt.done);
  if (tries.length > retryCount) return nothing('given-up');
  const last = Math.max(...tries.map((attempt) => attempt.at), Number.NEGATIVE_INFINITY);
  if (last + retryMs > now) return [{ kind: 'wait', until: last + retryMs, because: 'not-due' }];
  return [{ kind: 'randomize', trigger: 'post-session' }];
}

function nothing(because: Because): Action[] {
  return [{ kind: 'nothing', because }];
}

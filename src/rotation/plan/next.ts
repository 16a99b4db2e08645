/**
 * What is to be done about one account now. The engine asks after every event (a hold went away, an operator's wish, a
 * start, a timer) and does what comes out; nothing is remembered between two questions but facts: attempts, and notes of
 * what was skipped or alerted. Pure.
 *
 * INVARIANT: of an account whose policy disables randomization, or that is in conflict, nothing is changed by any trigger
 * (`reconcile` alone may reset an account in conflict). Planned work (`scheduled`, `age`) keeps to its window; everything
 * else is asked for by an event and ignores it. A due change that is put off is due until a success or a later occurrence
 * takes its place.
 */
import type { AccountId, Sigkey } from '../../base/ids.ts';
import { type Calendar, type Due, dueOf, firstTryAt, nextTryAt, opensAfter, type PlannedTrigger } from './due.ts';
import type { Fold } from './fold.ts';
import { usualRetry, usualSkips } from './schedule.ts';

/** Somebody asks and waits for the answer. */
export type Demand = 'on-demand' | 'checkout' | 'event' | 'bulk' | 'reconcile';

export type Trigger = PlannedTrigger | 'post-session' | Demand;

/** The account and its policy, as far as they bear on when. */
export interface AccountSettings {
  /** The policy allows randomization at all (B-41). */
  readonly enabled: boolean;
  /** The account names a connector that there is. */
  readonly connector: boolean;
  readonly rotateAfterSession: boolean;
  /** A session that is running keeps a rotation away; true unless the account says otherwise (W-37). */
  readonly skipWhileInUse: boolean;
  /** Another node than the managing one may change the account while that one cannot be reached (B-15). */
  readonly localFallback: boolean;
}

/** A use of the credential by a session or a checkout. */
export interface Use {
  readonly kind: 'session' | 'checkout';
  readonly since: number;
  readonly releasedAt: number | null;
}

/** An attempt that ended, whether it came to drawing a value or not. Those since the last success are enough. */
export interface Attempt {
  readonly trigger: string;
  readonly startedAt: number;
  /** When it ended. */
  readonly at: number;
  readonly done: boolean;
}

/** Asked for, by nobody who waits: kept until a value that is younger is current. */
export interface Wish {
  readonly trigger: 'event' | 'bulk';
  readonly at: number;
}

/** What was said once of an occurrence, so that it is not said again. */
export interface Note {
  readonly what: 'skipped' | 'skips-alerted' | 'given-up-alerted';
  readonly trigger: Trigger;
  readonly occurrence: number;
}

/** Whether this node is the one that changes accounts of the policy; `not-ready`: its database was set back, and is not healed yet. */
export type Here = 'yes' | 'not-managing' | 'managing-down' | 'not-ready';

export interface Question {
  readonly account: AccountId;
  readonly fold: Fold;
  readonly settings: AccountSettings;
  readonly calendar: Calendar;
  readonly uses: readonly Use[];
  readonly attempts: readonly Attempt[];
  readonly notes: readonly Note[];
  /** When the current value was drawn or recorded; null when there is none. */
  readonly currentSince: number | null;
  /** Whose connector may still be at work, and until when its lease lasts. */
  readonly lease: { readonly sigkey: Sigkey | null; readonly expiresAt: number } | null;
  /** Somebody asks for it now. */
  readonly demanded: Demand | false;
  readonly wishes: readonly Wish[];
  readonly here: Here;
  readonly now: number;
}

export type Because =
  | 'disabled'
  | 'no-connector'
  | 'conflicted'
  | 'changing'
  | 'in-use'
  | 'not-due'
  | 'outside-window'
  | 'retrying'
  | 'given-up'
  | 'nothing-recorded'
  | 'not-managing'
  | 'managing-down'
  | 'not-ready';

export type Action =
  | {
      readonly kind: 'randomize';
      readonly trigger: Trigger;
      /** What it is due for: an occurrence, the end of a session, the time of a wish; none on demand. */
      readonly occurrence?: number;
      /** Done here because the managing node cannot be reached. */
      readonly fallback?: true;
    }
  /** A pending value whose connector is certainly gone: find out, and where that fails call it uncertain. */
  | { readonly kind: 'time-out'; readonly sigkey: Sigkey }
  | { readonly kind: 'wait'; readonly until: number; readonly because: Because }
  /** A planned change could begin and does not, because the account is in use: to be noted, once per occurrence. */
  | {
      readonly kind: 'skip';
      readonly trigger: PlannedTrigger;
      readonly occurrence: number;
      readonly because: 'in-use';
    }
  /** Somebody should know; to be noted, so that it is said once. `count`: failed tries, or occurrences skipped in a row. */
  | {
      readonly kind: 'alert';
      readonly about: 'given-up' | 'skipped';
      readonly trigger: Trigger;
      readonly occurrence: number;
      readonly count: number;
    }
  | { readonly kind: 'nothing'; readonly because: Because };

/** W-38, where no schedule says otherwise. */
export const retryCount = usualRetry.count;
export const retryMs = usualRetry.minutes * 60_000;

/**
 * Never empty, and what comes first is what is to be done or why not; alerts follow. Timing out pending values comes
 * before everything: nothing else may start while one is pending.
 */
export function plan(question: Question): Action[] {
  const { fold, settings, lease, demanded, here, now } = question;
  const pending = fold.working.filter((sigkey) => fold.status.get(sigkey) === 'P');
  if (lease !== null && lease.expiresAt > now) return [{ kind: 'wait', until: lease.expiresAt, because: 'changing' }];
  if (pending.length > 0) return pending.map((sigkey) => ({ kind: 'time-out', sigkey }));
  if (!settings.enabled) return [nothing('disabled')];
  if (fold.conflict !== 'none' && demanded !== 'reconcile') return [nothing('conflicted')];
  if (!settings.connector) return [nothing('no-connector')];
  if (here === 'not-managing' || here === 'not-ready' || (here === 'managing-down' && !settings.localFallback))
    return [nothing(here)];
  if (demanded !== false)
    return [isInUse(question) ? nothing('in-use') : { kind: 'randomize', trigger: demanded, ...marked(question) }];
  return settle([...question.wishes.map((wish) => wished(question, wish)), afterSession(question), planned(question)]);
}

/** Answers for each reason to change the value, most urgent first; the first that can go, goes. */
function settle(answers: readonly (readonly Action[])[]): Action[] {
  const all = answers.flat();
  const alerts = all.filter(({ kind }) => kind === 'alert');
  const go = all.find(({ kind }) => kind === 'randomize');
  if (go !== undefined) return [go, ...alerts];
  const skips = all.filter(({ kind }) => kind === 'skip');
  const waits = all.flatMap((action) => (action.kind === 'wait' ? [action] : []));
  const [soonest] = waits.toSorted((a, b) => a.until - b.until);
  if (soonest !== undefined) return [...skips, soonest, ...alerts];
  const whys = all.flatMap((action) => (action.kind === 'nothing' ? [action] : []));
  return [whys.find(({ because }) => because !== 'not-due') ?? nothing('not-due'), ...alerts];
}

/** An event or a list that named the account, and found nobody waiting for the end of it. */
function wished(question: Question, { trigger, at }: Wish): Action[] {
  const { currentSince } = question;
  if (currentSince === null) return [nothing('nothing-recorded')];
  if (at <= currentSince) return [nothing('not-due')];
  return isInUse(question) ? [nothing('in-use')] : triedAgain(question, trigger, at);
}

/** W-27: due when a session used the current value and the last session of the account is over. */
function afterSession(question: Question): Action[] {
  const { settings, currentSince, uses } = question;
  if (!settings.rotateAfterSession) return [nothing('not-due')];
  if (currentSince === null) return [nothing('nothing-recorded')];
  const sessions = uses.filter((use) => use.kind === 'session');
  const ended = sessions.flatMap((use) => (use.releasedAt === null ? [] : [use.releasedAt]));
  const lastEnd = Math.max(...ended, Number.NEGATIVE_INFINITY);
  if (lastEnd <= currentSince) return [nothing('not-due')];
  if (isInUse(question) || sessions.some((use) => use.releasedAt === null)) return [nothing('in-use')];
  return triedAgain(question, 'post-session', lastEnd);
}

/** Tries of what an event made due: at once, then a set time apart whatever the window says. */
function triedAgain(question: Question, trigger: Wish['trigger'] | 'post-session', since: number): Action[] {
  const { now } = question;
  const { count, minutes } = retryOf(question);
  const tries = failed(question, [trigger], since);
  if (tries.length > count) return [nothing('given-up'), ...givenUp(question, trigger, since, tries.length)];
  const again = lastEndOf(tries) + minutes * 60_000;
  if (again > now) return [{ kind: 'wait', until: again, because: 'retrying' }];
  return [{ kind: 'randomize', trigger, occurrence: since, ...marked(question) }];
}

/** By schedule or age, within the window. */
function planned(question: Question): Action[] {
  const { account, calendar, currentSince, notes, now } = question;
  const { schedule } = calendar;
  const due = dueOf(calendar, currentSince ?? now, now);
  if (due === undefined) return [nothing('not-due')];
  if (currentSince === null) return [nothing('nothing-recorded')];
  const later = opensAfter(schedule, due.next);
  if (due.occurrence === null) return [{ kind: 'wait', until: later, because: 'not-due' }];

  const { trigger, occurrence, next } = due;
  const { count, minutes } = retryOf(question);
  const tries = failed(question, ['scheduled', 'age'], occurrence);
  if (tries.length > count)
    return [
      { kind: 'wait', until: later, because: 'given-up' },
      ...givenUp(question, trigger, occurrence, tries.length),
    ];
  const begin =
    tries.length === 0
      ? firstTryAt(schedule, account, { occurrence, next }, now)
      : nextTryAt(schedule, account, lastEndOf(tries), minutes, now);
  if (begin > now) {
    const because = tries.length > 0 ? 'retrying' : opensAfter(schedule, now) === now ? 'not-due' : 'outside-window';
    return [{ kind: 'wait', until: begin, because }];
  }
  if (!isInUse(question)) return [{ kind: 'randomize', trigger, occurrence, ...marked(question) }];
  const noted = notes.some((note) => note.what === 'skipped' && note.occurrence === occurrence);
  return [
    ...(noted ? [] : [{ kind: 'skip', trigger, occurrence, because: 'in-use' } as const]),
    { kind: 'wait', until: later, because: 'in-use' },
    ...tooManySkips(question, { ...due, occurrence }, currentSince),
  ];
}

/** W-37: every so many occurrences that were skipped in a row. */
function tooManySkips(
  { calendar, notes }: Question,
  due: Due & { readonly occurrence: number },
  base: number,
): Action[] {
  const { trigger, occurrence } = due;
  const skipped = new Set([occurrence]);
  for (const note of notes) if (note.what === 'skipped' && note.occurrence > base) skipped.add(note.occurrence);
  const enough = calendar.schedule?.alertAfterSkips ?? usualSkips;
  if (skipped.size % enough !== 0 || isNoted(notes, 'skips-alerted', occurrence)) return [];
  return [{ kind: 'alert', about: 'skipped', trigger, occurrence, count: skipped.size }];
}

function givenUp({ notes }: Question, trigger: Trigger, occurrence: number, count: number): Action[] {
  if (isNoted(notes, 'given-up-alerted', occurrence)) return [];
  return [{ kind: 'alert', about: 'given-up', trigger, occurrence, count }];
}

function isNoted(notes: readonly Note[], what: Note['what'], occurrence: number): boolean {
  return notes.some((note) => note.what === what && note.occurrence === occurrence);
}

function isInUse({ settings, uses }: Question): boolean {
  return settings.skipWhileInUse && uses.some((use) => use.releasedAt === null);
}

/** Tries for what fell due at `since`: one that began earlier was for something else. */
function failed({ attempts }: Question, triggers: readonly Trigger[], since: number): Attempt[] {
  const names: readonly string[] = triggers;
  return attempts.filter(({ trigger, startedAt, done }) => !done && startedAt >= since && names.includes(trigger));
}

function lastEndOf(tries: readonly Attempt[]): number {
  return Math.max(...tries.map(({ at }) => at), Number.NEGATIVE_INFINITY);
}

function retryOf({ calendar }: Question): { readonly count: number; readonly minutes: number } {
  return calendar.schedule?.retry ?? usualRetry;
}

function marked({ here }: Question): { readonly fallback?: true } {
  return here === 'managing-down' ? { fallback: true } : {};
}

function nothing(because: Because): Action {
  return { kind: 'nothing', because };
}

/**
 * The machine whose password is changed, as it truly is. It refuses, falls silent, lies, answers and does nothing, does
 * it later, and locks accounts; it never tells anybody but the oracle what it accepts.
 */
import type { Agenda } from './agenda.ts';
import type { Chance } from './chance.ts';
import type { TargetProfile } from './profile.ts';

/** What a value is on the target: a number in place of a password. Two sigkeys may stand for the same one. */
export type Secret = number;

/** What becomes of one change: what the connector hears and when, and when the value is in place, if ever. */
export interface Fate {
  readonly said: 'confirmed' | 'failed' | 'uncertain' | 'unsent';
  readonly answersAfter: number;
  readonly landsAfter: number | undefined;
}

export type Answer = 'accepted' | 'rejected' | 'unknown';

export interface Target {
  /** What logs in now and will go on doing so, when nothing more happens. */
  readonly live: () => readonly Secret[];
  /** When what is accepted only for a while, or locked for a while, is over. */
  readonly restAt: () => number;
  /** Starts to change the value to `secret`; the answer is the fate's, the landing is told to `landed`. */
  readonly change: (tag: string, secret: Secret, withSecret: Secret | undefined, landed: () => void) => Fate;
  /** Takes values away. The answer as for `change`. */
  readonly retire: (secrets: readonly Secret[]) => Fate['said'];
  /** Ends what is left of a change; false if the target could not be asked. */
  readonly fence: (tag: string) => boolean;
  readonly login: (secret: Secret) => Answer;
  /** Compares with what is stored; nothing is counted and no grace is given. */
  readonly compare: (secret: Secret) => Answer;
  readonly silence: (until: number) => void;
  readonly changeByHand: (secret: Secret) => void;
  /** Fates to come before chance has its say; for histories made by hand. */
  readonly fates: Fate[];
  /** How often the account was locked by refused logins. */
  readonly locks: () => number;
}

const lockAfter = 5;
const lockedMs = 30 * 60_000;

/** A target with `first` in place. `targetMs`: it ends a change by itself after that, unless it is one that does not. */
export function newTarget(
  profile: TargetProfile,
  agenda: Agenda,
  chance: Chance,
  first: Secret,
  targetMs: number,
): Target {
  let live: Secret[] = [first];
  let former: Secret | undefined;
  let formerUntil = 0;
  let silentUntil = 0;
  let refusals = 0;
  let lockedUntil = 0;
  let locks = 0;
  const ended = new Set<string>();
  const fates: Fate[] = [];

  function put(secret: Secret): void {
    if (profile.kind === 'keys') {
      if (!live.includes(secret)) live.push(secret);
      return;
    }
    if (live[0] === secret) return;
    former = live[0];
    formerUntil = agenda.now + profile.graceMs;
    live = [secret];
  }
  const accepts = (secret: Secret): boolean => live.includes(secret) || (secret === former && agenda.now < formerUntil);

  function draw(): Fate {
    const { between, likely } = chance;
    const answersAfter = between(50, 8_000);
    if (agenda.now < silentUntil)
      return likely(0.5)
        ? { said: 'unsent', answersAfter, landsAfter: undefined }
        : { said: 'uncertain', answersAfter, landsAfter: undefined };
    let left = between(0, 999_999) / 1_000_000;
    const falls = (probability: number): boolean => {
      left -= probability;
      return left < 0;
    };
    const inTime = between(10, profile.fence === 'sessions' ? 5 * 60_000 : targetMs);
    const soon = between(10, answersAfter);
    if (falls(profile.refused)) return { said: 'failed', answersAfter, landsAfter: undefined };
    if (falls(profile.refusedAndChanged)) return { said: 'failed', answersAfter, landsAfter: soon };
    if (falls(profile.acknowledgedAndNot)) return { said: 'confirmed', answersAfter, landsAfter: undefined };
    if (falls(profile.answerLost)) return { said: 'uncertain', answersAfter, landsAfter: likely(0.5) ? inTime : soon };
    if (falls(profile.requestLost)) return { said: 'uncertain', answersAfter, landsAfter: undefined };
    if (falls(profile.unsent)) return { said: 'unsent', answersAfter, landsAfter: undefined };
    if (falls(profile.tooLate))
      return {
        said: likely(0.7) ? 'uncertain' : 'failed',
        answersAfter,
        landsAfter: between(targetMs + 5_000, 20 * 60_000),
      };
    return { said: 'confirmed', answersAfter, landsAfter: soon };
  }

  return {
    live: () => live,
    restAt: () => Math.max(former === undefined ? 0 : formerUntil, lockedUntil, silentUntil),
    fates,
    locks: () => locks,
    change: (tag, secret, withSecret, landed) => {
      const fate = fates.shift() ?? draw();
      // Whoever logs in with a value that is not accepted changes nothing.
      if (withSecret !== undefined && fate.said !== 'unsent' && !accepts(withSecret))
        return { said: 'failed', answersAfter: fate.answersAfter, landsAfter: undefined };
      // What was ended by name before is not what begins now.
      ended.delete(tag);
      if (fate.landsAfter !== undefined)
        agenda.plan(agenda.now + fate.landsAfter, () => {
          if (ended.has(tag)) return;
          put(secret);
          landed();
        });
      return fate;
    },
    retire: (secrets) => {
      if (agenda.now < silentUntil) return 'uncertain';
      const failed = chance.likely(profile.refused);
      if (!failed) live = live.filter((one) => !secrets.includes(one));
      return failed ? 'failed' : chance.likely(profile.answerLost) ? 'uncertain' : 'confirmed';
    },
    fence: (tag) => {
      if (agenda.now < silentUntil || chance.likely(profile.unknown)) return false;
      ended.add(tag);
      return true;
    },
    login: (secret) => {
      if (agenda.now < silentUntil || chance.likely(profile.unknown)) return 'unknown';
      // It says so; one that answers a right value like a wrong one while locked must be asked another way.
      if (agenda.now < lockedUntil) return 'unknown';
      if (accepts(secret)) {
        refusals = 0;
        return 'accepted';
      }
      refusals += 1;
      if (profile.tries === 'budget' && refusals >= lockAfter) {
        refusals = 0;
        locks += 1;
        lockedUntil = agenda.now + lockedMs;
      }
      return 'rejected';
    },
    compare: (secret) => {
      if (agenda.now < silentUntil || chance.likely(profile.unknown)) return 'unknown';
      return live.includes(secret) ? 'accepted' : 'rejected';
    },
    silence: (until) => {
      silentUntil = Math.max(silentUntil, until);
    },
    changeByHand: (secret) => {
      if (profile.kind === 'keys') live = [secret];
      else put(secret);
    },
  };
}

/**
 * From what a connector said and what real logins showed to one status. INVARIANT: C only after the target acknowledged
 * and a login on a second connection proved it, or after an error when the new value works and the old one is refused;
 * F only when nothing was sent, or the old value works and the new one is refused and nothing can still land; else U.
 * A target's bare "no" is not believed: `chpasswd` can exit 1 and have changed the password. Pure.
 */
import type { OutcomeStatus } from './facts.ts';

/** A login's three answers. `unknown`: nobody could ask. */
export type Verification = 'accepted' | 'rejected' | 'unknown';

/** `unsent`: certainly no byte of the change reached the target. */
export type Said = 'confirmed' | 'failed' | 'uncertain' | 'unsent';

export interface Evidence {
  readonly said: Said;
  readonly fresh: Verification;
  /** The value before; `none` when there was none. */
  readonly old: Verification | 'none';
  /** The old value must be refused before C: it is removed separately (keys), so both may be live. */
  readonly oldMustFail: boolean;
  /** No change of ours can still land: the connector said it ended, or its time on the target is over. */
  readonly fenced: boolean;
  /** What holds now would survive a restart of the target. */
  readonly durable: boolean;
}

/** Whether the old value must be tried at all: never for its own sake, since a refused login counts on the target. */
export function needsOld(said: Said, fresh: Verification, oldMustFail: boolean): boolean {
  if (said === 'unsent') return false;
  return oldMustFail || said !== 'confirmed' || fresh !== 'accepted';
}

/** See the head of the file. */
export function judge(evidence: Evidence): OutcomeStatus {
  const { said, fresh, old } = evidence;
  if (said === 'unsent') return 'F';
  // A device that could not save it has one value now and the other after its next start.
  if (!evidence.durable) return 'U';
  if (fresh === 'accepted') {
    if (said === 'confirmed' && !evidence.oldMustFail) return 'C';
    // A value that was drawn a moment ago works for one reason only. Whether the old one is gone is another question.
    return old === 'rejected' || old === 'none' ? 'C' : 'U';
  }
  // Acknowledged, and yet it does not work: nobody knows what the target did.
  if (said === 'confirmed') return 'U';
  if (fresh === 'rejected' && evidence.fenced && (old === 'accepted' || (old === 'none' && said === 'failed')))
    return 'F';
  return 'U';
}

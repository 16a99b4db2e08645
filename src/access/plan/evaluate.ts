/**
 * The decision. Default deny: what no grant allows is refused, and grants only add. Pure: facts and the time come in,
 * a decision with its reasons comes out; the same function decides, explains, and looks at running sessions again.
 */
import type { AccountId, GrantId, GroupId, Id, TargetId } from '../../base/ids.ts';
import type { OffsetAt } from '../../base/zones.ts';
import { type RdpConditions, type RdpTerms, termsOf } from './rdp-terms.ts';
import { wordsFor } from './subprotocols.ts';
import { frameEnd, inTimeFrame, type TimeFrame } from './time-frame.ts';

export interface Grant {
  readonly id: GrantId;
  readonly name: string;
  readonly disabled: boolean;
  readonly group: GroupId;
  readonly accounts: readonly AccountId[];
  /** All accounts of these targets. */
  readonly targets: readonly TargetId[];
  /** All accounts of all targets of these groups. */
  readonly targetGroups: readonly Id<'target-group'>[];
  readonly subprotocols: readonly string[];
  /** No frame: always. Several: while one of them holds. */
  readonly frames: readonly TimeFrame[];
  /** Milliseconds since 1970. */
  readonly validFrom: number | undefined;
  readonly expiresAt: number | undefined;
  /** A session that began inside the frame may go on after its end; expiry ends it nevertheless. */
  readonly overtimable: boolean;
  /** Contents of files and streams are recorded too. */
  readonly recordContent: boolean;
  /** Of desktops. */
  readonly rdp: RdpConditions;
}

/** Who wants to use what. */
export interface Wish {
  readonly groups: readonly GroupId[];
  readonly account: AccountId;
  readonly target: TargetId;
  readonly targetGroups: readonly Id<'target-group'>[];
  readonly protocol: 'ssh' | 'rdp';
  /** For a session that runs already: when it was opened. */
  readonly since?: number;
}

export type Zones = (zone: string) => OffsetAt;

export type Decision =
  | {
      readonly allowed: true;
      readonly subprotocols: readonly string[];
      /** The latest instant up to which each of the subprotocols is granted; undefined: no end in sight. */
      readonly until: number | undefined;
      readonly recordContent: boolean;
      /** What a desktop is like; of ssh it means nothing. */
      readonly rdp: RdpTerms;
      readonly grants: readonly GrantId[];
    }
  | { readonly allowed: false };

/** Why a grant does not allow a wish, or `allows`. */
export type Judgement =
  | 'allows'
  | 'other group'
  | 'other account'
  | 'other protocol'
  | 'disabled'
  | 'not yet valid'
  | 'expired'
  | 'outside its time frame';

/** Judges one grant; the first thing that stands in the way is the answer. */
export function judgeGrant(grant: Grant, wish: Wish, now: number, zones: Zones): Judgement {
  if (!wish.groups.includes(grant.group)) return 'other group';
  if (!covers(grant, wish)) return 'other account';
  if (wordsFor(wish.protocol, grant.subprotocols).length === 0) return 'other protocol';
  if (grant.disabled) return 'disabled';
  if (grant.validFrom !== undefined && now < grant.validFrom) return 'not yet valid';
  if (grant.expiresAt !== undefined && now >= grant.expiresAt) return 'expired';
  // Overtime is for sessions that this grant's frame let begin.
  const asked = grant.overtimable && wish.since !== undefined ? wish.since : now;
  if (grant.frames.length > 0 && !grant.frames.some((frame) => inTimeFrame(frame, asked, zones(frame.zone)))) {
    return 'outside its time frame';
  }
  return 'allows';
}

/** Decides over all grants at once. */
export function evaluate(grants: readonly Grant[], wish: Wish, now: number, zones: Zones): Decision {
  const allowing = grants.filter((grant) => judgeGrant(grant, wish, now, zones) === 'allows');
  if (allowing.length === 0) return { allowed: false };
  const ends = new Map<string, number>();
  for (const grant of allowing) {
    const end = endOf(grant, now, zones);
    for (const what of wordsFor(wish.protocol, grant.subprotocols)) ends.set(what, Math.max(ends.get(what) ?? 0, end));
  }
  const until = Math.min(...ends.values());
  return {
    allowed: true,
    subprotocols: wordsFor(wish.protocol, [...ends.keys()]),
    until: until === Infinity ? undefined : until,
    recordContent: allowing.some((grant) => grant.recordContent),
    rdp: termsOf(allowing.map((grant) => grant.rdp)),
    grants: allowing.map((grant) => grant.id),
  };
}

function covers(grant: Grant, wish: Wish): boolean {
  return (
    grant.accounts.includes(wish.account) ||
    grant.targets.includes(wish.target) ||
    grant.targetGroups.some((group) => wish.targetGroups.includes(group))
  );
}

/** When a session that this grant allows now has to end, as far as this grant goes. */
function endOf(grant: Grant, now: number, zones: Zones): number {
  const expiry = grant.expiresAt ?? Infinity;
  if (grant.overtimable || grant.frames.length === 0) return expiry;
  const ends = grant.frames
    .filter((frame) => inTimeFrame(frame, now, zones(frame.zone)))
    .map((frame) => frameEnd(frame, now, zones(frame.zone)) ?? Infinity);
  return Math.min(expiry, Math.max(...ends));
}

/** How long a change that was cut off may still land on the target: as long as the target may take to end it by itself. */
import type { AccountId } from '../../base/ids.ts';
import type { Context, Timing } from '../context.ts';
import { heardOf } from '../ledger/ledger.ts';
import type { Facts } from '../plan/facts.ts';
import { quietUntil } from '../plan/quiet.ts';

/** Until when something of the account may land, in milliseconds; see `quietUntil`. */
export async function landingUntil({ db, clock, timing }: Context, id: AccountId, facts: Facts): Promise<number> {
  return quietUntil(facts, await heardOf(db, id, clock.now()), landingMs(timing));
}

/** The target's own time for a change, and what it may be late by in ending one. */
export function landingMs({ targetSeconds }: Pick<Timing, 'targetSeconds'>): number {
  return (targetSeconds + 2) * 1000;
}

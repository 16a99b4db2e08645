/**
 * Whether this node may judge a value that its target refuses: it is the one that resolves, and everything that the others
 * knew is here. A value that another node has set since is refused here too, and is not lost.
 */
import type { AccountId } from '../../base/ids.ts';
import type { Subject } from '../change/subject.ts';
import type { Context } from '../context.ts';
import { foldOf } from '../ledger/ledger.ts';
import { canonical } from '../plan/canonical.ts';
import type { Fold } from '../plan/fold.ts';

/** Whoever is connected answers within seconds; for whoever is not, it is done another time. */
const waitMs = 5_000;
const lookMs = 100;

export const elsewhere = 'another node resolves for this policy and tries the former values';
export const silentNodes = 'another node could not be heard in time, and may know a newer one';
export const overtaken = 'another node knew more of the account meanwhile: ask again';

/**
 * Undefined when this node may judge by `fold`, else why not, in words. `since` names the question: the same one is not
 * put to the other nodes twice.
 */
export async function whyNotHere(
  context: Context,
  { account, policy }: Subject,
  { fold, since }: { readonly fold: Fold; readonly since: number },
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!(await context.peers.mayResolve(policy.id))) return elsewhere;
  if (!(await allHeard(context, account.id, since, signal))) return silentNodes;
  const { fold: now } = await foldOf(context.db, account.id);
  return canonical(now) === canonical(fold) ? undefined : overtaken;
}

async function allHeard(
  { peers, clock }: Context,
  id: AccountId,
  since: number,
  signal: AbortSignal,
): Promise<boolean> {
  for (const late = clock.now() + waitMs; ; await clock.sleep(lookMs, signal)) {
    const heard = await peers.heard(id, since, signal);
    if (heard !== 'waiting') return heard === 'here';
    if (clock.now() >= late) return false;
  }
}

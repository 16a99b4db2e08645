/** By whose rights a change is made: the account's administrator, its reconcile account, or itself with its present value. */
import type { Sigkey } from '../../base/ids.ts';
import type { Hands } from './ask.ts';
import type { Subject } from './subject.ts';

/** Of an ordinary change; undefined if whoever should do it has no value. */
export function handsOf({ account, admin }: Subject, present: Sigkey | null): Hands | undefined {
  if (admin !== undefined) return admin.current === null ? undefined : { account: admin, sigkey: admin.current };
  return present === null ? undefined : { account, sigkey: present };
}

/** Of a reconciliation: somebody else, who needs no present value. */
export function reconcilingHands({ reconciler }: Subject): Hands | undefined {
  if (reconciler === undefined || reconciler.current === null) return undefined;
  return { account: reconciler, sigkey: reconciler.current };
}

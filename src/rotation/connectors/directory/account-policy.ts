/**
 * What a directory's password policy keeps of one account (draft-behera-ldap-password-policy-11 §5.3), read by an
 * administrator: whether it is locked, and how many wrong passwords it still takes. After a lock-out many servers answer
 * the right password like a wrong one, so this is looked at first.
 */
import type { Task } from '../connector.ts';
import { type Directory, type Entry, isResult, textOf } from './directory.ts';
import { isFault } from './faults.ts';

/** Operational attributes come only when they are named. */
export const policyAttributes = ['pwdAccountLockedTime', 'pwdFailureTime', 'pwdReset', 'pwdPolicySubentry'] as const;

export interface Policy {
  readonly maxFailure: number | undefined;
  /** Seconds; 0 is until somebody lifts it. */
  readonly lockoutSeconds: number | undefined;
}

/** Clocks here and there may differ by so much: until then a lock-out that is over counts as one that lasts. */
const clockMargin = 300_000;

/** The policy of this account: the one its entry names, or the declared one. Undefined if none can be read. */
export async function policyOf(directory: Directory, entry: Entry, { settings }: Task): Promise<Policy | undefined> {
  const dn = textOf(entry, 'pwdPolicySubentry') ?? settings['password_policy'];
  if (typeof dn !== 'string') return undefined;
  const found = await directory.search(dn, { scope: 'base' }, ['pwdLockout', 'pwdMaxFailure', 'pwdLockoutDuration']);
  const [policy] = isFault(found) || isResult(found) ? [] : found;
  if (policy === undefined) return undefined;
  const locks = textOf(policy, 'pwdLockout') === 'TRUE';
  return {
    maxFailure: locks ? Number(textOf(policy, 'pwdMaxFailure') ?? 0) : 0,
    lockoutSeconds: Number(textOf(policy, 'pwdLockoutDuration') ?? 0),
  };
}

/** Whether the account is locked now. A lock-out whose length is not known lasts. */
export function isLocked(entry: Entry, policy: Policy | undefined, now: number): boolean {
  const since = textOf(entry, 'pwdAccountLockedTime');
  if (since === undefined) return false;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?/.exec(since);
  // The year 0: locked for good by an administrator.
  if (parts === null || parts[1] === '0000' || policy?.lockoutSeconds === undefined || policy.lockoutSeconds === 0)
    return true;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1)
    .map((part) => Number(part ?? 0));
  return now < Date.UTC(year, month - 1, day, hour, minute, second) + policy.lockoutSeconds * 1000 + clockMargin;
}

/** How many refused logins can do no harm, at most `budget`. Where the policy is not known, earlier misses count against it. */
export function attemptsLeft(entry: Entry, policy: Policy | undefined, budget: number): number {
  const misses = entry.values('pwdFailureTime').length;
  if (policy?.maxFailure === undefined) return Math.max(0, budget - misses);
  return policy.maxFailure === 0 ? budget : Math.max(0, Math.min(budget, policy.maxFailure - misses - 1));
}

/**
 * What a directory's results mean. The number of LDAP is coarse: where the server answers the password policy control
 * (draft-behera-ldap-password-policy-11), its complaint is the cause.
 */
import type { AnswerClass, ChangeAnswer, VerifyAnswer } from '../connector.ts';
import type { Result } from './directory.ts';
import type { Fault } from './faults.ts';
import type { Complaint } from './wire/ldap-messages.ts';

/** Result codes of RFC 4511, appendix A. */
const results = {
  protocolError: 2,
  timeLimit: 3,
  strongerAuth: 8,
  confidentiality: 13,
  constraint: 19,
  noSuchObject: 32,
  invalidDn: 34,
  inappropriateAuth: 48,
  invalidCredentials: 49,
  insufficientAccess: 50,
  busy: 51,
  unavailable: 52,
  unwilling: 53,
  other: 80,
} as const;

const complaints: Readonly<Record<Complaint, AnswerClass>> = {
  expired: 'expired',
  locked: 'locked',
  'must-change': 'expired',
  'may-not-change': 'permission',
  'old-needed': 'permission',
  quality: 'policy',
  'too-short': 'policy',
  'too-young': 'too-young',
  'in-history': 'policy',
  'too-long': 'policy',
};

/** A login's result as an answer to whether the password is right. */
export function verified(account: string, { code, words, policy }: Result): VerifyAnswer {
  const complaint = policy?.complaint;
  const expired = `the password of ${account} has expired, or must be changed at the next login`;
  if (code === 0) {
    if (complaint === 'must-change' || policy?.graceLogins !== undefined)
      return { answer: 'accepted', class: 'expired', words: expired };
    return { answer: 'accepted', class: 'none', words: '' };
  }
  // The server looks at the age of a password after it has found it right.
  if (code === results.invalidCredentials && complaint === 'expired')
    return { answer: 'accepted', class: 'expired', words: expired };
  const { fault, words: said } = faultOfBind(account, { code, words, policy });
  const refused = fault === 'authentication' || (fault === 'missing' && code === results.noSuchObject);
  return { answer: refused ? 'rejected' : 'unknown', class: fault, words: said };
}

/** Why somebody could not log in. */
export function faultOfBind(account: string, { code, words, policy }: Result): Fault {
  const complaint = policy?.complaint;
  if (complaint === 'locked') return { fault: 'locked', words: `${account} is locked`, rejected: true };
  if (complaint === 'expired')
    return { fault: 'expired', words: `the password of ${account} has expired`, rejected: true };
  switch (code) {
    case results.invalidCredentials:
      return { fault: 'authentication', words: `${account}: ${words}`, rejected: true };
    // Some servers tell a lock-out by these instead of by the control.
    case results.constraint:
    case results.unwilling:
      return { fault: 'locked', words: `${account}: ${words}`, rejected: true };
    default:
      return faultOfResult({ code, words, policy });
  }
}

/** Any other result that is not a success. */
export function faultOfResult({ code, words }: Result): Fault {
  switch (code) {
    case results.protocolError:
    case results.strongerAuth:
    case results.confidentiality:
    case results.inappropriateAuth:
      return { fault: 'unsupported', words: `result ${code}: ${words}` };
    case results.insufficientAccess:
      return { fault: 'permission', words };
    case results.noSuchObject:
    case results.invalidDn:
      return { fault: 'missing', words };
    default:
      return { fault: 'unexpected', words: `result ${code}: ${words}` };
  }
}

/** A change's result. What a server says when it is not well is not taken for a refusal. */
export function changed(result: Result): ChangeAnswer {
  const { code, words, policy } = result;
  if (code === 0) return { said: 'confirmed', class: 'none', words: '' };
  const unwell: readonly number[] = [results.timeLimit, results.busy, results.unavailable, results.other];
  if (unwell.includes(code)) return { said: 'uncertain', class: 'unexpected', words: `result ${code}: ${words}` };
  if (policy?.complaint !== undefined)
    return { said: 'failed', class: complaints[policy.complaint], words: `${policy.complaint}: ${words}` };
  switch (code) {
    case results.constraint:
      return { said: 'failed', class: 'policy', words };
    case results.invalidCredentials:
      return { said: 'failed', class: 'authentication', words };
    case results.unwilling:
      return { said: 'failed', class: /old password/i.test(words) ? 'authentication' : 'policy', words };
    default:
      return { said: 'failed', class: faultOfResult(result).fault, words };
  }
}

/**
 * What Active Directory's results mean. The number of LDAP is coarse; the cause stands in the words as a Windows error in
 * hexadecimal: behind `data` for a login, at the beginning for a change (MS-ERREF §2.2, §2.3).
 */
import type { AnswerClass, ChangeAnswer, VerifyAnswer } from '../connector.ts';
import type { Result } from './directory.ts';
import type { Fault } from './faults.ts';

/** Result codes of RFC 4511, appendix A. */
const results = {
  operationsError: 1,
  timeLimit: 3,
  strongerAuth: 8,
  confidentiality: 13,
  constraint: 19,
  noSuchObject: 32,
  invalidCredentials: 49,
  insufficientAccess: 50,
  busy: 51,
  unavailable: 52,
  other: 80,
} as const;

/** Windows' reasons for refusing a login. Those that only a right password is told are marked. */
const logins: Readonly<Record<string, { readonly class: AnswerClass; readonly words: string; readonly right?: true }>> =
  {
    '525': { class: 'missing', words: 'there is no such account' },
    '52e': { class: 'authentication', words: 'the password is wrong' },
    '530': { class: 'locked', words: 'it may not log in at this time' },
    '531': { class: 'locked', words: 'it may not log in from here' },
    '532': { class: 'expired', words: 'the password has expired', right: true },
    '533': { class: 'locked', words: 'the account is disabled' },
    '701': { class: 'locked', words: 'the account has expired' },
    '773': { class: 'expired', words: 'the password must be changed at the next login', right: true },
    '775': { class: 'locked', words: 'the account is locked' },
  };

function reasonOf({ code, words }: Result): (typeof logins)[string] | undefined {
  const data = /\bdata ([0-9a-f]+)/i.exec(words)?.[1];
  return code === results.invalidCredentials && data !== undefined ? logins[data.toLowerCase()] : undefined;
}

/** Why somebody could not log in. */
export function faultOfBind(user: string, result: Result): Fault {
  const reason = reasonOf(result);
  if (reason !== undefined) return { fault: reason.class, words: `${user}: ${reason.words}`, rejected: true };
  if (result.code === results.invalidCredentials)
    return { fault: 'authentication', words: `${user}: ${result.words}`, rejected: true };
  return faultOfResult(result);
}

/** A login's result as an answer to whether the password is right. */
export function verified(account: string, result: Result): VerifyAnswer {
  if (result.code === 0) return { answer: 'accepted', class: 'none', words: '' };
  const reason = reasonOf(result);
  const { fault, words } = faultOfBind(account, result);
  if (reason?.right === true) return { answer: 'accepted', class: 'expired', words };
  const refused = fault === 'authentication' || fault === 'missing';
  return { answer: refused ? 'rejected' : 'unknown', class: fault, words };
}

/** Any other result that is not a success. */
export function faultOfResult({ code, words }: Result): Fault {
  switch (code) {
    case results.strongerAuth:
    case results.confidentiality:
      return { fault: 'unsupported', words: `the controller wants a protected connection: ${words}` };
    case results.insufficientAccess:
      return { fault: 'permission', words };
    case results.noSuchObject:
      return { fault: 'missing', words };
    default:
      return { fault: 'unexpected', words: `result ${code}: ${words}` };
  }
}

/** A change's result. What a controller says when it is not well is not taken for a refusal. */
export function changed(result: Result): ChangeAnswer {
  const { code, words } = result;
  if (code === 0) return { said: 'confirmed', class: 'none', words: '' };
  const unwell: readonly number[] = [results.timeLimit, results.busy, results.unavailable, results.other];
  if (unwell.includes(code)) return { said: 'uncertain', class: 'unexpected', words: `result ${code}: ${words}` };
  const cause = /^([0-9a-f]{8})\b/i.exec(words)?.[1]?.toLowerCase();
  switch (cause) {
    case '0000052d':
      // One number for every rule. Samba says which; Windows does not, and then a minimum age is one of them.
      return /too (young|recently)|minimum (password )?age/i.test(words)
        ? { said: 'failed', class: 'too-young', words }
        : {
            said: 'failed',
            class: 'policy',
            words: `the domain's rules refuse it (length, complexity, history or minimum age): ${words}`,
          };
    case '00000056':
      return { said: 'failed', class: 'authentication', words: `the old password is not the present one: ${words}` };
    case '00000005':
    case '00002098':
      return { said: 'failed', class: 'permission', words };
    case '00000775':
      return { said: 'failed', class: 'locked', words };
    default: {
      const { fault } = faultOfResult(result);
      const kind = code === results.constraint ? 'policy' : fault;
      return { said: 'failed', class: kind, words };
    }
  }
}

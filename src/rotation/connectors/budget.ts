/** Trying values by logins without ever locking the account: as many refusals as are left, and not one more. Pure. */
import type { LoginCredential, VerifyAnswer } from './connector.ts';

/** Said of a value that was not tried, so that the account is not locked. */
export const spent: VerifyAnswer = {
  answer: 'unknown',
  class: 'budget',
  words: 'not tried: one more refused login could lock the account',
};

/**
 * Tries the candidates in their order until `budget` of them were refused; the rest is unknown. A target that could not
 * be asked once is not asked again in this round.
 */
export async function tryWithin(
  budget: number,
  candidates: readonly LoginCredential[],
  login: (candidate: LoginCredential) => Promise<VerifyAnswer>,
): Promise<readonly VerifyAnswer[]> {
  const answers: VerifyAnswer[] = [];
  let left = budget;
  let silent: VerifyAnswer | undefined;
  for (const candidate of candidates) {
    if (silent !== undefined || left <= 0) {
      answers.push(silent ?? spent);
      continue;
    }
    const answer = await login(candidate);
    answers.push(answer);
    if (answer.answer === 'rejected') left--;
    if (answer.answer !== 'unknown') continue;
    // What was said of one login is counted once.
    const { counts: _, ...rest } = answer;
    silent = rest;
  }
  return answers;
}

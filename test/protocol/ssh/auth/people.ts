/** An Authenticator over a few people known to the test, which also keeps a diary of what it was asked. */
import { same } from '../../../../src/base/bytes.ts';
import type { Authenticator, AuthMethod, Dialogue, Verdict } from '../../../../src/protocol/ssh/auth/authenticator.ts';
import { verifySignature } from '../../../../src/protocol/ssh/keys/verify.ts';

export interface Person {
  readonly password?: string;
  readonly keys?: readonly Uint8Array[];
  /** Asked after the password in the same dialogue. */
  readonly code?: string;
  /** Needs a key and then the password. */
  readonly both?: boolean;
}

const all: readonly AuthMethod[] = ['publickey', 'password', 'keyboard-interactive'];

export function people(known: Readonly<Record<string, Person>>, banner?: string): Authenticator & { diary: string[] } {
  const diary: string[] = [];
  let keyProven = false;
  const verdict = (good: boolean): Verdict => (good ? { kind: 'accepted' } : { kind: 'refused', next: all });
  return {
    diary,
    begin: async (user, tell) => {
      diary.push(`begin ${user}`);
      if (banner !== undefined) tell(banner);
      return { next: all };
    },
    none: async () => {
      diary.push('none');
      return { kind: 'refused', next: all };
    },
    password: async (user, password) => {
      const text = password.revealText();
      diary.push(`password ${text}`);
      const person = known[user];
      return verdict(person?.password === text && (person.both !== true || keyProven));
    },
    keyboardInteractive: async (user, submethods): Promise<Dialogue> => {
      diary.push(`dialogue ${submethods}`);
      const person = known[user];
      const rounds = [person?.password, ...(person?.code === undefined ? [] : [person.code])];
      let round = -1;
      let good = true;
      return {
        next: async (answers) => {
          if (answers !== undefined) {
            diary.push(`answers ${answers.map((answer) => answer.revealText()).join(' ')}`);
            good &&= answers.length === 1 && answers[0]?.revealText() === rounds[round];
          }
          round += 1;
          if (!good || round === rounds.length) return verdict(good);
          return { kind: 'prompts', prompts: [{ text: round === 0 ? 'Password: ' : 'Code: ', echo: round > 0 }] };
        },
        [Symbol.asyncDispose]: async () => {
          diary.push('dialogue over');
        },
      };
    },
    publickeyQuery: async (user, algorithm, blob) => {
      diary.push(`query ${algorithm}`);
      return known[user]?.keys?.some((key) => same(key, blob)) ?? false;
    },
    publickey: async (user, claim) => {
      diary.push(`publickey ${claim.algorithm}`);
      const ours = known[user]?.keys?.some((key) => same(key, claim.blob)) ?? false;
      const good = ours && verifySignature(claim.blob, claim.algorithm, claim.signedData, claim.signature);
      if (!good || known[user]?.both !== true) return verdict(good);
      keyProven = true;
      return { kind: 'partial', next: ['password'] };
    },
  };
}

/** Why a connection to a directory did not come about, or ended: one class and words for every fault of a socket. */
import { codeOf, wordsOf } from '../../../base/errors.ts';
import type { AnswerClass, ChangeAnswer, VerifyAnswer } from '../connector.ts';

/** Where no answer came from. `rejected`: it was the server's answer to a login. */
export interface Fault {
  readonly fault: AnswerClass;
  readonly words: string;
  readonly rejected?: true;
}

export function isFault(value: object): value is Fault {
  return 'fault' in value;
}

/** What kept a connection from opening. */
export function faultOfDial(error: unknown): Fault {
  const words = wordsOf(error);
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return { fault: 'unreachable-refused', words };
    case 'ETIMEDOUT':
      return { fault: 'unreachable-timeout', words };
    case 'ECONNRESET':
    case 'EPIPE':
      return { fault: 'cut', words };
    default:
      return { fault: 'unreachable', words };
  }
}

export function unsent(fault: Fault): ChangeAnswer {
  return { said: 'unsent', class: fault.fault, words: fault.words };
}

export function unknown(fault: Fault): VerifyAnswer {
  return { answer: 'unknown', class: fault.fault, words: fault.words };
}

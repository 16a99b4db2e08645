/** One call of a route from a command: connect, ask, turn a refusal into words and an exit code. */
import { join } from 'node:path';
import { isRefusal, type Refusal, SallyportError } from '../base/errors.ts';
import { type Fields, openClient, type Part, type Reply, type RouteName } from '../contract/contract.ts';
import type { Format } from './output.ts';

/** What every command knows: where the keeper's socket is, how to print, when to stop. */
export interface Caller {
  readonly format: Format;
  readonly signal: AbortSignal;
  call<N extends RouteName>(name: N, fields: Fields<N>, onPart?: (part: Part<N>) => void): Promise<Reply<N>>;
}

/** A refusal that reached a command: printed with its remedy, and the exit code says which kind. */
export class RefusedError extends SallyportError {
  constructor({ code, reason, remedy }: Refusal & { readonly remedy?: unknown }) {
    super(code, { meaning: reason, remedy: typeof remedy === 'string' ? remedy : '' });
  }
}

export function caller(data: string, format: Format, signal: AbortSignal): Caller {
  return {
    format,
    signal,
    call: async (name, fields, onPart) => {
      await using client = await openClient(join(data, 'run/keeper/keeper.sock'));
      const answer = await client.call(name, fields, signal, onPart);
      if (isRefusal(answer)) throw new RefusedError(answer);
      return answer;
    },
  };
}

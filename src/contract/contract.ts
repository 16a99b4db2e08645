/** The door of the contract: the table of routes, the typed client, and the check on the side that answers. */
import { connect } from 'node:net';
import type { Static, TSchema } from 'typebox';
import { codeOf, defineErrors, type Refusal, SallyportError } from '../base/errors.ts';
import { type Answerer, checkFields, Line } from '../link/link.ts';
import { type RouteName, type Routes, routes } from './routes.ts';

export { type Right, rights, type RouteName, type Routes, routes } from './routes.ts';

export const contractErrors = defineErrors({
  'contract.no-keeper': {
    meaning: 'no Sallyport answers on this data directory',
    remedy: 'start it with `sallyport start`, or name its data directory with --data or SALLYPORT_DATA',
  },
  'contract.not-yours': {
    meaning: 'the socket of this Sallyport belongs to another user',
    remedy: 'run this command as the user who started it, or as root',
  },
  'contract.unknown-route': {
    meaning: 'this Sallyport knows no such request',
    remedy: 'use the command line of the same version',
  },
});

export class ContractError extends SallyportError<keyof typeof contractErrors> {
  constructor(code: keyof typeof contractErrors, detail?: string, options?: ErrorOptions) {
    super(code, contractErrors[code], detail, options);
  }
}

export type Fields<N extends RouteName> = Static<Routes[N]['ask']>;
export type Reply<N extends RouteName> = Static<Routes[N]['answer']>;
export type Part<N extends RouteName> = Routes[N] extends { readonly parts?: infer P extends TSchema }
  ? Static<P>
  : never;

/** One function for each route, on the side that answers. Each may refuse. */
export type RouteAnswers = {
  readonly [N in RouteName]: (
    fields: Fields<N>,
    part: (fields: Part<N>) => void,
    signal: AbortSignal,
  ) => Promise<Reply<N> | Refusal>;
};

/** Checks the fields of every call before it reaches its answer. */
export function routeAnswerer(answers: RouteAnswers): Answerer {
  return async (name, fields, part, signal) => {
    if (!Object.hasOwn(routes, name)) throw new ContractError('contract.unknown-route', name);
    const route = routes[name as RouteName];
    const answer = answers[name as RouteName];
    return await answer(checkFields(route.ask, fields, name) as never, part as never, signal);
  };
}

/** A caller of routes over a line. */
export interface Client extends AsyncDisposable {
  call<N extends RouteName>(
    name: N,
    fields: Fields<N>,
    signal: AbortSignal,
    onPart?: (part: Part<N>) => void,
  ): Promise<Reply<N> | Refusal>;
}

/** Connects to the keeper's socket. Throws `contract.no-keeper` or `contract.not-yours`. */
export async function openClient(socketPath: string): Promise<Client> {
  const socket = connect(socketPath);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error) => {
      const code = codeOf(error) === 'EACCES' ? 'contract.not-yours' : 'contract.no-keeper';
      reject(new ContractError(code, socketPath, { cause: error }));
    });
  });
  const line = new Line(
    socket,
    async (name) => {
      throw new ContractError('contract.unknown-route', name);
    },
    () => {},
  );
  return {
    call: async (name, fields, signal, onPart) => {
      const answer = await line.ask(name, fields, signal, onPart as (part: unknown) => void);
      if (typeof answer === 'object' && answer !== null && 'refused' in answer) return answer as Refusal;
      return checkFields(routes[name].answer, answer, name) as never;
    },
    [Symbol.asyncDispose]: () => line[Symbol.asyncDispose](),
  };
}

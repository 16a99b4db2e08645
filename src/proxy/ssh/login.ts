/**
 * Who is it? The server's side of SSH user authentication, answered by the keeper. The gate reads the login name as a
 * selector, carries factors to the keeper and its verdicts back; it decides nothing itself. A one-time code is asked
 * by keyboard-interactive, after a password in the same conversation or after a key in one of its own.
 */
import { isRefusal } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { type Keeper, parseSelector, type Selector } from '../../link/link.ts';
import type { AuthMethod, Authenticator, Dialogue, DialogueStep, Verdict } from '../../protocol/ssh/ssh.ts';
import { ProxyError } from '../errors.ts';
import type { Peer } from '../place.ts';

/** Connection tokens are for clients that know nothing but a password; the keeper asks none of ssh. */
type Factor = 'password' | 'publickey' | 'totp' | 'token';
type Submitted = Parameters<Keeper['login.factor']>[0]['factor'];

export interface Login extends Authenticator {
  /** The keeper's handle; empty before the first request. */
  readonly handle: string;
  readonly selector: Selector | undefined;
}

const methodOf: Readonly<Record<Factor, AuthMethod>> = {
  token: 'password',
  password: 'password',
  publickey: 'publickey',
  totp: 'keyboard-interactive',
};

/** An Authenticator (RFC 4252) whose answers are the keeper's. */
export function keeperLogin(keeper: Keeper, peer: Peer): Login {
  let handle = '';
  let selector: Selector | undefined;
  let next: readonly Factor[] = [];

  function methods(): AuthMethod[] {
    const out = new Set(next.map((factor) => methodOf[factor]));
    if (next.includes('password')) out.add('keyboard-interactive');
    return [...out];
  }

  async function submit(factor: Submitted, signal: AbortSignal): Promise<Verdict> {
    const answer = await keeper['login.factor']({ login: handle, factor }, signal);
    if (isRefusal(answer)) return { kind: 'refused', next: methods() };
    next = answer.next;
    return answer.verdict === 'accepted' ? { kind: 'accepted' } : { kind: answer.verdict, next: methods() };
  }

  return {
    get handle() {
      return handle;
    },
    get selector() {
      return selector;
    },
    begin: async (user, _tell, signal) => {
      const parsed = parseSelector(user);
      selector = 'violation' in parsed ? undefined : parsed;
      // A login name that spells nothing is asked about like any other; nobody can have the empty one.
      const name = selector?.user ?? '';
      const answer = await keeper['login.begin'](
        { user: name, address: peer.address, port: peer.port, protocol: 'ssh' },
        signal,
      );
      if (isRefusal(answer)) throw new ProxyError('proxy.protocol', answer.reason);
      handle = answer.login;
      next = answer.next;
      return { next: methods() };
    },
    none: async () => ({ kind: 'refused', next: methods() }),
    password: async (_user, password, signal) => await submit({ kind: 'password', secret: password.reveal() }, signal),
    publickeyQuery: async (_user, _algorithm, blob, signal) => {
      const answer = await keeper['login.knowsKey']({ login: handle, publicKey: blob }, signal);
      return !isRefusal(answer) && answer.known;
    },
    publickey: async (user, claim, signal) =>
      await submit(
        {
          kind: 'publickey',
          algorithm: claim.algorithm,
          publicKey: claim.blob,
          signature: claim.signature,
          sessionId: claim.sessionId,
          user,
          service: 'ssh-connection',
        },
        signal,
      ),
    keyboardInteractive: async () => dialogue(() => next, submit),
  };
}

/** Asks for whatever the keeper wants next: the password, then a code, each at a prompt that shows nothing. */
function dialogue(
  next: () => readonly Factor[],
  submit: (factor: Submitted, signal: AbortSignal) => Promise<Verdict>,
): Dialogue {
  let asked: 'password' | 'totp' | undefined;

  function ask(): DialogueStep {
    asked = next().includes('password') ? 'password' : next().includes('totp') ? 'totp' : undefined;
    if (asked === undefined) return { kind: 'refused', next: next().map((factor) => methodOf[factor]) };
    return {
      kind: 'prompts',
      prompts: [{ text: asked === 'password' ? 'Password: ' : 'One-time code: ', echo: false }],
    };
  }

  return {
    next: async (answers, signal) => {
      const answer: Secret | undefined = answers?.[0];
      if (answer === undefined || asked === undefined) return ask();
      const verdict = await submit(
        asked === 'password' ? { kind: 'password', secret: answer.reveal() } : { kind: 'totp', code: answer.reveal() },
        signal,
      );
      return verdict.kind === 'partial' && verdict.next.includes('keyboard-interactive') ? ask() : verdict;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** The words that a person is shown as the name of the gate. */
export const version = 'SSH-2.0-Sallyport';

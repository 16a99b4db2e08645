/**
 * What the server's side of user authentication asks of whoever knows the people. The state machine (`server.ts`) speaks
 * the protocol and counts; an Authenticator decides. It may take its time (a second factor, an approval): nothing else
 * of this connection is read meanwhile, and the answers leave in the order of the requests. Every method heeds its
 * signal, which fires when the grace time is over and when the client leaves.
 */
import type { Clock } from '../../../base/clock.ts';
import type { Secret } from '../../../base/secret.ts';

export type AuthMethod = 'none' | 'password' | 'publickey' | 'keyboard-interactive';

/** The answer to one attempt. `next` are the methods that can continue (RFC 4252 §5.1); empty ends the hopes. */
export type Verdict =
  | { readonly kind: 'accepted' }
  /** This factor was right, another one is needed. */
  | { readonly kind: 'partial'; readonly next: readonly AuthMethod[] }
  | { readonly kind: 'refused'; readonly next: readonly AuthMethod[] };

/** A signed publickey request. Whoever decides checks it: `verifySignature(blob, algorithm, signedData, signature)`. */
export interface PublickeyClaim {
  readonly algorithm: string;
  /** Public key blob. */
  readonly blob: Uint8Array;
  /** Signature blob: string algorithm, string signature. */
  readonly signature: Uint8Array;
  /** The exact bytes that are signed (RFC 4252 §7); they begin with the session id. */
  readonly signedData: Uint8Array;
  readonly sessionId: Uint8Array;
}

export interface Prompt {
  readonly text: string;
  /** Whether the person may see what he types. */
  readonly echo: boolean;
}

export type DialogueStep =
  | {
      readonly kind: 'prompts';
      readonly name?: string;
      readonly instruction?: string;
      readonly prompts: readonly Prompt[];
    }
  | Verdict;

/** One keyboard-interactive conversation (RFC 4256). Disposed when it ends, also when the client abandons it. */
export interface Dialogue extends AsyncDisposable {
  /** First without answers, then with exactly as many as there were prompts. The answers are zeroed afterwards. */
  next(answers: readonly Secret[] | undefined, signal: AbortSignal): Promise<DialogueStep>;
}

export interface Authenticator {
  /** Called once, with the first request's user name. `tell` shows a banner at any time before the end. */
  begin(
    user: string,
    tell: (text: string) => void,
    signal: AbortSignal,
  ): Promise<{ readonly next: readonly AuthMethod[] }>;
  none(user: string, signal: AbortSignal): Promise<Verdict>;
  /** The secret is zeroed when the promise settles: copy it to keep it. */
  password(user: string, password: Secret, signal: AbortSignal): Promise<Verdict>;
  keyboardInteractive(user: string, submethods: string, signal: AbortSignal): Promise<Dialogue>;
  /** Whether a signature by this key would be looked at. No proof of anything. */
  publickeyQuery(user: string, algorithm: string, blob: Uint8Array, signal: AbortSignal): Promise<boolean>;
  publickey(user: string, claim: PublickeyClaim, signal: AbortSignal): Promise<Verdict>;
}

export interface AuthenticateOptions {
  /** Refused attempts before the connection is ended. Default 6. */
  readonly attempts?: number;
  /** Publickey queries without signature, counted apart. Default 20. */
  readonly queries?: number;
  /** From the first byte to the end of authentication. Default 120 000 ms. */
  readonly graceMs?: number;
  /** A refused factor is answered this long after its request, whatever the reason. Default 300 ms. */
  readonly refusalMs?: number;
  /** The same for requests without proof: `none`, queries, unknown methods. Default 20 ms. */
  readonly probeMs?: number;
  /** Signature algorithms that are looked at; others are refused without asking. Defaults to all this room verifies. */
  readonly algorithms?: readonly string[];
  /** For tests; the system's otherwise. */
  readonly clock?: Clock;
}

export type AuthOutcome =
  | { readonly kind: 'accepted'; readonly user: string; readonly method: AuthMethod; readonly attempts: number }
  /** The connection is over, and nobody was let in. `user` is what was claimed, if anything was. */
  | {
      readonly kind: 'ended';
      readonly why: 'left' | 'attempts' | 'grace' | 'protocol' | 'broken';
      readonly user: string | undefined;
      readonly detail: string;
    };

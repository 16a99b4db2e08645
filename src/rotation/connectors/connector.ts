/**
 * What a connector is: how one kind of target changes and checks a credential. It runs in a process of its own
 * (worker.ts) that ends after one job, sees one account, and answers in three ways. It never decides a status:
 * that is the engine's, from these answers (plan/verdict.ts).
 */
import type { Secret } from '../../base/secret.ts';
import type { Signer } from '../../protocol/ssh/types.ts';
import type { CredentialKind } from '../../vault/vault.ts';
import type { Said, Verification } from '../plan/verdict.ts';

/** The likely cause, for people (W-41). */
export type AnswerClass =
  | 'none'
  | 'unreachable-refused'
  | 'unreachable-timeout'
  | 'unreachable'
  | 'host-key'
  | 'authentication'
  | 'permission'
  | 'policy'
  | 'locked'
  | 'expired'
  | 'missing'
  | 'cut'
  | 'timeout'
  | 'unsupported'
  | 'unexpected';

/** What one step of a connector came to. `words` are the target's or ours, without secrets, at most 500 characters. */
export interface ChangeAnswer {
  readonly said: Said;
  readonly class: AnswerClass;
  readonly words: string;
}

export interface VerifyAnswer {
  readonly answer: Verification;
  readonly class: AnswerClass;
  readonly words: string;
}

/** How somebody logs in to the target. Of a key only signatures leave the engine. */
export type LoginCredential =
  | { readonly kind: 'password'; readonly secret: Secret }
  | { readonly kind: 'ssh-key'; readonly signer: Signer };

/** The value to be put in place. Of a key pair the target needs the public half only. */
export type NewCredential =
  | { readonly kind: 'password'; readonly secret: Secret }
  | {
      readonly kind: 'ssh-key';
      readonly publicKey: Uint8Array;
      /** The key whose place it takes: its options (`from=`, `restrict`…) hold for the new one too. */
      readonly replaces?: Uint8Array | undefined;
    };

/** Who performs the change: the account itself, or an administrator of the target. */
export interface Login {
  readonly user: string;
  readonly credential: LoginCredential;
}

/** Where, and who stands there. */
export interface Place {
  readonly address: string;
  readonly port: number;
  /** Public key blobs; any other host key ends the connection before anything secret is sent. */
  readonly hostKeys: readonly Uint8Array[];
}

export interface Work {
  readonly place: Place;
  /** The account's login name on the target. */
  readonly account: string;
  readonly by: { readonly mode: 'self' | 'admin'; readonly login: Login };
  /** Seconds after which the target itself ends the change. */
  readonly targetSeconds: number;
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface Connector {
  /** As accounts name it. */
  readonly name: string;
  readonly kind: CredentialKind;
  /** Who can perform changes. */
  readonly modes: readonly ('self' | 'admin')[];
  /** Characters that a new password must not hold. */
  readonly forbidden: string;
  /** Old and new may be live together; the old one is taken away by `retire` after the new one has proven itself. */
  readonly retires: boolean;
  /** Why these settings of an account are wrong, or undefined. */
  faultOf(settings: Readonly<Record<string, unknown>>): string | undefined;
  /** Why this login name cannot be handled, or undefined. */
  faultOfName(account: string): string | undefined;
  /** Everything a change needs, changing nothing: permission, the account's presence. `said: 'confirmed'` is yes. */
  precheck(work: Work, signal: AbortSignal): Promise<ChangeAnswer>;
  /** Puts the new value in place. Idempotent where the target allows. */
  change(work: Work, fresh: NewCredential, signal: AbortSignal): Promise<ChangeAnswer>;
  /** Takes former values away. Only where `retires`. */
  retire(work: Work, former: readonly Uint8Array[], signal: AbortSignal): Promise<ChangeAnswer>;
  /** A real login as the account on a connection of its own. */
  verify(place: Place, login: Login, signal: AbortSignal): Promise<VerifyAnswer>;
}

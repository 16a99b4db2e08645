/**
 * What a connector is: how one kind of target changes and checks a credential. It runs in a process of its own
 * (worker.ts) that ends, sees one target and the accounts of one job at a time, and answers in three ways. It never decides a status:
 * that is the engine's, from these answers (plan/verdict.ts). A new connector is one file, one entry in entries.ts and
 * one in the conformance list of the tests.
 */
import type { Secret } from '../../base/secret.ts';
import type { Protocol } from '../../estate/estate.ts';
import type { Signer } from '../../protocol/ssh/types.ts';
import type { CredentialKind } from '../../vault/vault.ts';
import type { Said, Verification } from '../plan/verdict.ts';
import type { Parameters } from './parameters.ts';

/** The likely cause, for people (W-41). */
export type AnswerClass =
  | 'none'
  | 'unreachable-refused'
  | 'unreachable-timeout'
  | 'unreachable'
  | 'host-key'
  /** The server's certificate is not one that we trust. */
  | 'certificate'
  | 'authentication'
  | 'permission'
  | 'policy'
  /** The target lets nobody change this password again so soon. */
  | 'too-young'
  | 'locked'
  | 'expired'
  | 'missing'
  | 'cut'
  | 'timeout'
  /** It holds now, and a restart of the device would bring the old value back. */
  | 'unsaved'
  /** Not asked, because one more refused login could lock the account. */
  | 'budget'
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
  /** `stored`: compared with what the target keeps, so that nothing was counted there. A login unless told. */
  readonly how?: 'login' | 'stored';
  /** Of `unknown`: the target may well have refused it without saying so, and it is held against its lock-out. */
  readonly counts?: true;
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

/** Who logs in: the account itself, or an administrator of the target. */
export interface Login {
  readonly user: string;
  readonly credential: LoginCredential;
  /** Two-account mode (P-21): this one logs in first, and becomes `user` from there. Only where `capabilities.via`. */
  readonly via?: Login;
}

/** How a server other than an ssh server proves itself before any secret is sent to it. */
export type Tls =
  | { readonly kind: 'off' }
  | {
      readonly kind: 'verify';
      /** The name in its certificate, where that is not its address. */
      readonly serverName?: string;
      /** Who signed it, as PEM; the authorities that Node knows unless told. */
      readonly ca?: string;
    };

/** Where, and who stands there. */
export interface Place {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  /** Of an ssh server: public key blobs; any other host key ends the connection before anything secret is sent. */
  readonly hostKeys: readonly Uint8Array[];
  readonly tls: Tls;
  /** Of the service: `database`, `realm`… */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** One account on one target. */
export interface Task {
  readonly place: Place;
  /** The account's login name on the target. */
  readonly account: string;
  /** The account's own, checked against the connector's parameters. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Where programs of the operator's lie (connector `script`). */
  readonly plugins?: string;
  /** Of `adminverify`: through whom the account itself logs in, where it cannot do so directly (`Login.via`). */
  readonly via?: Login;
}

export interface Work extends Task {
  readonly by: { readonly mode: 'self' | 'admin'; readonly login: Login };
  /** Names this change on the target, so that `fence` finds what is left of it: `rot-` and the sigkey. No secret. */
  readonly tag: string;
  /** Seconds after which the target itself ends the change, where it can. */
  readonly targetSeconds: number;
  /** Of `precheck`: a reconcile follows, so that a lock-out, which it lifts, is no obstacle. */
  readonly lifts?: boolean;
}

/** What a connector can do and what it promises; shown by `sallyport connectors`. */
export interface Capabilities {
  /** Who can perform changes; nobody where a connector only verifies, and then `precheck` and `change` send nothing. */
  readonly modes: readonly ('self' | 'admin')[];
  /** An administrator may log in through another account (`Login.via`). */
  readonly via: boolean;
  /**
   * How candidates are tried so that no account is ever locked. `stored`: compared with what the target keeps, if an
   * administrator may read it. `budget`: logins, as many as the target's own lock-out leaves. `logins`: nothing is locked there.
   */
  readonly adminverify: 'stored' | 'budget' | 'logins';
  /** `sessions`: what a cut-off change left running is found by its tag and ended. `time`: only its own time-out ends it. */
  readonly fence: 'sessions' | 'time';
  /**
   * What is changed holds only until a restart unless the device was told to save. A change that was cut off is durable
   * only when `fence` says so.
   */
  readonly saves?: true;
  /**
   * `verifier`: only a hash of the new value leaves us. `value`: the value does, inside the protected connection. `nothing`:
   * there are no new values.
   */
  readonly sends: 'verifier' | 'value' | 'nothing';
}

export interface Connector {
  /** As accounts name it. */
  readonly name: string;
  /** One line for people: what it changes, by what means. */
  readonly title: string;
  readonly kind: CredentialKind;
  /** Services by which it reaches a target, the preferred one first. */
  readonly protocols: readonly Protocol[];
  readonly capabilities: Capabilities;
  /** Characters that a new password must not hold. */
  readonly forbidden: string;
  /** Old and new may be live together; the old one is taken away by `retire` after the new one has proven itself. */
  readonly retires: boolean;
  /**
   * A right value may be refused there for reasons that a login does not tell (an account of the same name in front, a
   * date that has passed): before a refusal is believed, what is stored is asked, where an administrator may read it.
   */
  readonly refusalsMislead?: true;
  /** What an account's settings may hold. Anything else is refused. */
  readonly parameters: Parameters;
  /**
   * Why a value without forbidden characters cannot be set there all the same (its length, its first character), or
   * undefined. What is drawn and does not fit is drawn again.
   */
  readonly faultOfValue?: (value: Secret, settings: Readonly<Record<string, unknown>>) => string | undefined;
  /** Why this login name cannot be handled, or undefined. */
  readonly faultOfName: (account: string) => string | undefined;
  /** Everything a change needs, changing nothing: permission, the account's presence. `said: 'confirmed'` is yes. */
  readonly precheck: (work: Work, signal: AbortSignal) => Promise<ChangeAnswer>;
  /** Puts the new value in place. Idempotent where the target allows. */
  readonly change: (work: Work, fresh: NewCredential, signal: AbortSignal) => Promise<ChangeAnswer>;
  /** As `change` by an administrator, whatever state the account is in: a lock-out is lifted too. `change` unless given. */
  readonly reconcile?: (work: Work, fresh: NewCredential, signal: AbortSignal) => Promise<ChangeAnswer>;
  /** Takes former values away. Only where `retires`. */
  readonly retire?: (work: Work, former: readonly Uint8Array[], signal: AbortSignal) => Promise<ChangeAnswer>;
  /**
   * Ends whatever a cut-off change with this tag may still be doing, and makes durable what it did. `confirmed`: nothing
   * of it can land any more. Only where `capabilities.fence` is `sessions`, or a device must be told to save.
   */
  readonly fence?: (work: Work, signal: AbortSignal) => Promise<ChangeAnswer>;
  /** A real login as the account on a connection of its own. */
  readonly verify: (task: Task, login: Login, signal: AbortSignal) => Promise<VerifyAnswer>;
  /**
   * Which of several values the target has, one answer each in their order, without ever locking the account: at most
   * `budget` refused logins, and fewer if the target says that it would lock. `admin` may look at what is stored.
   */
  readonly adminverify: (
    task: Task,
    admin: Login | undefined,
    candidates: readonly LoginCredential[],
    budget: number,
    signal: AbortSignal,
  ) => Promise<readonly VerifyAnswer[]>;
}

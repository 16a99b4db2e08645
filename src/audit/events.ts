/** The shapes of the audit trail: who, what about, what happened. */
import type {
  AccountId,
  GateId,
  GrantId,
  GroupId,
  PolicyId,
  RecordingId,
  SessionId,
  Sigkey,
  TargetId,
  UserId,
} from '../base/ids.ts';
import type { AuditDetails, AuditEventType } from './catalogue.ts';

/** Who did it. The address is the user's own, as the gate saw it. */
export type Actor =
  | { readonly kind: 'user'; readonly id: UserId; readonly name: string; readonly address?: string }
  | { readonly kind: 'operator'; readonly name: string; readonly address?: string }
  | { readonly kind: 'system'; readonly part: string }
  | { readonly kind: 'gate'; readonly id: GateId; readonly address?: string }
  /** Whoever has the key of this source and has signed with it. */
  | { readonly kind: 'event-source'; readonly name: string; readonly address?: string };

/** What an event is about. Every id can be searched for. */
export interface About {
  readonly user?: UserId | undefined;
  readonly group?: GroupId | undefined;
  readonly target?: TargetId | undefined;
  readonly account?: AccountId | undefined;
  readonly policy?: PolicyId | undefined;
  readonly grant?: GrantId | undefined;
  readonly session?: SessionId | undefined;
  readonly recording?: RecordingId | undefined;
  readonly gate?: GateId | undefined;
  readonly sigkey?: Sigkey | undefined;
}

/** One event, before it is written. */
export type AuditEvent = {
  readonly [T in AuditEventType]: {
    readonly type: T;
    readonly about: About;
    readonly details: AuditDetails<T>;
  };
}[AuditEventType];

/** One row of the trail, as read back. */
export interface AuditRecord {
  readonly seq: number;
  readonly at: Date;
  readonly type: string;
  readonly actor: Actor;
  readonly about: About;
  readonly details: Readonly<Record<string, unknown>>;
  readonly hash: Uint8Array;
}

/** Tables of several nodes, as kysely sees them. Migrations: `db/migrations/075_nodes.ts`, `078_nodes_mesh.ts`, `079_nodes_asking.ts`. */
import type { Generated, GeneratedAlways } from 'kysely';
import type { AccountId, Id, Sigkey } from '../../base/ids.ts';

export interface LedgerIncarnationTable {
  id: string;
  since: Generated<Date>;
}

export interface LedgerArrivalTable {
  id: GeneratedAlways<number>;
  account_id: AccountId | null;
  sigkey: Sigkey | null;
  at: Generated<Date>;
}

export interface LedgerQuarantineTable {
  id: GeneratedAlways<number>;
  table_name: string;
  row: Readonly<Record<string, unknown>>;
  at: Generated<Date>;
  acknowledged_at: Date | null;
}

export interface AdvanceTable {
  node: Generated<string>;
  node_seq: GeneratedAlways<number>;
  account_id: AccountId;
  root: Sigkey | null;
  at: Generated<Date>;
}

export interface BarrierTable {
  node: Generated<string>;
  ask: Id<'barrier'>;
  kind: 'ask' | 'answer';
  at: Generated<Date>;
}

export interface NodePeerTable {
  name: string;
  card: Uint8Array;
  added_at: Generated<Date>;
  renew: Generated<boolean>;
  doubt: Generated<boolean>;
  greet: Generated<boolean>;
  fetching: Generated<boolean>;
  letter_at: Generated<number>;
}

export interface NodeForgottenTable {
  name: string;
  at: Generated<Date>;
}

export interface NodeKnockTable {
  id: GeneratedAlways<number>;
  letter: Uint8Array;
  at: Generated<Date>;
}

/** A view. */
export interface LedgerUnfoldedView {
  account_id: AccountId | null;
  id: number;
  at: Date;
}

/** A view: the account as readers should take it, also while facts that have come are not folded yet. */
export interface AccountStateView {
  account_id: AccountId;
  stale: boolean;
  conflict: 'none' | 'incomplete' | 'tree' | 'tree+incomplete';
  busy: boolean;
}

/** A view. */
export interface LedgerRingHistoryView {
  sealed: Uint8Array;
}

export type NodeTables = {
  ledger_ring_history: LedgerRingHistoryView;
  ledger_incarnation: LedgerIncarnationTable;
  ledger_arrival: LedgerArrivalTable;
  ledger_quarantine: LedgerQuarantineTable;
  advance: AdvanceTable;
  barrier: BarrierTable;
  node_peer: NodePeerTable;
  node_knock: NodeKnockTable;
  node_forgotten: NodeForgottenTable;
  ledger_unfolded: LedgerUnfoldedView;
  account_state: AccountStateView;
};

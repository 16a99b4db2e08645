/**
 * A family of targets: one connector and a real server for it. What the server has is found out here without the connector
 * and without the product's own clients. The next family is one file and one entry in `families.ts`.
 */
import type { ServiceDeclaration } from '../../src/estate/estate.ts';
import type { RunConnector } from '../../src/rotation/connectors/run.ts';
import type { Value } from '../values.ts';

export interface Family {
  /** As `--family` names it. */
  readonly name: string;
  /** The connector that changes its accounts. */
  readonly connector: string;
  readonly kind: 'password' | 'ssh-key';
  /** Who changes an account: the keeper, or the account itself. The keeper reconciles in any case. */
  readonly by: 'keeper' | 'self';
  /** Settings of each account, for the connector. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly start: () => Promise<Server>;
}

/** A server that runs. */
export interface Server extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** How a target reaches it there. */
  readonly service: (port: number) => ServiceDeclaration;
  /** The account by whose rights others are changed; it is never changed itself. */
  readonly keeper: { readonly name: string; readonly connector: string; readonly value: Value };
  /** A value that nobody had before. */
  readonly draw: () => Promise<Value>;
  /** Gives the accounts these values and no other, and makes those that are not there. A person could do the same. */
  readonly plant: (accounts: readonly Named<Value>[]) => Promise<void>;
  /** Which of these values opens its account now. */
  readonly holds: (accounts: readonly Named<readonly Value[]>[]) => Promise<readonly (readonly boolean[])[]>;
  /** How connectors are asked after the start, where they are no processes: in tests of the harness. */
  readonly run?: RunConnector;
  /** Resolves when nothing that a dead process began is running there any more. */
  readonly quiet: () => Promise<void>;
}

export interface Named<T> {
  readonly name: string;
  readonly value: T;
}

/** The connectors there are, all of them loaded: for the keeper, which must know what each can do. */
import type { CredentialKind } from '../../vault/vault.ts';
import type { Connector } from './connector.ts';
import { entries } from './entries.ts';

const connectors: readonly Connector[] = await Promise.all([...entries.values()].map((load) => load()));

export const connectorNames: readonly string[] = connectors.map((connector) => connector.name);

/** All of them, for people who ask what there is (W-60). */
export const allConnectors: readonly Connector[] = connectors;

/** The connector of that name, or undefined. */
export function connectorNamed(name: string): Connector | undefined {
  return connectors.find((connector) => connector.name === name);
}

/** The connector whose login proves a credential of this kind when the account itself names none. */
export function verifierOf(kind: CredentialKind): Connector | undefined {
  return connectors.find((connector) => connector.kind === kind);
}

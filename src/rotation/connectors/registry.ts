/** The connectors there are, all of them loaded: for the keeper, which must know what each can do. */
import type { Platform } from '../../estate/estate.ts';
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

/** Those whose login proves a value without a setting of the account; the first that fits is taken. */
const verifiers = ['linux-chpasswd', 'ssh-key', 'postgres', 'mysql', 'ldap', 'ad', 'ios', 'rdp-nla'];

/** Who fits first on such a target. */
const likelier: Partial<Readonly<Record<Platform, readonly string[]>>> = {
  database: ['postgres', 'mysql'],
  network: ['ios'],
  windows: ['ad'],
};

/** Those that could prove a credential of this kind where the account itself names no connector, the likeliest first. */
export function verifiersOf(kind: CredentialKind, platform: Platform): readonly Connector[] {
  return [...new Set([...(likelier[platform] ?? []), ...verifiers])]
    .map(connectorNamed)
    .filter((one) => one !== undefined)
    .filter((one) => one.kind === kind);
}

/** The connectors there are. A new one is one file and one entry here. */
import type { Platform } from '../../estate/estate.ts';
import type { CredentialKind } from '../../vault/vault.ts';
import { ad } from './ad.ts';
import type { Connector } from './connector.ts';
import { ios } from './ios.ts';
import { ldap } from './ldap.ts';
import { linuxChpasswd } from './linux-chpasswd.ts';
import { linuxPasswd } from './linux-passwd.ts';
import { linuxShadow } from './linux-shadow.ts';
import { mysql } from './mysql.ts';
import { postgres } from './postgres.ts';
import { script } from './script.ts';
import { sshKey } from './ssh-key.ts';

const connectors: readonly Connector[] = [
  linuxChpasswd,
  linuxShadow,
  linuxPasswd,
  sshKey,
  postgres,
  mysql,
  ad,
  ldap,
  ios,
  script,
];

export const connectorNames: readonly string[] = connectors.map((connector) => connector.name);

/** All of them, for people who ask what there is (W-60). */
export const allConnectors: readonly Connector[] = connectors;

/** The connector of that name, or undefined. */
export function connectorNamed(name: string): Connector | undefined {
  return connectors.find((connector) => connector.name === name);
}

/** Those whose login proves a value without a setting of the account; the first that fits is taken. */
const verifiers: readonly Connector[] = [linuxChpasswd, sshKey, postgres, mysql, ldap, ad, ios];

/** Who fits first on such a target. */
const likelier: Partial<Readonly<Record<Platform, readonly Connector[]>>> = {
  database: [postgres, mysql],
  network: [ios],
  windows: [ad],
};

/** Those that could prove a credential of this kind where the account itself names no connector, the likeliest first. */
export function verifiersOf(kind: CredentialKind, platform: Platform): readonly Connector[] {
  const first = likelier[platform] ?? [];
  return [...first, ...verifiers.filter((one) => !first.includes(one))].filter((one) => one.kind === kind);
}

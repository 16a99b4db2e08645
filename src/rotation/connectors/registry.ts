/** The connectors there are. A new one is one file, one entry here and one in `loaded.ts`. */
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

/** The connector whose login proves a credential of this kind when the account itself names none. */
export function verifierOf(kind: CredentialKind): Connector | undefined {
  return connectors.find((connector) => connector.kind === kind);
}

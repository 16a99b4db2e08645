/** The families there are. A new one is one file and one entry here. */
import type { Family } from './family.ts';
import { ldapEntries } from './ldap.ts';
import { linuxPasswd, linuxPasswords, linuxShadow, sshKeys } from './linux.ts';
import { mariadbAccounts } from './mariadb.ts';
import { postgresRoles, postgresSelf } from './postgres.ts';

export const families: readonly Family[] = [
  linuxPasswords,
  linuxShadow,
  linuxPasswd,
  sshKeys,
  postgresRoles,
  postgresSelf,
  mariadbAccounts,
  ldapEntries,
];

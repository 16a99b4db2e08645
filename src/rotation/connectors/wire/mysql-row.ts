/**
 * What a server of the MySQL family says of itself and of an account: its version, and the row that keeps the account's
 * password. MariaDB keeps the row as JSON (mysql.global_priv), MySQL in columns (mysql.user). Foreign text with bounds. Pure.
 */
import type { MysqlAccount } from './mysql-account.ts';

export interface Server {
  readonly family: 'mariadb' | 'mysql';
  readonly major: number;
  readonly minor: number;
}

/** One way in which an account may log in. */
export interface Method {
  readonly plugin: string;
  readonly stored: string;
}

export interface AccountRow extends MysqlAccount {
  /** In the server's order; any of them lets in. Most accounts have one. */
  readonly methods: readonly Method[];
  readonly locked: boolean;
  readonly expired: boolean;
  /** What the connection must have besides the password. */
  readonly needs: 'nothing' | 'tls' | 'client-certificate';
}

/** `5.5.5-10.11.6-MariaDB-log`, `11.4.2-MariaDB`, `8.0.36`; undefined for anything else. */
export function parseVersion(text: string): Server | undefined {
  const [, major = '', minor = ''] =
    /^(?:5\.5\.5-(?=\d+\.\d+\.\d+-MariaDB))?(\d{1,3})\.(\d{1,3})\.\d{1,5}(?:\D|$)/.exec(text) ?? [];
  if (major === '') return undefined;
  const family = /mariadb/i.test(text.slice(0, 256)) ? 'mariadb' : 'mysql';
  return { family, major: Number(major), minor: Number(minor) };
}

/** The plugin that an account has where none is written. */
const unnamed = 'mysql_native_password';
/** Longer is not a row that anybody needs. */
const longest = 65_536;
const mostMethods = 8;

/**
 * A row of mysql.global_priv. `role`: it is no account. Undefined: not a form that is known here.
 */
export function parsePriv(account: MysqlAccount, priv: string): AccountRow | 'role' | undefined {
  if (priv.length > longest) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(priv);
  } catch {
    return undefined;
  }
  if (!isRecord(parsed)) return undefined;
  if (parsed['is_role'] === true) return 'role';
  const own = methodOf(parsed, undefined);
  const several = parsed['auth_or'];
  if (own === undefined || (several !== undefined && !Array.isArray(several))) return undefined;
  // In the list of several ways the account's own plugin stands as an empty object.
  const methods = several === undefined ? [own] : several.map((one: unknown) => methodOf(one, own));
  if (methods.length === 0 || methods.length > mostMethods || methods.includes(undefined)) return undefined;
  const ssl = parsed['ssl_type'];
  return {
    ...account,
    methods: methods.filter((one) => one !== undefined),
    locked: parsed['account_locked'] === true,
    expired: parsed['password_last_changed'] === 0 && parsed['plugin'] !== undefined,
    needs: ssl === 1 ? 'tls' : ssl === 2 || ssl === 3 ? 'client-certificate' : 'nothing',
  };
}

function methodOf(value: unknown, own: Method | undefined): Method | undefined {
  if (!isRecord(value)) return undefined;
  if (own !== undefined && Object.keys(value).length === 0) return own;
  const plugin = value['plugin'] ?? '';
  const stored = value['authentication_string'] ?? '';
  if (typeof plugin !== 'string' || typeof stored !== 'string') return undefined;
  return { plugin: plugin === '' ? unnamed : plugin, stored };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What `SHOW CREATE USER` of one's own account says of its plugins, in order. Empty when it has no known form. */
export function pluginsShown(statement: string): readonly string[] {
  if (statement.length > longest) return [];
  const [, clause = ''] = /^(?:CREATE|ALTER) USER `[^`]{0,256}`@`[^`]{0,256}`(.*)$/s.exec(statement) ?? [];
  if (clause.startsWith(' IDENTIFIED BY PASSWORD ')) return [unnamed];
  const [list = ''] = /^ IDENTIFIED VIA (?:(?: OR )?[a-z0-9_]{1,64}(?: USING '[^']{0,1024}')?){1,8}/.exec(clause) ?? [];
  return [...list.replaceAll(/ USING '[^']*'/g, '').matchAll(/(?: VIA | OR )([a-z0-9_]+)/g)].map(
    (match) => match[1] ?? '',
  );
}

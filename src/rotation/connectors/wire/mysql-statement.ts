/** The statements that put a stored form in place. Everything in them is of a small alphabet, or they are not made. Pure. */
import { quoteAccount } from './mysql-account.ts';
import type { AccountRow, Method, Server } from './mysql-row.ts';

const pluginShape = /^[a-z0-9_]{1,64}$/;
const storedShape = /^[A-Za-z0-9+/=*._@$-]{0,256}$/;

/** The account's ways to log in with the password's one replaced; words when that cannot be done. */
export function withStored(
  row: AccountRow,
  storedFor: (plugin: string) => string | undefined,
): AccountRow | { readonly unsupported: string } {
  const able = row.methods.filter((method) => storedFor(method.plugin) !== undefined);
  if (able.length !== 1) {
    const plugins = row.methods.map((method) => method.plugin).join(' or ');
    return { unsupported: `'${row.user}'@'${row.host}' logs in by ${plugins}, for which no hash can be made here` };
  }
  const methods = row.methods.map(({ plugin, stored }) => ({ plugin, stored: storedFor(plugin) ?? stored }));
  const odd = methods.find((method) => !pluginShape.test(method.plugin) || !storedShape.test(method.stored));
  return odd === undefined
    ? { ...row, methods }
    : { unsupported: `what plugin ${odd.plugin} keeps cannot be written again` };
}

/** One statement for all of these accounts, whose methods are as they shall be. */
export function alterStatement(server: Server, rows: readonly AccountRow[]): string {
  const parts = rows.map((row) => `${quoteAccount(row)} IDENTIFIED ${methodsText(server, row.methods)}`);
  return `ALTER USER ${parts.join(', ')}`;
}

function methodsText(server: Server, methods: readonly Method[]): string {
  for (const { plugin, stored } of methods)
    if (!pluginShape.test(plugin) || !storedShape.test(stored)) throw new TypeError(`method ${plugin}`);
  const [first, ...more] = methods;
  if (first === undefined) throw new TypeError('an account has a way to log in');
  if (server.family === 'mysql') {
    if (more.length > 0) throw new TypeError('MySQL has no list of plugins');
    return `WITH ${first.plugin} AS '${first.stored}'`;
  }
  return `VIA ${methods.map(({ plugin, stored }) => (stored === '' ? plugin : `${plugin} USING '${stored}'`)).join(' OR ')}`;
}

/** For one's own account, where MariaDB takes the stored form. MySQL would take it for the password itself. */
export function ownStatement(server: Server, stored: string): string {
  if (server.family !== 'mariadb') throw new TypeError('MySQL takes no hash here');
  if (!storedShape.test(stored)) throw new TypeError('stored form');
  return `SET PASSWORD = '${stored}'`;
}

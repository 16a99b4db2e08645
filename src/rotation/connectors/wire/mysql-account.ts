/**
 * Accounts of MySQL and MariaDB: a user and the hosts from which it may come, each pair an account of its own with a
 * password of its own. Which of them a login becomes is the server's rule, and is followed here: the most exact host
 * first, then a named user before the anonymous one. Names outside a small alphabet are refused, so that a quoted name
 * means the same in every sql_mode and every character set. Pure.
 */

export interface MysqlAccount {
  readonly user: string;
  /** As the server keeps it: a name, an address, a network, or a pattern with % and _. */
  readonly host: string;
}

/** From where a login comes, as the server sees it. */
export interface ClientHost {
  /** The name that the server found for the address, or the address. */
  readonly host: string;
  readonly address?: string;
}

const userShape = /^[A-Za-z0-9_.$@+-]{1,80}$/;
const hostShape = /^[A-Za-z0-9_.%:/-]{1,255}$/;

/** `app@%` or `app@10.0.0.%`; a plain `app` is `app@%`. */
export function parseAccount(name: string): MysqlAccount {
  const at = name.lastIndexOf('@');
  return at === -1 ? { user: name, host: '%' } : { user: name.slice(0, at), host: name.slice(at + 1) };
}

/** Why this account cannot be handled, or undefined. */
export function faultOfAccount({ user, host }: MysqlAccount): string | undefined {
  if (!userShape.test(user))
    return `${JSON.stringify(user)} is no user name that is handled here: letters, digits, _.$@+-`;
  if (!hostShape.test(host))
    return `${JSON.stringify(host)} is no host part that is handled here: letters, digits, _.%:/-`;
  return undefined;
}

/** Both sides are the same account: users by their bytes, hosts without regard to case. */
export function isAccount(a: MysqlAccount, b: MysqlAccount): boolean {
  return a.user === b.user && a.host.toLowerCase() === b.host.toLowerCase();
}

/** For SQL; throws on a name that `faultOfAccount` finds fault with. */
export function quoteAccount(account: MysqlAccount): string {
  const fault = faultOfAccount(account);
  if (fault !== undefined) throw new TypeError(fault);
  return `'${account.user}'@'${account.host}'`;
}

/** For people. */
export function showAccount({ user, host }: MysqlAccount): string {
  return `'${user}'@'${host}'`;
}

/** Whether an account with this host part could be meant by a login from there. */
export function hostMatches(pattern: string, client: ClientHost): boolean {
  const network = /^(\d+\.\d+\.\d+\.\d+)\/(\d+\.\d+\.\d+\.\d+)$/.exec(pattern);
  if (network !== null) {
    const [address, net, mask] = [client.address ?? client.host, network[1] ?? '', network[2] ?? ''].map(ipv4);
    if (address === undefined || net === undefined || mask === undefined) return false;
    return (address & mask) >>> 0 === net;
  }
  return [client.host, client.address].some(
    (one) => one !== undefined && fits(pattern.toLowerCase(), one.toLowerCase()),
  );
}

/** `%` is any text, `_` any one character. Goes back to the last `%` only, so that no pattern costs more than its square. */
function fits(pattern: string, text: string): boolean {
  let at = 0;
  let open: { readonly pattern: number; text: number } | undefined;
  for (let from = 0; from < text.length; ) {
    const wanted = pattern[at];
    if (wanted === '%') open = { pattern: at++, text: from };
    else if (wanted !== undefined && (wanted === '_' || wanted === text[from])) {
      at++;
      from++;
    } else if (open !== undefined) {
      open.text++;
      from = open.text;
      at = open.pattern + 1;
    } else return false;
  }
  return /^%*$/.test(pattern.slice(at));
}

/** Which of these accounts a login of that user becomes, or undefined when the server would know none. */
export function matching<A extends MysqlAccount>(
  accounts: readonly A[],
  user: string,
  client: ClientHost,
): A | undefined {
  const able = accounts.filter((one) => (one.user === user || one.user === '') && hostMatches(one.host, client));
  return able.toSorted((a, b) => exactness(b.host) - exactness(a.host) || exactness(b.user) - exactness(a.user))[0];
}

/** The server's order: without a wildcard first, then by how late the first one stands. */
function exactness(name: string): number {
  const wildcard = name.search(/[%_]/);
  if (wildcard === -1) return name === '' ? 0 : 128;
  return Math.min(wildcard + 1, 127);
}

function ipv4(text: string): number | undefined {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) return undefined;
  return parts.reduce((all, part) => all * 256 + part, 0);
}

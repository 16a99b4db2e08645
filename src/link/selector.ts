/**
 * The login name that a client sends: `user`, `user@target`, `user@account@target`. It is read from the right, so that
 * a user may be an e-mail address: `ann@corp.example@root@web-01` is user `ann@corp.example`. With two names the last is
 * the target, never half of an e-mail address; such a user writes `ann%40corp.example@web-01`, or names the account.
 *
 * A target with several services takes `target,service` (`web-01,ssh-2222`): `:` and `/` would make scp and rsync split
 * the address there. For clients that dislike `@`, `+` stands for it when there is no `@`. Five characters may be escaped:
 * `%40` @, `%2B` +, `%2C` comma, `%5C` backslash, `%25` %. Anything else after `%` is refused, so that nothing has two
 * readings. User, target and service are lower case whatever was typed; an account is taken as it is.
 */

export interface Selector {
  readonly user: string;
  readonly account?: string;
  readonly target?: string;
  readonly service?: string;
}

/** Why a login name is no selector. `violation` is for logs; it repeats nothing of what was typed. */
export interface SelectorViolation {
  readonly violation: 'empty' | 'too-long' | 'control-character' | 'bad-escape' | 'bad-target' | 'bad-service';
}

const escapes: Readonly<Record<string, string>> = { '40': '@', '2B': '+', '2C': ',', '5C': '\\', '25': '%' };
const targetShape = /^[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?$/;
const serviceShape = /^[a-z0-9][a-z0-9-]{0,31}$/;
const maxLength = 768;
const maxName = 255;

/** The selector that `text` spells, or why it spells none. */
export function parseSelector(text: string): Selector | SelectorViolation {
  if (text.length > maxLength) return { violation: 'too-long' };
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd]/.test(text)) return { violation: 'control-character' };
  const parts = text.split(text.includes('@') ? '@' : '+');
  const last = parts.length > 1 ? parts.pop() : undefined;
  const account = parts.length > 1 ? parts.pop() : undefined;
  const user = unescape(parts.join('@'));
  if (user === undefined) return { violation: 'bad-escape' };
  if (user === '') return { violation: 'empty' };
  if (user.length > maxName) return { violation: 'too-long' };
  if (last === undefined) return { user: user.toLowerCase() };
  const place = parseTarget(last);
  if ('violation' in place) return place;
  if (account === undefined) return { user: user.toLowerCase(), ...place };
  const named = unescape(account);
  if (named === undefined) return { violation: 'bad-escape' };
  if (named === '') return { violation: 'empty' };
  if (named.length > maxName) return { violation: 'too-long' };
  return { user: user.toLowerCase(), account: named, ...place };
}

/** The canonical spelling: `parseSelector(formatSelector(s))` is `s` again. */
export function formatSelector(selector: Selector): string {
  let out = escape(selector.user);
  if (selector.target === undefined) return out;
  if (selector.account !== undefined) out += `@${escape(selector.account)}`;
  out += `@${selector.target}`;
  return selector.service === undefined ? out : `${out},${selector.service}`;
}

function parseTarget(text: string): { target: string; service?: string } | SelectorViolation {
  const [name = '', service, ...rest] = text.toLowerCase().split(',');
  if (name === '' && service === undefined) return { violation: 'empty' };
  if (!targetShape.test(name)) return { violation: 'bad-target' };
  if (service === undefined) return { target: name };
  if (rest.length > 0 || !serviceShape.test(service)) return { violation: 'bad-service' };
  return { target: name, service };
}

function unescape(text: string): string | undefined {
  let ok = true;
  const out = text.replace(/%(.{0,2})/g, (_, digits: string) => {
    const char = escapes[digits.toUpperCase()];
    if (char === undefined) ok = false;
    return char ?? '';
  });
  return ok ? out : undefined;
}

function escape(text: string): string {
  return text.replace(/[%@+,\\]/g, (char) =>
    char === '\\' || char === ','
      ? `%${char === ',' ? '2C' : '5C'}`
      : ({ '%': '%25', '@': '%40', '+': '%2B' }[char] ?? char),
  );
}

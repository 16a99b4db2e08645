/**
 * The user name of a client of RDP. The forms of `ssh` hold (`alice@root@win-01`, selector.ts); and because such clients
 * take what is behind an `@` for a domain, `%` parts names as well: `alice%root%win-01`, `alice%win-01`. A lone name is
 * enough for who has a connection token, which knows its place; and a domain that came with a lone name is the target,
 * unless the login is by token: clients fill in the name of their own machine.
 *
 * A `%` that begins one of the five escapes is no separator, unless another one in the same name is: nothing is both.
 */
import { formatSelector, parseSelector, type Selector, type SelectorViolation } from './selector.ts';

/** A `%` that begins no escape. */
const separator = /%(?!40|2B|2C|5C|25)/i;

export interface RdpUser extends Selector {
  /** The target is the client's domain, which may be the name of its own machine: a guess, not a wish. */
  readonly guessed?: true;
}

/** What `user` and `domain`, as CredSSP or Client Info carry them, mean. */
export function parseRdpUser(user: string, domain: string): RdpUser | SelectorViolation {
  const parsed = separator.test(user) ? parseParts(user) : parseSelector(user);
  if ('violation' in parsed || parsed.target !== undefined || domain === '') return parsed;
  // Some clients fill the domain with their own machine's name: what is no target there is no violation.
  const place = parseSelector(`x@${domain}`);
  return 'violation' in place ? parsed : { ...parsed, ...place, user: parsed.user, guessed: true };
}

/** The spelling that is easiest to type into such a client. */
export function formatRdpUser(selector: Selector): string {
  const parts = [selector.user, selector.account, selector.target].filter((part) => part !== undefined);
  const service = selector.service === undefined ? '' : `,${selector.service}`;
  const plain = parts.join('%') + service;
  const again = parseRdpUser(plain, '');
  const same = !('violation' in again) && formatSelector(again) === formatSelector(selector);
  return same ? plain : formatSelector(selector);
}

function parseParts(text: string): Selector | SelectorViolation {
  const parts = text.split('%');
  if (parts.length > 3) return { violation: 'bad-target' };
  if (parts.includes('')) return { violation: 'empty' };
  const last = parts.pop() ?? '';
  // Nothing is escaped here, and `@` is a letter of a name.
  const names = parts.map((part) => part.replaceAll('%', '%25').replaceAll('@', '%40').replaceAll('+', '%2B'));
  return parseSelector([...names, last].join('@'));
}

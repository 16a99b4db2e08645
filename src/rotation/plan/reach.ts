/**
 * Which accounts an event source may have changed: selectors like accounts are written, `root@web-01`, with `*` for any
 * name on either side (`*@web-01`, `root@*`). They are names and not ids, so that an account that is declared later is
 * reached too. Pure.
 */
import type { Event } from './event.ts';

/** An account and its target by their names. */
export interface Named {
  readonly account: string;
  readonly target: string;
}

const longest = 512;
const any = '*';

/** The two halves of a selector, parted at the last `@` as in an account's label; undefined if it is none. */
export function parseReach(text: string): Named | undefined {
  const at = text.lastIndexOf('@');
  if (text.length > longest || at < 1 || at === text.length - 1) return undefined;
  const [account, target] = [text.slice(0, at), text.slice(at + 1)];
  // A star within a name would look like a pattern and be none.
  const plain = (half: string): boolean => half === any || (!half.includes(any) && !/[\s\p{Cc}]/u.test(half));
  return plain(account) && plain(target) ? { account, target: target.toLowerCase() } : undefined;
}

/** Whether a source with this reach may have the account changed. What is no selector reaches nothing. */
export function reaches(reach: readonly string[], named: Named): boolean {
  return reach.some((text) => {
    const selector = parseReach(text);
    return selector !== undefined && fits(selector.account, named.account) && fits(selector.target, named.target);
  });
}

/** Whether the event speaks of the account. It has names and no selectors: a star in it is a star. */
export function speaksOf(event: Pick<Event, 'account' | 'target'>, { account, target }: Named): boolean {
  return (event.account ?? account) === account && (event.target ?? target) === target;
}

function fits(half: string, name: string): boolean {
  return half === any || half === name;
}

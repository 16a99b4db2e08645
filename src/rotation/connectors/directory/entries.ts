/**
 * Where an account's entry is in a directory: a name that is a distinguished name already, a name put into the declared
 * pattern, or a search for it. Names are values and never filters: nothing in one can match more than itself.
 */
import type { Task } from '../connector.ts';
import { type Directory, type Entry, isResult } from './directory.ts';
import { type Fault, isFault } from './faults.ts';
import { faultOfResult } from './ldap-results.ts';
import { escapeDnValue } from './wire/names.ts';

/** Stands for the name of the account in `user_dn_pattern`. */
export const placeholder = '{account}';

/** The entry of a name. One with an equals sign is a distinguished name already; others come from the pattern or a search. */
export async function dnOf(directory: Directory, task: Task, name: string): Promise<{ readonly dn: string } | Fault> {
  const { user_dn_pattern: pattern } = task.settings;
  if (name.includes('=')) return { dn: name };
  if (typeof pattern === 'string') return { dn: pattern.replace(placeholder, () => escapeDnValue(name)) };
  return searchFor(directory, task, name, ['1.1']);
}

/** The entry of the account, read by whoever is logged in. */
export async function findEntry(
  directory: Directory,
  task: Task,
  attributes: readonly string[],
): Promise<Entry | Fault> {
  const { account, settings } = task;
  if (!account.includes('=') && settings['user_dn_pattern'] === undefined)
    return searchFor(directory, task, account, attributes);
  const dn = await dnOf(directory, task, account);
  if (isFault(dn)) return dn;
  const found = await directory.search(dn.dn, { scope: 'base' }, attributes);
  if (isFault(found)) return found;
  if (isResult(found)) return faultOfResult(found);
  return found[0] ?? { fault: 'missing', words: `there is no entry ${dn.dn}, or it is not shown` };
}

async function searchFor(
  directory: Directory,
  { settings }: Task,
  name: string,
  attributes: readonly string[],
): Promise<Entry | Fault> {
  const base = settings['search_base'] ?? (await onlyBranch(directory));
  if (typeof base !== 'string')
    return {
      fault: 'unsupported',
      words: 'the server has more than one branch, or shows none: say `search_base` or `user_dn_pattern`',
    };
  const attribute = typeof settings['user_attribute'] === 'string' ? settings['user_attribute'] : 'uid';
  const found = await directory.search(base, { scope: 'sub', all: [{ attribute, value: name }] }, attributes);
  if (isFault(found)) return found;
  if (isResult(found)) return faultOfResult(found);
  const [entry, another] = found;
  if (entry === undefined)
    return {
      fault: 'missing',
      words: `no entry with ${attribute} ${name} is shown: it is not there, or say \`user_dn_pattern\``,
    };
  if (another !== undefined) return { fault: 'unexpected', words: `more than one entry has ${attribute} ${name}` };
  return entry;
}

async function onlyBranch(directory: Directory): Promise<string | undefined> {
  const found = await directory.search('', { scope: 'base' }, ['namingContexts']);
  const branches = isFault(found) || isResult(found) ? [] : (found[0]?.values('namingContexts') ?? []);
  return branches.length === 1 ? new TextDecoder().decode(branches[0]) : undefined;
}

/**
 * Names of nodes in facts. A node is `paris`; after its database came back from a backup it is `paris.2`, because the
 * numbers of its facts start again, and two facts of one name and number would be taken for one. Both are one site: what
 * `paris.2` says of a value that `paris` drew is the word of who drew it. Pure.
 */

const name = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const longest = 24;

/** Whether a person may give a node this name: up to 24 of a-z and 0-9, with single dashes inside, beginning with a letter. */
export function isNodeName(text: string): boolean {
  return text.length <= longest && name.test(text);
}

/** `paris` of `paris.2`. A node that was never named is its own site. */
export function siteOf(node: string): string {
  const dot = node.lastIndexOf('.');
  return dot < 0 ? node : node.slice(0, dot);
}

/** 1 of `paris`, 2 of `paris.2`. */
export function incarnationOf(node: string): number {
  const dot = node.lastIndexOf('.');
  return dot < 0 ? 1 : Number(node.slice(dot + 1));
}

/**
 * The next name of a site, after all that anybody has ever seen of it. Where not everybody could be asked, `least` is a
 * number that none of its names can have reached: two facts of one name and number would be taken for one.
 */
export function nextIncarnation(site: string, seen: Iterable<string>, least = 0): string {
  let last = 0;
  for (const node of seen) if (siteOf(node) === site) last = Math.max(last, incarnationOf(node));
  return last === 0 && least === 0 ? site : `${site}.${Math.max(last + 1, least)}`;
}

/** Whether `a` was said after `b`, both by one site. */
export function saidAfter(
  a: { readonly node: string; readonly seq: number },
  b: { readonly node: string; readonly seq: number },
): boolean {
  const [one, other] = [incarnationOf(a.node), incarnationOf(b.node)];
  return one > other || (one === other && a.seq > b.seq);
}

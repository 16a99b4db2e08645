/**
 * Which node changes an account, and which one resolves its conflicts. A policy may name a managing node; without one
 * every node may change its accounts. Two that do so at once make a conflict, which is found and resolved, but a policy
 * with a managing node has none in the first place. Pure.
 */

/** What a policy says. */
export interface Management {
  /** The node's name; null: any. */
  readonly managingNode: string | null;
  /** Another node may change an account while the managing one cannot be reached. */
  readonly localFallback: boolean;
}

export const anyNode: Management = { managingNode: null, localFallback: true };

/** Whether a peer has been heard lately. */
export type PeerState = 'up' | 'down';

export interface Here {
  /** This node's name; null where there is only one. */
  readonly name: string | null;
  /** False while its database is older than what others have heard from it, or is being brought up to date. */
  readonly ready: boolean;
}

export type MayRotateHere =
  | { readonly may: true; readonly as: 'any' | 'managing' | 'fallback' }
  | { readonly may: false; readonly because: 'not-ready' }
  /** It is up, and changes the account itself. */
  | { readonly may: false; readonly because: 'not-managing'; readonly node: string }
  /** It is down, and the policy wants nobody else: what is due stays due. */
  | { readonly may: false; readonly because: 'managing-down'; readonly node: string };

/** Whether this node may change accounts of a policy now. A managing node that nobody knows counts as down. */
export function mayRotateHere(
  management: Management,
  here: Here,
  peers: ReadonlyMap<string, PeerState>,
): MayRotateHere {
  const { managingNode: node, localFallback } = management;
  if (!here.ready) return { may: false, because: 'not-ready' };
  if (node === null || here.name === null) return { may: true, as: 'any' };
  if (node === here.name) return { may: true, as: 'managing' };
  if (peers.get(node) === 'up') return { may: false, because: 'not-managing', node };
  return localFallback ? { may: true, as: 'fallback' } : { may: false, because: 'managing-down', node };
}

/**
 * Whether this node resolves conflicts of a policy by itself (B-18): the managing node and no other, up or down, because
 * two that try candidates at once would lock the account. Without a managing node it is the first by name of all.
 */
export function mayResolveHere(management: Management, here: Here, peers: Iterable<string>): boolean {
  if (!here.ready) return false;
  if (here.name === null) return true;
  return resolverOf(management, here.name, peers) === here.name;
}

/** The node that resolves conflicts of a policy. */
export function resolverOf(management: Management, here: string, peers: Iterable<string>): string {
  if (management.managingNode !== null) return management.managingNode;
  let first = here;
  for (const peer of peers) if (peer < first) first = peer;
  return first;
}

export type MayDecideHere =
  /** `stand-in`: the node that resolves has been silent for so long that it counts as down. */
  | { readonly may: true; readonly as: 'resolving' | 'stand-in'; readonly node: string | null }
  | { readonly may: false; readonly because: 'not-ready' | 'resolves-elsewhere'; readonly node: string | null };

/**
 * Whether a person may decide conflicts of a policy here. On the node that resolves, and on every other one while that
 * one is down: a decision is a fact with what it rests on, so what comes to be known later opens the conflict again.
 * While it is up it is asked, because its own resolution may be at work. `localFallback` does not matter: it is about
 * machines, and nothing is changed on a target here. `node` is the one that resolves.
 */
export function mayDecideHere(
  management: Management,
  here: Here,
  peers: ReadonlyMap<string, PeerState>,
): MayDecideHere {
  const node = here.name === null ? null : resolverOf(management, here.name, peers.keys());
  if (!here.ready) return { may: false, because: 'not-ready', node };
  if (node === here.name) return { may: true, as: 'resolving', node };
  if (node !== null && peers.get(node) === 'up') return { may: false, because: 'resolves-elsewhere', node };
  return { may: true, as: 'stand-in', node };
}

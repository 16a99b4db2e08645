/**
 * Whose word counts: of what nodes say about a value the last of the node that drew it, and of decisions those that no
 * other decision replaces. INVARIANT: neither asks a clock. Of two decisions one replaces the other only if whoever made
 * it knew of the other; two that did not know of each other both stand, and where they differ nothing is decided. Pure.
 */
import type { Sigkey } from '../../base/ids.ts';
import type { Decision, Facts, OutcomeFact, ResolutionFact, Status } from './facts.ts';
import { saidAfter, siteOf } from './site.ts';

/** What is known of every value from outcomes alone. Another site than its own can only call a value uncertain. */
export function wordsOf(facts: Facts): Map<Sigkey, Status> {
  const words = new Map<Sigkey, Status>();
  const drawnBy = new Map<Sigkey, string>();
  for (const { sigkey, node } of facts.randomizations) {
    words.set(sigkey, 'P');
    drawnBy.set(sigkey, siteOf(node));
  }
  const last = new Map<Sigkey, OutcomeFact>();
  for (const outcome of facts.outcomes) {
    const { sigkey, status } = outcome;
    const origin = drawnBy.get(sigkey);
    if (origin === undefined) continue;
    const before = last.get(sigkey);
    const own = siteOf(outcome.node) === origin;
    if (own && (before === undefined || saidAfter(outcome, before))) {
      last.set(sigkey, outcome);
      words.set(sigkey, status);
    } else if (!own && status === 'U' && before === undefined) words.set(sigkey, 'U');
  }
  return words;
}

/** What decisions call each other by. */
export function nameOf({ node, seq }: ResolutionFact): string {
  return `${node}/${seq}`;
}

/** Those of `resolutions` about one matter that no other of them replaces; each once. */
export function standing(resolutions: readonly ResolutionFact[]): readonly ResolutionFact[] {
  if (resolutions.length < 2) return resolutions;
  const replaced = new Set<string>();
  const latest = new Map<string, ResolutionFact>();
  for (const resolution of resolutions) {
    for (const name of resolution.decision.over ?? []) replaced.add(name);
    // A node knows what it decided itself; set back to a backup, and under another name, it may not.
    const before = latest.get(resolution.node);
    if (before === undefined || before.seq < resolution.seq) latest.set(resolution.node, resolution);
  }
  return [...latest.values()].filter((resolution) => !replaced.has(nameOf(resolution)));
}

/** Decisions over the whole account. */
export function rootsOf(facts: Facts): readonly RootFact[] {
  return facts.resolutions.filter((resolution): resolution is RootFact => resolution.decision.kind === 'root');
}

export type RootFact = ResolutionFact & { readonly decision: Decision & { readonly kind: 'root' } };

/** What people say of single values, where those who did not know of each other agree; `U` where they do not. */
export function opinionsOf(facts: Facts): Map<Sigkey, 'C' | 'F' | 'U'> {
  const said = new Map<Sigkey, ResolutionFact[]>();
  for (const resolution of facts.resolutions) {
    if (resolution.decision.kind === 'root') continue;
    const others = said.get(resolution.decision.sigkey);
    if (others === undefined) said.set(resolution.decision.sigkey, [resolution]);
    else others.push(resolution);
  }
  const opinions = new Map<Sigkey, 'C' | 'F' | 'U'>();
  for (const [sigkey, resolutions] of said) {
    const kinds = new Set(standing(resolutions).map(({ decision }) => decision.kind));
    opinions.set(sigkey, kinds.size > 1 ? 'U' : kinds.has('confirm') ? 'C' : 'F');
  }
  return opinions;
}

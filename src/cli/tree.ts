/** The tree of an account as text: one line a value, below its parent, in the order in which they were drawn. */
import type { Reply } from '../contract/contract.ts';

type Tree = Reply<'conflict.show'>;
type Value = Tree['values'][number];

const statusWords: Readonly<Record<string, string>> = {
  P: 'pending',
  C: 'confirmed',
  U: 'uncertain',
  F: 'failed',
};

/** `*` current, `?` candidate that is not current. */
export function drawTree(tree: Tree): string {
  const lines = [headOf(tree)];
  if (tree.reason !== '') lines.push(`  ${tree.reason}`);
  const known = new Set(tree.values.map((value) => value.sigkey));
  const roots = tree.values.filter((value) => value.parent === undefined || !known.has(value.parent));
  roots.forEach((root, at) => draw(tree, root, '', at === roots.length - 1, lines, new Set()));
  if (tree.values.length === 0) lines.push('No password recorded yet');
  lines.push(
    '',
    '* current   ? may be what the target has   node and time are those of the drawing, not of the setting',
  );
  const others = new Set(tree.beliefs.map((belief) => belief.current ?? ''));
  if (tree.beliefs.length > 1)
    lines.push(
      others.size > 1 ? 'nodes disagree about which is current:' : 'nodes agree:',
      ...tree.beliefs.map(({ node, current }) => `  ${node}: ${current ?? 'No password recorded yet'}`),
    );
  return lines.join('\n');
}

function headOf({ account, policy, kind, state, since }: Tree): string {
  if (kind === 'none') return `${account} (${policy}): no conflict`;
  return `${account} (${policy}): ${kind} conflict, ${state}, seen ${since}`;
}

function draw(tree: Tree, value: Value, indent: string, last: boolean, lines: string[], above: Set<string>): void {
  const mark = value.current ? '*' : value.candidate ? '?' : ' ';
  const foreign =
    value.parent !== undefined && value.parentNode === undefined
      ? ` (its parent ${value.parent} is not known here)`
      : '';
  const words = value.message === '' || value.status === 'C' ? '' : `: ${value.message}`;
  lines.push(
    `${indent}${last ? '└─' : '├─'} ${mark} ${value.sigkey} ${statusWords[value.status] ?? value.status} ${value.node} ${value.createdAt}${foreign}${words}`,
  );
  // Facts of a broken or hostile peer could make a ring.
  if (above.has(value.sigkey)) return;
  const path = new Set(above).add(value.sigkey);
  const children = tree.values.filter((child) => child.parent === value.sigkey);
  children.forEach((child, at) =>
    draw(tree, child, `${indent}${last ? '   ' : '│  '}`, at === children.length - 1, lines, path),
  );
}

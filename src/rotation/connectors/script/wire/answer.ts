/**
 * What a plugin may say: nothing, or one line of JSON. A line that is anything else makes its whole answer worthless,
 * whatever its exit status was. Pure.
 */

/** More is thrown away together with the answer. */
export const longestAnswer = 64 * 1024;
const longestWords = 500;
const mostCandidates = 256;

export interface Said {
  readonly words: string;
  /** As the plugin named it; whether there is such a class the caller knows. */
  readonly class: string | undefined;
  readonly each: readonly Tried[] | undefined;
}

export interface Tried {
  readonly answer: 'accepted' | 'rejected' | 'unknown';
  readonly class: string | undefined;
  readonly words: string;
}

/** The answer of a plugin, or undefined for what is none. */
export function parseAnswer(output: string): Said | undefined {
  const line = output.trim();
  if (line === '') return { words: '', class: undefined, each: undefined };
  if (line.length > longestAnswer || line.includes('\n')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const said = fields(value);
  if (said === undefined) return undefined;
  const { each } = value as { readonly each?: unknown };
  if (each === undefined) return { ...said, each: undefined };
  if (!Array.isArray(each) || each.length > mostCandidates) return undefined;
  const tried: Tried[] = [];
  for (const one of each) {
    const parts = fields(one);
    const { answer } = (parts === undefined ? {} : one) as { readonly answer?: unknown };
    if (parts === undefined || (answer !== 'accepted' && answer !== 'rejected' && answer !== 'unknown'))
      return undefined;
    tried.push({ ...parts, answer });
  }
  return { ...said, each: tried };
}

function fields(value: unknown): { readonly words: string; readonly class: string | undefined } | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { words = '', class: kind } = value as { readonly words?: unknown; readonly class?: unknown };
  if (typeof words !== 'string' || (kind !== undefined && typeof kind !== 'string')) return undefined;
  return { words: words.slice(0, longestWords), class: kind };
}

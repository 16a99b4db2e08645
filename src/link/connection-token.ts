/**
 * How a connection token looks, so that a gate can tell one from a password before it asks the keeper: seven groups of
 * four out of 32 letters, with hyphens or without, in any case. It says nothing of whether there is such a token.
 */
const shape = /^[a-km-np-z2-9]{4}(?:-?[a-km-np-z2-9]{4}){6}$/i;

export function looksLikeToken(text: string): boolean {
  return text.length <= 64 && shape.test(text.trim());
}

/**
 * How a connection token looks, so that a gate can tell one from a password before it asks the keeper: seven groups of
 * four out of 32 letters, with hyphens or without, in any case. It says nothing of whether there is such a token.
 */
const hyphen = 0x2d;
const letters = 28;
const mostHyphens = 6;

/** Takes bytes: what is looked at may be somebody's password, and a string of it could not be zeroed. */
export function looksLikeToken(typed: Uint8Array): boolean {
  let count = 0;
  let hyphens = 0;
  for (const byte of typed) {
    if (isLetter(byte)) count++;
    else if (byte === hyphen && count > 0 && count % 4 === 0) hyphens++;
    else return false;
  }
  return count === letters && hyphens <= mostHyphens && typed.at(-1) !== hyphen;
}

/** Letters without l and o, which look like others, and digits from 2. */
function isLetter(byte: number): boolean {
  if (byte >= 0x32 && byte <= 0x39) return true;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a && lower !== 0x6c && lower !== 0x6f;
}

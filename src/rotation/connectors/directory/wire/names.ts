/** Names in directories: distinguished names and realms. Pure. */
import { utf8 } from '../../../../base/bytes.ts';

/** A value for its place in a distinguished name (RFC 4514 §2.4): nothing in it can begin another part of the name. */
export function escapeDnValue(value: string): string {
  let out = '';
  const characters = Array.from(value);
  for (const [at, character] of characters.entries()) {
    const edge = at === 0 || at === characters.length - 1;
    if (/[\p{Cc}]/u.test(character))
      for (const octet of utf8(character)) out += `\\${octet.toString(16).padStart(2, '0')}`;
    else if ('"+,;<>\\='.includes(character) || (character === ' ' && edge) || (character === '#' && at === 0))
      out += `\\${character}`;
    else out += character;
  }
  return out;
}

/** `DC=example,DC=test` of `EXAMPLE.TEST`. */
export function baseOfRealm(realm: string): string {
  return realm
    .toLowerCase()
    .split('.')
    .map((label) => `DC=${escapeDnValue(label)}`)
    .join(',');
}

/** `EXAMPLE.TEST` of `DC=example,DC=test`; undefined if it is not made of domain components. */
export function realmOfBase(base: string): string | undefined {
  const labels = base.split(',').map((part) => /^DC=([A-Za-z0-9-]+)$/i.exec(part.trim())?.[1]);
  return labels.every((label) => label !== undefined) ? labels.join('.').toUpperCase() : undefined;
}

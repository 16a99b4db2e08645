/**
 * Addresses of the internet as text, in the one form in which they are compared and kept. A listener on `::` sees IPv4
 * clients as `::ffff:192.0.2.7`, and IPv6 can be spelled in many ways; who compares texts compares these.
 */
const dotted = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/**
 * `text` in canonical form: IPv4, mapped into IPv6 or not, with dots; IPv6 as RFC 5952 has it, the zone kept. What is
 * no address stays as it is.
 */
export function canonicalAddress(text: string): string {
  const groups = ipv6Groups(text);
  if (groups === undefined) return text;
  const [a = 0, b = 0] = groups.slice(6);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return [a >> 8, a & 0xff, b >> 8, b & 0xff].join('.');
  const zone = text.includes('%') ? text.slice(text.indexOf('%')) : '';
  return shortened(groups) + zone;
}

/** The eight groups of an IPv6 address, its zone left out; undefined if it is none. */
export function ipv6Groups(text: string): number[] | undefined {
  const [plain = ''] = text.split('%', 1);
  const halves = plain.split('::');
  if (!plain.includes(':') || halves.length > 2) return undefined;
  const [head = '', tail] = halves;
  const first = groupsOf(head, tail === undefined);
  const last = groupsOf(tail ?? '', true);
  if (first === undefined || last === undefined) return undefined;
  const missing = 8 - first.length - last.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return [...first, ...Array<number>(missing).fill(0), ...last];
}

/** `last`: four bytes with dots may stand at its end. */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const out: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && dotted.test(part)) {
      const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
      if (Math.max(a, b, c, d) > 255) return undefined;
      out.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) out.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return out;
}

/** The longest run of at least two zeros becomes `::`, the first of several (RFC 5952 §4.2). */
function shortened(groups: readonly number[]): string {
  let at = -1;
  let length = 1;
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > length) [at, length] = [i, end - i];
  }
  const hex = groups.map((group) => group.toString(16));
  if (at === -1) return hex.join(':');
  return `${hex.slice(0, at).join(':')}::${hex.slice(at + length).join(':')}`;
}

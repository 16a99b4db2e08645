/**
 * Whether somebody may set the password of an entry, read from the entry's own access list (MS-DTYP §2.4.6, §2.4.5,
 * §2.4.4; MS-ADTS §5.1.3). Finding out by trying would leave a failed attempt in the directory's security log. Pure.
 */
import { hex } from '../../../../base/bytes.ts';

/** The extended right "Reset Password" (User-Force-Change-Password), as GUIDs stand in an access list. */
const resetPassword = '709529006d24d011a76800aa006e0529';

const kinds = { allowed: 0, denied: 1, allowedObject: 5, deniedObject: 6 } as const;
const bits = { inheritOnly: 0x08, controlAccess: 0x100, genericAll: 0x10000000, daclPresent: 0x0004 } as const;

/**
 * Whether a person with these security identifiers holds the right; undefined if the descriptor is malformed. Entries are
 * judged in their order, and the first that speaks of the right decides.
 */
export function mayResetPassword(descriptor: Uint8Array, identifiers: readonly Uint8Array[]): boolean | undefined {
  if (descriptor.length < 20 || descriptor[0] !== 1) return undefined;
  const view = new DataView(descriptor.buffer, descriptor.byteOffset, descriptor.length);
  const at = view.getUint32(16, true);
  // A descriptor without a list allows everything to everybody.
  if ((view.getUint16(2, true) & bits.daclPresent) === 0 || at === 0) return true;
  if (at + 8 > descriptor.length) return undefined;
  const end = at + view.getUint16(at + 2, true);
  if (end > descriptor.length) return undefined;
  const own = new Set(identifiers.map(hex));
  let next = at + 8;
  for (let left = view.getUint16(at + 4, true); left > 0; left--) {
    if (next + 8 > end) return undefined;
    const size = view.getUint16(next + 2, true);
    if (size < 8 || next + size > end) return undefined;
    const verdict = judge(descriptor.subarray(next, next + size), own);
    if (verdict !== undefined) return verdict;
    next += size;
  }
  return false;
}

/** What one entry says of the right to these people; undefined if it says nothing. */
function judge(entry: Uint8Array, own: ReadonlySet<string>): boolean | undefined {
  const [kind = 0, flags = 0] = entry;
  const withObject = kind === kinds.allowedObject || kind === kinds.deniedObject;
  if (!withObject && kind !== kinds.allowed && kind !== kinds.denied) return undefined;
  if ((flags & bits.inheritOnly) !== 0) return undefined;
  const view = new DataView(entry.buffer, entry.byteOffset, entry.length);
  const mask = view.getUint32(4, true);
  if ((mask & (bits.controlAccess | bits.genericAll)) === 0) return undefined;
  let at = 8;
  if (withObject) {
    if (entry.length < 12) return undefined;
    const present = view.getUint32(8, true);
    at = 12;
    if ((present & 1) !== 0) {
      if (hex(entry.subarray(at, at + 16)) !== resetPassword) return undefined;
      at += 16;
    }
    if ((present & 2) !== 0) at += 16;
  }
  if (at + 8 > entry.length) return undefined;
  const length = 8 + (entry[at + 1] ?? 0) * 4;
  if (!own.has(hex(entry.subarray(at, at + length)))) return undefined;
  return kind === kinds.allowed || kind === kinds.allowedObject;
}

/**
 * The head of a message of the sound channel (MS-RDPEA §2.2.1): just enough to name it. Pure. The sound itself is not
 * read: it passes or it does not.
 */
import { LittleReader } from '../../../wire/little-reader.ts';
import type { Violation } from '../../../wire/violation.ts';

const names: Readonly<Record<number, string>> = {
  1: 'close',
  2: 'wave',
  3: 'volume',
  4: 'pitch',
  5: 'wave-confirm',
  6: 'training',
  7: 'formats',
  8: 'crypt-key',
  9: 'wave-encrypted',
  10: 'udp-wave',
  11: 'udp-wave-last',
  12: 'quality-mode',
  13: 'wave-2',
};

/** msgType u8, pad u8, BodySize u16. The data that follows a `wave` is a message of its own, without this head. */
export function soundName(message: Uint8Array): string | Violation {
  const reader = new LittleReader(message);
  const type = reader.u8();
  reader.skip(3);
  if (reader.violation !== undefined) return { violation: reader.violation };
  return names[type] ?? `unknown ${type}`;
}

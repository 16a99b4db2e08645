/**
 * What a client types and points at: fast-path input (MS-RDPBCGR §2.2.8.1.2) and the slow form of it (§2.2.8.1.1.3).
 * Pure. Only read, never changed: the target gets the bytes as they came.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import type { Violation } from '../../wire/violation.ts';
import { fastPathContent } from './frame.ts';

export type InputEvent =
  | { readonly kind: 'key'; readonly scancode: number; readonly down: boolean; readonly extended: boolean }
  | { readonly kind: 'unicode'; readonly code: number; readonly down: boolean }
  | {
      readonly kind: 'mouse';
      /** The buttons are the fourth and fifth. */
      readonly extended: boolean;
      readonly flags: number;
      readonly x: number;
      readonly y: number;
    }
  | { readonly kind: 'synchronize'; readonly flags: number }
  | { readonly kind: 'other'; readonly type: number };

/** Decodes a whole fast-path message of a client. Encrypted ones (RDP's own encryption) are a violation under TLS. */
export function decodeFastPathInput(message: Uint8Array): readonly InputEvent[] | Violation {
  const header = message[0] ?? 0;
  if (header >>> 6 !== 0) return { violation: 'fast-path input with encryption of its own' };
  const reader = new LittleReader(message, fastPathContent(message));
  let count = (header >>> 2) & 0x0f;
  if (count === 0) count = reader.u8();
  const events: InputEvent[] = [];
  for (let i = 0; i < count && reader.violation === undefined; i++) events.push(fastPathEvent(reader));
  return reader.violation === undefined ? events : { violation: reader.violation };
}

function fastPathEvent(reader: LittleReader): InputEvent {
  const header = reader.u8();
  const type = header >>> 5;
  const flags = header & 0x1f;
  switch (type) {
    case 0:
      return { kind: 'key', scancode: reader.u8(), down: (flags & 1) === 0, extended: (flags & 2) !== 0 };
    case 1:
      return { kind: 'mouse', extended: false, flags: reader.u16(), x: reader.u16(), y: reader.u16() };
    case 2:
      return { kind: 'mouse', extended: true, flags: reader.u16(), x: reader.u16(), y: reader.u16() };
    case 3:
      return { kind: 'synchronize', flags };
    case 4:
      return { kind: 'unicode', code: reader.u16(), down: (flags & 1) === 0 };
    case 6:
      reader.skip(4);
      return { kind: 'other', type };
    default:
      reader.fail(`input of type ${type}`);
      return { kind: 'other', type };
  }
}

const relativeMouse = 0x8004;

/** Decodes the body of share data of type `input`. */
export function decodeSlowInput(body: Uint8Array): readonly InputEvent[] | Violation {
  const reader = new LittleReader(body);
  const count = reader.u16();
  reader.skip(2);
  const events: InputEvent[] = [];
  for (let i = 0; i < count && reader.violation === undefined; i++) {
    reader.skip(4);
    const type = reader.u16();
    const flags = reader.u16();
    const [a, b] = [reader.u16(), reader.u16()];
    if (type === 4)
      events.push({ kind: 'key', scancode: a & 0xff, down: (flags & 0x8000) === 0, extended: (flags & 0x100) !== 0 });
    else if (type === 5) events.push({ kind: 'unicode', code: a, down: (flags & 0x8000) === 0 });
    else if (type === 0x8001 || type === 0x8002)
      events.push({ kind: 'mouse', extended: type === 0x8002, flags, x: a, y: b });
    else if (type === 0) events.push({ kind: 'synchronize', flags: a });
    else if (type === relativeMouse) reader.fail('relative movements of the mouse, which nobody offered');
    else events.push({ kind: 'other', type });
  }
  return reader.violation === undefined ? events : { violation: reader.violation };
}

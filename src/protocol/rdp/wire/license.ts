/**
 * What licensing looks like (MS-RDPBCGR §2.2.1.12, MS-RDPELE §2.2.2): the only messages on the I/O channel between Client
 * Info and activation. Pure. They pass as they are, so they have to be just that: neither more nor anything else.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import { securityFlag } from './client-info.ts';

/** Types of messages, by who sends them. */
const ofServer: ReadonlySet<number> = new Set([0x01, 0x02, 0x03, 0x04, 0xff]);
const ofClient: ReadonlySet<number> = new Set([0x12, 0x13, 0x15, 0xff]);
/** New license, upgraded license, and the error "valid client": after them licensing is over. */
const last: ReadonlySet<number> = new Set([0x03, 0x04, 0xff]);

const highValid = 0x8000;

/** `last`: licensing is over with it. Undefined if the payload is no licensing message, whole and alone. */
export function licensing(payload: Uint8Array, from: 'client' | 'server'): 'more' | 'last' | undefined {
  const reader = new LittleReader(payload);
  const flags = reader.u16();
  // the high half counts only where bit 15 says so (MS-RDPBCGR §2.2.8.1.1.2.1); xrdp has its own length there
  reader.skip(2);
  const type = reader.u8();
  reader.skip(1);
  const length = reader.u16();
  if (reader.violation !== undefined || (flags & highValid) !== 0 || length !== payload.length - 4) return undefined;
  if ((flags & securityFlag.license) === 0 || (flags & securityFlag.info) !== 0) return undefined;
  if (!(from === 'server' ? ofServer : ofClient).has(type)) return undefined;
  return from === 'server' && last.has(type) ? 'last' : 'more';
}

/**
 * How a client is told why it ends here (MS-RDPBCGR §2.2.5.1): the license that every client waits for, Set Error Info
 * with a number that it has words for, and the end. Pure.
 */
import { concat } from '../../../base/bytes.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import { disconnectUltimatum, sendDataIndication } from './mcs.ts';
import { shareData } from './share.ts';

/** The numbers of Set Error Info that a gate has use for. */
export const errorInfo = {
  disconnectedByAdministrator: 1,
  loggedOffByAdministrator: 2,
  idleTimeout: 3,
  logonTimeout: 4,
  deniedConnection: 7,
  insufficientPrivileges: 9,
} as const;

/** "License Error: valid client", which ends licensing (§2.2.1.12). */
export function validClient(): Uint8Array {
  return new LittleWriter(20).u16(0x80).u16(0).u8(0xff).u8(0x03).u16(0x10).u32(7).u32(2).u16(4).u16(0).finish();
}

/** Set Error Info (§2.2.5.1.1) as the payload of the I/O channel. */
export function setErrorInfo(code: number, shareId: number): Uint8Array {
  return shareData(shareId, 0x2f, new LittleWriter(4).u32(code).finish());
}

/** Everything that a client needs to be shown `code` and to end. `licensed` says whether licensing is over. */
export function farewell(io: number, code: number, licensed: boolean, shareId = 0): Uint8Array {
  const license = licensed ? [] : [sendDataIndication(io, validClient())];
  return concat([...license, sendDataIndication(io, setErrorInfo(code, shareId)), disconnectUltimatum()]);
}

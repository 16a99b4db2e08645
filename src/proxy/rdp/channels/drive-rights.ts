/**
 * What a target may do on a drive of the client that it may only read (MS-RDPEFS §2.2.3.3; access bits MS-SMB2
 * §2.2.13.1, dispositions §2.2.13). What could change anything is refused when the file is opened, and once more when it
 * is tried.
 */
import { type IoCall, ntStatus } from '../../../protocol/rdp/channels/channels.ts';

/** Write, append, extended attributes, children, attributes, delete, owner, rights, system; maximum, all and write. */
const changingAccess = 0x00000002 | 0x04 | 0x10 | 0x40 | 0x100 | 0x00010000 | 0x00040000 | 0x00080000 | 0x01000000;
const changingGeneric = 0x02000000 | 0x10000000 | 0x40000000;

const FILE_OPEN = 1;
const FILE_DELETE_ON_CLOSE = 0x1000;

/** Levels of set-information that redirected drives have (§2.2.3.3.9). */
const setLevels: readonly number[] = [4, 10, 13, 19, 20];

/** A path that fits no file of any client; events and memory stay small. */
const longestPath = 4096;

/** The status that a call on a drive is refused with, or undefined if it may pass. */
export function refusedOnDrive(call: IoCall, rights: 'read' | 'write'): number | undefined {
  if (call.call === 'unknown') return ntStatus.notSupported;
  if (call.call === 'create' && call.path.length > longestPath) return ntStatus.nameInvalid;
  if (call.call === 'set-information' && !setLevels.includes(call.level)) return ntStatus.notSupported;
  if (rights === 'write') return undefined;
  switch (call.call) {
    case 'create':
      return opensToRead(call) ? undefined : ntStatus.accessDenied;
    case 'write':
    case 'set-information':
    case 'set-volume':
      return ntStatus.accessDenied;
    case 'control':
      return ntStatus.notSupported;
    default:
      return undefined;
  }
}

function opensToRead(call: Extract<IoCall, { call: 'create' }>): boolean {
  return (
    (call.access & (changingAccess | changingGeneric)) === 0 &&
    call.disposition === FILE_OPEN &&
    (call.options & FILE_DELETE_ON_CLOSE) === 0
  );
}

/** Whether opening begins a file anew: superseded, created or overwritten. What a client says of it is not reliable. */
export function beginsAnew(disposition: number): boolean {
  return [0, 2, 4, 5].includes(disposition);
}

export function deletesOnClose(options: number): boolean {
  return (options & FILE_DELETE_ON_CLOSE) !== 0;
}

export function isDirectory(options: number): boolean {
  return (options & 1) !== 0;
}

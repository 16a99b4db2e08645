/** The door of the channels' bytes: what the filters of the proxy use of them. */
export { isViolation, type Violation } from '../../wire/violation.ts';
export {
  answerOf,
  clipFlags,
  type ClipMessage,
  decodeClip,
  encodeClip,
  type FileContentsRequest,
} from './wire/cliprdr.ts';
export { decodeFileList, type FileDescriptor, fileSizeOf, type Format } from './wire/cliprdr-formats.ts';
export {
  decodeDynamic,
  type DynamicMessage,
  encodeDynamic,
  encodeDynamicData,
  highestVersion,
  unsuccessful,
} from './wire/drdynvc.ts';
export { dynamicNames, sameName, staticNames } from './wire/names.ts';
export {
  decodeDevice,
  type Device,
  type DeviceCapability,
  type DeviceMessage,
  type DeviceType,
  encodeAnnounce,
  encodeCapabilities,
  encodeRemove,
  encodeReply,
  sentBy,
} from './wire/rdpdr.ts';
export {
  createDone,
  encodeRefusal,
  type FileChange,
  type IoCall,
  type IoCompletion,
  type IoRequest,
  ntStatus,
  readDone,
  sizeDone,
  writeDone,
} from './wire/rdpdr-io.ts';
export {
  type Chunk,
  decodeChunk,
  encodeChunk,
  encodeChunks,
  encodeControl,
  Reassembly,
} from './wire/static-channel.ts';

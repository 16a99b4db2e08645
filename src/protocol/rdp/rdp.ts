/** The door of RDP: a server's side, a client's side, and the messages between, for whoever relays and records them. */
export { type Accepted, acceptClient, type Judge, sound, type StaticChannel } from './acceptor.ts';
export { type Joined, joinTarget, type Reached, reachTarget, sendClientInfo } from './connector.ts';
export { RdpError } from './errors.ts';
export { noticePicture } from './notice/picture.ts';
export { noticeShareId, showNotice } from './notice/show.ts';
export { RdpStream } from './stream.ts';
export {
  type Active,
  decodeActive,
  type DesktopSize,
  desktopOf,
  encodeActive,
  filterConfirm,
  filterDemand,
} from './wire/capabilities.ts';
export { encodeClientInfo } from './wire/client-info.ts';
export { frameAt } from './wire/frame.ts';
export { decodeFastPathInput, decodeSlowInput, type InputEvent } from './wire/input.ts';
export {
  decodeMcs,
  disconnectUltimatum,
  type McsPdu,
  readdress,
  sendDataIndication,
  sendDataRequest,
  serverUser,
} from './wire/mcs.ts';
export { licensing } from './wire/license.ts';
export { encodeOutput } from './wire/output.ts';
export { errorInfo, farewell } from './wire/refusal.ts';
export type { ChannelRequest } from './wire/settings.ts';
export {
  decodeShareData,
  setShareSource,
  type Share,
  shareData,
  type ShareData,
  shareDataType,
  sharePdu,
  walkShare,
} from './wire/share.ts';
export { security } from './wire/x224.ts';
export { isViolation } from '../wire/violation.ts';

/**
 * The picture on its way to the client: shown to the recording first, then passed on as it came. Compressed messages are
 * opened for the recording and pass closed. If one had to be kept back, the client's history lacks it, and everything
 * after it passes opened until the target begins a new history.
 */
import {
  isDrawable,
  openBulk,
  openFastPath,
  readRectangles,
  slowPathUpdate,
  type Update,
  updateCode,
} from '../../protocol/rdp/bitmap/bitmap.ts';
import { type DesktopSize, encodeOutput, shareData, type ShareData, sound } from '../../protocol/rdp/rdp.ts';
import { ProxyError } from '../errors.ts';

/** Whoever keeps what is shown. */
export interface PictureSink {
  desktop(size: DesktopSize): void;
  update(update: Update): void;
}

export interface Pictures {
  desktop(size: DesktopSize): void;
  /** A whole fast-path message; what the client gets of it. */
  fastPath(message: Uint8Array): Uint8Array;
  /** A share data PDU; what the client gets of it. */
  share(bytes: Uint8Array, data: ShareData): Uint8Array;
  /** A share data PDU that the client does not get. */
  withhold(data: ShareData): void;
}

const compressed = 0x20;
const flushed = 0x80;
/** Bytes that fit a message on a channel, whose length has 15 bits. */
const longestOpened = 0x7fff - 18;

export function openPictures(sink: PictureSink): Pictures {
  const bulk = openBulk();
  const fast = openFastPath(bulk);
  // the client's history lacks something that ours has
  let behind = false;

  function show(update: Update): void {
    if (update.code === updateCode.bitmap) sound(readRectangles(update.payload));
    if (isUnrecordable(update)) throw new ProxyError('proxy.unrecordable', `an update of kind ${update.code}`);
    sink.update(update);
  }

  function open(data: ShareData): Uint8Array {
    if ((data.compression & flushed) !== 0) behind = false;
    return sound(bulk.open(data.compression, data.body));
  }

  return {
    desktop: (size) => {
      const { width, height } = size;
      if (!isDrawable(width, height)) throw new ProxyError('proxy.unrecordable', `a desktop of ${width}x${height}`);
      sink.desktop(size);
    },
    fastPath: (message) => {
      const updates = sound(fast.read(message));
      for (const update of updates) show(update);
      if (!behind) return message;
      const parts = updates.map(({ code, payload }) => encodeOutput(code, payload));
      return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    },
    share: (bytes, data) => {
      const body = open(data);
      const update = slowPathUpdate(data.type, body);
      if (update !== undefined) show(sound(update));
      const closed = (data.compression & compressed) !== 0;
      if (!behind || !closed) return bytes;
      if (body.length > longestOpened) throw new ProxyError('proxy.unrecordable', 'an opened update that is too long');
      return shareData(data.shareId, data.type, body);
    },
    withhold: (data) => {
      open(data);
      if ((data.compression & compressed) !== 0) behind = true;
    },
  };
}

/** Drawing orders and surface commands were not agreed on, and cannot be shown to the recording. An empty list of orders is none. */
function isUnrecordable({ code, payload }: Update): boolean {
  if (code === updateCode.orders) return ((payload[0] ?? 0) | (payload[1] ?? 0)) !== 0;
  return code === updateCode.surfaceCommands;
}

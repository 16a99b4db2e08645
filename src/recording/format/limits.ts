/** The bounds of the recording format (FORMAT.md §7). A reader refuses whatever is larger, before it allocates. */

/** Header bytes: session metadata as canonical JSON. */
export const maxHeader = 64 * 1024;
/** Uncompressed bytes of one block. A recorder closes a block at `blockTarget`; the rest is room for one more event. */
export const maxPlain = 1024 * 1024;
/** Bytes of a block's payload as stored: compressed, encrypted, with the tag. */
export const maxStored = maxPlain + 64 * 1024;
/** Bytes of one event's body. Longer stream data is split by the recorder, longer names are cut. */
export const maxBody = 128 * 1024;
/** Bytes of one text inside an event: a command, a path, a reason. */
export const maxText = 32 * 1024;
/** A recorder closes a block at this many uncompressed bytes, or after a second. */
export const blockTarget = 256 * 1024;
/** How much of the preceding plaintext serves a block as dictionary. */
export const historyBytes = 32 * 1024;
/** Channel numbers inside a recording are 32 bits; 0xffffffff means the session itself. */
export const sessionChannel = 0xffffffff;
/** Bytes of UTF-8 that one event of the clipboard keeps, and the number of its items. */
export const maxClipboard: number = maxText;
export const maxClipboardItems = 256;
/** Bytes of one update of a picture or pointer, over all the events that it is split into. */
export const maxUpdate: number = 16 * 1024 * 1024;

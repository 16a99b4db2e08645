/**
 * The events of a desktop: what the picture was, what the person did, what went through channels. Kinds 80 to bf of
 * FORMAT.md §5; their bytes are in desktop-codec.ts. Codes and payloads are those of MS-RDPBCGR, decompressed, as they
 * went to the client; drawing them is not the format's business.
 */
import type { Direction } from './events.ts';

/**
 * One update of the picture or of the pointer, with its fast-path update code (MS-RDPBCGR §2.2.9.1.2.1) and its
 * payload. A payload longer than one event's body is continued in the next event of the same kind; the recorder splits,
 * and `joinUpdates` joins.
 */
export interface UpdateEvent {
  readonly kind: 'picture' | 'pointer';
  readonly code: number;
  readonly payload: Uint8Array;
  /** The payload goes on in the next event of this kind. */
  readonly more?: boolean;
}

/** A key went down or up. */
export interface KeyEvent {
  readonly kind: 'rdp-key';
  /** `scancode`: a place on the keyboard, set 1. `unicode`: one UTF-16 code unit. */
  readonly input: 'scancode' | 'unicode';
  readonly code: number;
  readonly down: boolean;
  /** What stood before the scancode: 0 nothing, 1 E0, 2 E1. */
  readonly extended: 0 | 1 | 2;
}

/** The mouse was moved, pressed or turned: pointerFlags, x and y of MS-RDPBCGR §2.2.8.1.1.3.1.1.3 and .4. */
export interface MouseEvent {
  readonly kind: 'mouse';
  /** The buttons are the fourth and fifth. */
  readonly extended: boolean;
  readonly flags: number;
  readonly x: number;
  readonly y: number;
}

/** Something passed the clipboard, or was kept from passing. */
export interface ClipboardEvent {
  readonly kind: 'clipboard';
  readonly direction: Direction;
  /** `text`: `items` is the text itself. `files`: their names. `other`: the names of the formats. */
  readonly content: 'text' | 'files' | 'other';
  /** At most `maxClipboard` bytes of UTF-8 together; what is longer was cut. */
  readonly items: readonly string[];
  /** Bytes that went, whole. */
  readonly size: number;
  readonly allowed: boolean;
}

export type DesktopDetail =
  /** The desktop has this size and depth from now on; what was drawn before it is gone. */
  | { readonly kind: 'desktop'; readonly width: number; readonly height: number; readonly depth: number }
  /** The client's keyboardLayout, by which keys are read. */
  | { readonly kind: 'keyboard'; readonly layout: number }
  | UpdateEvent
  | KeyEvent
  /** So many keys were typed that are not kept. */
  | { readonly kind: 'keys-masked'; readonly count: number }
  | MouseEvent
  | ClipboardEvent
  /** A channel was asked for, and passed or was kept out. */
  | {
      readonly kind: 'channel-decision';
      readonly name: string;
      readonly transport: 'static' | 'dynamic';
      readonly allowed: boolean;
      readonly reason: string;
    };

export type DesktopKind = DesktopDetail['kind'];

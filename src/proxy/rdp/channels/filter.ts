/**
 * What all channel filters have in common: one side's message goes in; what passes, what is answered instead and what is
 * worth knowing come out. A filter keeps state, but knows no socket and no clock. A `Violation` means that the bytes are
 * broken: the session ends, and only that session.
 */
import type { Violation } from '../../../protocol/rdp/channels/channels.ts';
import type { Way } from '../policy.ts';

export type Side = 'client' | 'target';

/** What a step lets through: whole messages (of a message filter) or channel PDUs (of a channel). Never a view of the input. */
export interface Passed {
  readonly toTarget: readonly Uint8Array[];
  readonly toClient: readonly Uint8Array[];
  readonly events: readonly ChannelEvent[];
}

/** One channel with its frames: what the splice calls with each channel PDU. */
export interface Channel {
  fromClient(pdu: Uint8Array): Passed | Violation;
  fromTarget(pdu: Uint8Array): Passed | Violation;
  /** Tells of what was under way when the channel ended. */
  close(): readonly ChannelEvent[];
}

/** The messages of one channel under policy, whatever carries them. */
export interface MessageFilter {
  message(from: Side, message: Uint8Array): Passed | Violation;
  /** A message longer than the limit, of which only the start was kept. */
  oversized(from: Side, start: Uint8Array, total: number): Passed | Violation;
  close(): readonly ChannelEvent[];
}

/** Bounds of one channel; with them its memory is bounded whatever the peers do. */
export interface ChannelLimits {
  /** The longest message that is put together, each way. A longer answer of the clipboard is answered as failed. */
  readonly messageBytes: number;
  /** Letters of clipboard text in an event; the hash is always that of the whole. */
  readonly textLength: number;
  /** Files in one list of the clipboard. */
  readonly listedFiles: number;
  /** Requests without an answer yet, files open at once, locked lists, dynamic channels. */
  readonly pending: number;
  readonly openFiles: number;
  readonly locks: number;
  readonly dynamicChannels: number;
  /** Bytes of files that may be held back, each way, because an earlier part is still on its way. */
  readonly aheadBytes: number;
}

export const channelLimits: ChannelLimits = {
  messageBytes: 32 << 20,
  textLength: 64 << 10,
  listedFiles: 8192,
  pending: 1024,
  openFiles: 1024,
  locks: 4,
  dynamicChannels: 256,
  aheadBytes: 1 << 20,
};

/** How much of a file crossed. `sha256` is that of the whole file, and is there only if every byte came once, in order. */
export interface Transfer {
  readonly name: string;
  readonly size: bigint | undefined;
  readonly bytes: bigint;
  readonly sha256: string | undefined;
  readonly partial: boolean;
}

/** Something worth recording or auditing: plain data. */
export type ChannelEvent =
  | { readonly type: 'channel.opened' | 'channel.refused'; readonly name: string; readonly why: string }
  | { readonly type: 'channel.closed'; readonly name: string }
  | {
      readonly type: 'clipboard.text';
      readonly way: Way;
      readonly format: string;
      readonly text: string;
      readonly cut: boolean;
      readonly bytes: number;
      readonly sha256: string;
    }
  /** Content that is not text: pictures, and formats nobody knows. */
  | {
      readonly type: 'clipboard.data';
      readonly way: Way;
      readonly format: string;
      readonly bytes: number;
      readonly sha256: string;
    }
  | {
      readonly type: 'clipboard.files';
      readonly way: Way;
      readonly files: readonly { readonly name: string; readonly size: bigint | undefined }[];
    }
  | { readonly type: 'clipboard.refused'; readonly way: Way; readonly what: string; readonly why: string }
  | ({
      readonly type: 'file.transferred';
      readonly way: Way;
      readonly via: 'clipboard' | 'drive' | 'printer' | 'port';
      readonly device: string;
    } & Transfer)
  | {
      readonly type: 'file.changed';
      readonly device: string;
      readonly change: 'created' | 'renamed' | 'deleted' | 'resized';
      readonly name: string;
      readonly to: string | undefined;
    }
  | { readonly type: 'file.refused'; readonly device: string; readonly name: string; readonly why: string }
  | {
      readonly type: 'device.announced' | 'device.refused' | 'device.removed';
      readonly device: string;
      readonly kind: string;
    };

export const nothing: Passed = { toTarget: [], toClient: [], events: [] };

/** One message that passes to the other side of its sender. */
export function onward(from: Side, message: Uint8Array, events: readonly ChannelEvent[] = []): Passed {
  return from === 'client'
    ? { toTarget: [message], toClient: [], events }
    : { toTarget: [], toClient: [message], events };
}

/** One message that the gate answers its sender. */
export function back(from: Side, message: Uint8Array, events: readonly ChannelEvent[] = []): Passed {
  return onward(from === 'client' ? 'target' : 'client', message, events);
}

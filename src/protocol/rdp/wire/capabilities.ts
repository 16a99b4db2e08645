/**
 * Demand Active and Confirm Active (MS-RDPBCGR §2.2.1.13), and the filter that leaves one kind of picture: bitmap
 * updates and pointers. Pure. Drawing orders, caches, surface commands and codecs are taken out of what each side says
 * that it can do, on every activation, so that whatever is shown can be recorded and decoded to the pixel.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';
import { sharePdu } from './share.ts';

export interface Capability {
  readonly type: number;
  /** Without its header. */
  readonly data: Uint8Array;
}

export interface Active {
  readonly kind: 'demand' | 'confirm';
  readonly source: number;
  readonly shareId: number;
  /** Only in a Confirm Active: who it answers. */
  readonly originator: number;
  readonly descriptor: Uint8Array;
  readonly capabilities: readonly Capability[];
  /** What follows the capabilities of a Demand Active. */
  readonly sessionId: number;
}

export const capability = {
  general: 1,
  bitmap: 2,
  order: 3,
  bitmapCache: 4,
  pointer: 8,
  bitmapCacheHost: 18,
  bitmapCache2: 19,
  input: 13,
  glyphCache: 16,
  offscreenCache: 17,
  virtualChannel: 20,
  nineGrid: 21,
  gdiPlus: 22,
  rail: 23,
  window: 24,
  composition: 25,
  multifragment: 26,
  largePointer: 27,
  surfaceCommands: 28,
  bitmapCodecs: 29,
  frameAcknowledge: 30,
} as const;

const mostCapabilities = 64;

/** Decodes a whole share PDU of type `demandActive` or `confirmActive`. */
export function decodeActive(share: Uint8Array): Active | Violation {
  const reader = new LittleReader(share, 2);
  const type = reader.u16() & 0x0f;
  const kind = type === sharePdu.demandActive ? 'demand' : 'confirm';
  const source = reader.u16();
  const shareId = reader.u32();
  const originator = kind === 'confirm' ? reader.u16() : 0;
  const descriptorLength = reader.u16();
  const combined = reader.u16();
  const descriptor = reader.raw(descriptorLength);
  const inside = new LittleReader(reader.raw(combined));
  const count = inside.u16();
  inside.skip(2);
  const capabilities: Capability[] = [];
  if (count > mostCapabilities) inside.fail(`${count} capability sets`);
  for (let i = 0; i < count && inside.violation === undefined; i++) {
    const set = inside.u16();
    const length = inside.u16();
    if (length < 4) inside.fail(`a capability set of ${length} bytes`);
    capabilities.push({ type: set, data: inside.raw(length - 4) });
  }
  const sessionId = kind === 'demand' && reader.remaining >= 4 ? reader.u32() : 0;
  const violation = reader.violation ?? inside.violation;
  if (violation !== undefined) return { violation };
  return { kind, source, shareId, originator, descriptor, capabilities, sessionId };
}

export function encodeActive(active: Active): Uint8Array {
  const sets = new LittleWriter(512).u16(active.capabilities.length).u16(0);
  for (const { type, data } of active.capabilities)
    sets
      .u16(type)
      .u16(data.length + 4)
      .raw(data);
  const combined = sets.finish();
  const demand = active.kind === 'demand';
  const length = 14 + (demand ? 4 : 2) + active.descriptor.length + combined.length;
  const writer = new LittleWriter(length)
    .u16(length)
    .u16(demand ? 0x11 : 0x13)
    .u16(active.source)
    .u32(active.shareId);
  if (!demand) writer.u16(active.originator);
  writer.u16(active.descriptor.length).u16(combined.length).raw(active.descriptor).raw(combined);
  if (demand) writer.u32(active.sessionId);
  return writer.finish();
}

/** Capabilities of a server that no client is shown. */
const hiddenFromClient: ReadonlySet<number> = new Set([
  // caches are taken out of what the target hears, so a client must not speak of its own
  capability.bitmapCacheHost,
  capability.nineGrid,
  capability.gdiPlus,
  capability.rail,
  capability.window,
  capability.composition,
  capability.surfaceCommands,
  capability.bitmapCodecs,
  capability.frameAcknowledge,
]);

/** What the client is shown of a target's Demand Active. */
export function filterDemand(active: Active): Active {
  const capabilities = active.capabilities
    .filter(({ type }) => !hiddenFromClient.has(type))
    .map(({ type, data }): Capability => {
      if (type === capability.virtualChannel) return { type, data: blank(data, 4) };
      if (type === capability.order) return { type, data: withoutOrders(data) };
      if (type === capability.input) return { type, data: withoutRelativeMouse(data) };
      return { type, data };
    });
  return { ...active, capabilities };
}

const emptied: ReadonlySet<number> = new Set([
  capability.bitmapCache,
  capability.bitmapCache2,
  capability.glyphCache,
  capability.offscreenCache,
]);

/** What the target is told of a client's Confirm Active; `user` is the gate's own number on the target's side. */
export function filterConfirm(active: Active, user: number): Active {
  const capabilities = active.capabilities
    .filter(({ type }) => !hiddenFromClient.has(type) || type === capability.surfaceCommands)
    .map(({ type, data }): Capability => {
      if (emptied.has(type) || type === capability.surfaceCommands) return { type, data: new Uint8Array(data.length) };
      if (type === capability.order) return { type, data: withoutOrders(data) };
      if (type === capability.virtualChannel) return { type, data: blank(data, 4) };
      if (type === capability.bitmap) return { type, data: lossless(data) };
      return { type, data };
    });
  return { ...active, source: user, capabilities };
}

/** No drawing order is supported; the flags say that the fields are meant, and no extended ones (§2.2.7.1.3). */
function withoutOrders(data: Uint8Array): Uint8Array {
  const out = data.slice();
  const supported = 32;
  out.fill(0, supported, supported + 32);
  const put = (at: number, value: number): void => {
    if (at + 2 > out.length) return;
    out[at] = value & 0xff;
    out[at + 1] = value >>> 8;
  };
  put(30, 0x000a);
  put(supported + 32 + 2, 0);
  return out;
}

/** Input that no recording could place: relative movements, and time stamps of what was shown (§2.2.7.1.6). */
function withoutRelativeMouse(data: Uint8Array): Uint8Array {
  const out = data.slice();
  const relative = 0x80;
  const timestamps = 0x02;
  if (out.length >= 2) {
    out[0] = (out[0] ?? 0) & ~relative;
    out[1] = (out[1] ?? 0) & ~timestamps;
  }
  return out;
}

/** Drawing flags of the bitmap set: no reduced colour fidelity (§2.2.7.1.2), so that planar pictures lose nothing. */
function lossless(data: Uint8Array): Uint8Array {
  const out = data.slice();
  const flags = 19;
  if (flags < out.length) out[flags] = (out[flags] ?? 0) & ~0x02;
  return out;
}

function blank(data: Uint8Array, count: number): Uint8Array {
  const out = data.slice();
  out.fill(0, 0, count);
  return out;
}

export interface DesktopSize {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
}

/** The desktop that an activation speaks of, from its bitmap set (§2.2.7.1.2). */
export function desktopOf(active: Active): DesktopSize | undefined {
  const set = active.capabilities.find(({ type }) => type === capability.bitmap);
  if (set === undefined) return undefined;
  const reader = new LittleReader(set.data);
  const depth = reader.u16();
  reader.skip(6);
  const width = reader.u16();
  const height = reader.u16();
  return reader.violation === undefined ? { width, height, depth } : undefined;
}

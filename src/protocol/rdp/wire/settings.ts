/**
 * What is in the blocks of settings: the desktop that a client wants and the channels that it asks for (MS-RDPBCGR
 * §2.2.1.3.2 to §2.2.1.3.4, §2.2.1.4). Pure. What the gate asks of a target is an edited copy of what the client asked:
 * everything that would let pictures or input pass unseen is taken out.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';
import { type Block, block } from './gcc.ts';

export interface ClientCore {
  readonly width: number;
  readonly height: number;
  readonly keyboardLayout: number;
  readonly build: number;
  readonly name: string;
  /** Bits per pixel that the client wants most. */
  readonly depth: number;
}

/** Offsets in the client's core block, without its header. Everything from 128 on is optional. */
const at = { highColor: 136, depths: 138, early: 140, selected: 208 } as const;

/** Bits of the client's early capabilities. */
const early = {
  want32: 0x02,
  characterAutodetect: 0x80,
  graphicsPipeline: 0x100,
  dynamicTimeZone: 0x200,
  heartbeat: 0x400,
  skipJoin: 0x800,
} as const;

export function decodeClientCore(data: Uint8Array): ClientCore | Violation {
  const reader = new LittleReader(data);
  reader.skip(4);
  const width = reader.u16();
  const height = reader.u16();
  reader.skip(4);
  const keyboardLayout = reader.u32();
  const build = reader.u32();
  const name = reader.utf16(32).replace(/\0[\s\S]*$/, '');
  if (reader.violation !== undefined) return { violation: reader.violation };
  const word = (offset: number): number =>
    offset + 2 <= data.length ? (data[offset] ?? 0) | ((data[offset + 1] ?? 0) << 8) : 0;
  const depth = (word(at.early) & early.want32) !== 0 ? 32 : word(at.highColor) || 16;
  return { width, height, keyboardLayout, build, name, depth };
}

export interface CoreEdit {
  /** The protocol that the target chose, which it compares (§2.2.1.3.2, serverSelectedProtocol). */
  readonly selected: number;
  /** 15, 16, 24 or 32 bits per pixel. */
  readonly depth: number;
  readonly width: number;
  readonly height: number;
  /** Whether the client's monitors are passed on; not if its desktop was made smaller. */
  readonly monitors: boolean;
}

/** The core block for a target: as the client's, in the gate's depth, and without what the gate does not understand. */
export function editClientCore(data: Uint8Array, edit: CoreEdit): Uint8Array {
  const out = data.slice();
  const put = (offset: number, value: number): void => {
    if (offset + 2 > out.length) return;
    out[offset] = value & 0xff;
    out[offset + 1] = value >>> 8;
  };
  put(4, edit.width);
  put(6, edit.height);
  put(at.highColor, Math.min(edit.depth, 24));
  put(at.depths, edit.depth === 32 ? 0x0f : edit.depth === 24 ? 0x07 : 0x06);
  if (at.early + 2 <= out.length) {
    let flags = (out[at.early] ?? 0) | ((out[at.early + 1] ?? 0) << 8);
    flags &= ~(early.graphicsPipeline | early.characterAutodetect | early.heartbeat | early.skipJoin);
    flags = edit.depth === 32 ? flags | early.want32 : flags & ~early.want32;
    put(at.early, flags);
  }
  put(at.selected, edit.selected & 0xffff);
  put(at.selected + 2, edit.selected >>> 16);
  return out;
}

/** A static virtual channel that a client asks for (§2.2.1.3.4.1). */
export interface ChannelRequest {
  readonly name: string;
  readonly options: number;
}

/** Channels beyond this number are no channels of the protocol (§2.2.1.3.4). */
const mostChannels = 31;

export function decodeClientNet(data: Uint8Array): readonly ChannelRequest[] | Violation {
  const reader = new LittleReader(data);
  const count = reader.u32();
  if (count > mostChannels) return { violation: `${count} channels where ${mostChannels} are allowed` };
  const channels: ChannelRequest[] = [];
  for (let i = 0; i < count; i++) {
    let name = '';
    for (const byte of reader.raw(8)) {
      if (byte === 0) break;
      name += String.fromCharCode(byte & 0x7f);
    }
    channels.push({ name, options: reader.u32() });
  }
  return reader.violation === undefined ? channels : { violation: reader.violation };
}

/** Options of a channel: the bits that ask for compression are taken out, because what is not read is not under policy. */
const compressionOptions = 0x00800000 | 0x00400000;

export function encodeClientNet(channels: readonly ChannelRequest[]): Uint8Array {
  const writer = new LittleWriter(4 + 12 * channels.length).u32(channels.length);
  for (const { name, options } of channels) {
    for (let i = 0; i < 8; i++) writer.u8(name.charCodeAt(i) & 0x7f);
    writer.u32((options & ~compressionOptions) >>> 0);
  }
  return writer.finish();
}

/** The blocks for a target, from those of a client and the channels that reach it. */
export function targetBlocks(
  blocks: readonly Block[],
  edit: CoreEdit,
  channels: readonly ChannelRequest[],
): readonly Block[] {
  const out: Block[] = [];
  for (const { type, data } of blocks) {
    if (type === block.csCore) out.push({ type, data: editClientCore(data, edit) });
    // under TLS there is no encryption of RDP's own
    else if (type === block.csSecurity) out.push({ type, data: new Uint8Array(8) });
    // session of a console, redirection: never on somebody's behalf
    else if (type === block.csCluster) out.push({ type, data: new LittleWriter(8).u32(0x0c).u32(0).finish() });
    else if (edit.monitors && (type === block.csMonitor || type === block.csMonitorEx)) out.push({ type, data });
  }
  out.push({ type: block.csNet, data: encodeClientNet(channels) });
  return out;
}

export interface ServerSettings {
  readonly io: number;
  /** In the order of the request; 0 for a channel that was not given. */
  readonly channels: readonly number[];
}

/** The blocks that answer a client: its request echoed, its channels numbered (§2.2.1.4). */
export function serverBlocks(requestedProtocols: number, settings: ServerSettings): readonly Block[] {
  const net = new LittleWriter().u16(settings.io).u16(settings.channels.length);
  for (const id of settings.channels) net.u16(id);
  if (settings.channels.length % 2 === 1) net.u16(0);
  return [
    { type: block.scCore, data: new LittleWriter(12).u32(0x00080004).u32(requestedProtocols).u32(0).finish() },
    { type: block.scNet, data: net.finish() },
    { type: block.scSecurity, data: new Uint8Array(8) },
  ];
}

/** What a target answered. It must give as many channels as it was asked for, and none twice. */
export function decodeServerBlocks(blocks: readonly Block[], asked: number): ServerSettings | Violation {
  const net = blocks.find(({ type }) => type === block.scNet);
  if (net === undefined) return { violation: 'a server without channels' };
  const reader = new LittleReader(net.data);
  const io = reader.u16();
  const count = reader.u16();
  if (count !== asked) return { violation: `${count} channels for ${asked} that were asked for` };
  const channels = Array.from({ length: count }, () => reader.u16());
  const given = [io, ...channels].filter((id) => id !== 0);
  if (new Set(given).size !== given.length) reader.fail('a channel number given twice');
  const encryption = blocks.find(({ type }) => type === block.scSecurity);
  if (encryption !== undefined && new LittleReader(encryption.data).u32() !== 0)
    reader.fail("a server that wants RDP's own encryption under TLS");
  return reader.violation === undefined ? { io, channels } : { violation: reader.violation };
}

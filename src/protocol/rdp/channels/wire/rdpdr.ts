/**
 * Messages of the device channel apart from input and output (MS-RDPEFS §2.2.2, MS-RDPEPC §2.2.2, MS-RDPESP, MS-RDPESC).
 * Pure. Each message has its direction (`sentBy`); a message of an unknown kind is a value with its numbers.
 */
import { LittleReader } from '../../../wire/little-reader.ts';
import { LittleWriter } from '../../../wire/little-writer.ts';
import type { Violation } from '../../../wire/violation.ts';
import { decodeCompletion, decodeRequest, type IoCompletion, type IoRequest } from './rdpdr-io.ts';

export type DeviceType = 'serial' | 'parallel' | 'printer' | 'drive' | 'smartcard' | 'unknown';

const deviceTypes: Readonly<Record<number, DeviceType>> = {
  0x01: 'serial',
  0x02: 'parallel',
  0x04: 'printer',
  0x08: 'drive',
  0x20: 'smartcard',
};

/** One announced device. `name` is the short one (PreferredDosName, eight bytes); `data` is as the type has it. */
export interface Device {
  readonly type: DeviceType;
  readonly code: number;
  readonly id: number;
  readonly name: string;
  readonly shortName: Uint8Array;
  readonly data: Uint8Array;
}

/** A capability set: 1 general, 2 printers, 3 ports, 4 drives, 5 smart cards. */
export interface DeviceCapability {
  readonly type: number;
  readonly version: number;
  readonly data: Uint8Array;
}

export type DeviceMessage =
  | { readonly type: 'server-announce'; readonly major: number; readonly minor: number; readonly clientId: number }
  | { readonly type: 'client-id'; readonly major: number; readonly minor: number; readonly clientId: number }
  | { readonly type: 'client-name'; readonly name: string }
  | { readonly type: 'capabilities'; readonly from: 'client' | 'target'; readonly sets: readonly DeviceCapability[] }
  | { readonly type: 'logged-on' }
  | { readonly type: 'announce'; readonly devices: readonly Device[] }
  | { readonly type: 'remove'; readonly devices: readonly number[] }
  | { readonly type: 'reply'; readonly device: number; readonly status: number }
  | IoRequest
  | IoCompletion
  /** Printer settings kept by the client, or the news that a printer takes XPS: of printers only. */
  | { readonly type: 'printer-cache' }
  | { readonly type: 'printer-xps'; readonly device: number }
  | { readonly type: 'unknown'; readonly component: number; readonly packet: number };

const CORE = 0x4472;
const PRINTER = 0x5052;

const SERVER_ANNOUNCE = 0x496e;
const CLIENTID_CONFIRM = 0x4343;
const CLIENT_NAME = 0x434e;
const DEVICELIST_ANNOUNCE = 0x4441;
const DEVICE_REPLY = 0x6472;
const IO_REQUEST = 0x4952;
const IO_COMPLETION = 0x4943;
const SERVER_CAPABILITY = 0x5350;
const CLIENT_CAPABILITY = 0x4350;
const DEVICELIST_REMOVE = 0x444d;
const USER_LOGGEDON = 0x554c;
const CACHE_DATA = 0x5043;
const USING_XPS = 0x5543;

/** Ids of devices are the client's choice; nobody has more drives and printers than this. */
const mostDevices = 256;

/** Which side may send a kind of message; what the other side sends of it is a violation for whoever filters. */
export function sentBy(type: DeviceMessage['type']): 'client' | 'target' | 'both' {
  switch (type) {
    case 'server-announce':
    case 'logged-on':
    case 'reply':
    case 'request':
    case 'printer-xps':
      return 'target';
    case 'client-name':
    case 'announce':
    case 'remove':
    case 'completion':
      return 'client';
    default:
      return 'both';
  }
}

/** Reads one message: component u16, packet u16, body. */
export function decodeDevice(bytes: Uint8Array): DeviceMessage | Violation {
  const reader = new LittleReader(bytes);
  const component = reader.u16();
  const packet = reader.u16();
  if (reader.violation !== undefined) return { violation: reader.violation };
  const message =
    component === CORE
      ? decodeCore(packet, reader)
      : component === PRINTER
        ? decodePrinter(packet, reader)
        : { type: 'unknown' as const, component, packet };
  return reader.violation === undefined ? message : { violation: reader.violation };
}

function decodeCore(packet: number, reader: LittleReader): DeviceMessage {
  switch (packet) {
    case SERVER_ANNOUNCE:
    case CLIENTID_CONFIRM: {
      const type = packet === SERVER_ANNOUNCE ? 'server-announce' : 'client-id';
      return { type, major: reader.u16(), minor: reader.u16(), clientId: reader.u32() };
    }
    case CLIENT_NAME:
      return decodeClientName(reader);
    case SERVER_CAPABILITY:
    case CLIENT_CAPABILITY:
      return decodeCapabilities(reader, packet === SERVER_CAPABILITY ? 'target' : 'client');
    case USER_LOGGEDON:
      return { type: 'logged-on' };
    case DEVICELIST_ANNOUNCE:
      return { type: 'announce', devices: decodeList(reader, decodeOne) };
    case DEVICELIST_REMOVE:
      return { type: 'remove', devices: decodeList(reader, () => reader.u32()) };
    case DEVICE_REPLY:
      return { type: 'reply', device: reader.u32(), status: reader.u32() };
    case IO_REQUEST:
      return decodeRequest(reader);
    case IO_COMPLETION:
      return decodeCompletion(reader);
    default:
      return { type: 'unknown', component: CORE, packet };
  }
}

function decodePrinter(packet: number, reader: LittleReader): DeviceMessage {
  if (packet === CACHE_DATA) return { type: 'printer-cache' };
  if (packet === USING_XPS) return { type: 'printer-xps', device: reader.u32() };
  return { type: 'unknown', component: PRINTER, packet };
}

/** UnicodeFlag u32 (1: UTF-16, else ASCII), CodePage u32, length u32 in bytes, the name. */
function decodeClientName(reader: LittleReader): DeviceMessage {
  const unicode = reader.u32() === 1;
  reader.skip(4);
  const length = reader.u32();
  const name = unicode ? reader.utf16(length) : latin(reader.raw(length));
  return { type: 'client-name', name: cut(name) };
}

/** numCapabilities u16, pad u16, then sets: type u16, length u16 (with these eight), version u32. */
function decodeCapabilities(reader: LittleReader, from: 'client' | 'target'): DeviceMessage {
  const sets: DeviceCapability[] = [];
  const count = reader.u16();
  reader.skip(2);
  if (count > 32) reader.fail('too many device capabilities');
  for (let i = 0; i < count && reader.violation === undefined; i++) {
    const type = reader.u16();
    const length = reader.u16();
    sets.push({ type, version: reader.u32(), data: reader.raw(length - 8) });
  }
  return { type: 'capabilities', from, sets };
}

function decodeList<T>(reader: LittleReader, one: (reader: LittleReader) => T): T[] {
  const list: T[] = [];
  const count = reader.u32();
  if (count > mostDevices) reader.fail('too many devices');
  for (let i = 0; i < count && reader.violation === undefined; i++) list.push(one(reader));
  return list;
}

/** DeviceType u32, DeviceId u32, PreferredDosName 8 bytes, DeviceDataLength u32, DeviceData. */
function decodeOne(reader: LittleReader): Device {
  const code = reader.u32();
  const id = reader.u32();
  const shortName = reader.raw(8);
  const data = reader.raw(reader.u32());
  return { type: deviceTypes[code] ?? 'unknown', code, id, name: cut(latin(shortName)), shortName, data };
}

export function encodeAnnounce(devices: readonly Device[]): Uint8Array {
  const out = new LittleWriter().u16(CORE).u16(DEVICELIST_ANNOUNCE).u32(devices.length);
  for (const { code, id, shortName, data } of devices) out.u32(code).u32(id).raw(shortName).u32(data.length).raw(data);
  return out.finish();
}

export function encodeRemove(devices: readonly number[]): Uint8Array {
  const out = new LittleWriter().u16(CORE).u16(DEVICELIST_REMOVE).u32(devices.length);
  for (const device of devices) out.u32(device);
  return out.finish();
}

export function encodeReply(device: number, status: number): Uint8Array {
  return new LittleWriter(12).u16(CORE).u16(DEVICE_REPLY).u32(device).u32(status).finish();
}

export function encodeCapabilities(from: 'client' | 'target', sets: readonly DeviceCapability[]): Uint8Array {
  const out = new LittleWriter().u16(CORE).u16(from === 'target' ? SERVER_CAPABILITY : CLIENT_CAPABILITY);
  out.u16(sets.length).u16(0);
  for (const { type, version, data } of sets)
    out
      .u16(type)
      .u16(8 + data.length)
      .u32(version)
      .raw(data);
  return out.finish();
}

function latin(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += String.fromCharCode(byte);
  return out;
}

function cut(text: string): string {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}

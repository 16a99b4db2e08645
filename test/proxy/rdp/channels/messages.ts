/** Messages that tests send through filters, and what came out of them in short. */
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';
import { isViolation, type Violation } from '../../../../src/protocol/wire/violation.ts';
import type { ChannelEvent, Passed } from '../../../../src/proxy/rdp/channels/filter.ts';
import { wide } from '../../../protocol/rdp/channels/bytes.ts';

/** A step that went well, or a failed test. */
export function passed(step: Passed | Violation): Passed {
  if (isViolation(step)) throw new Error(step.violation);
  return step;
}

/** The events of one type. */
export function only<T extends ChannelEvent['type']>(
  events: readonly ChannelEvent[],
  type: T,
): Extract<ChannelEvent, { type: T }>[] {
  return events.filter((event): event is Extract<ChannelEvent, { type: T }> => event.type === type);
}

export interface File {
  readonly name: string;
  readonly size: number;
}

/** A list of files as FileGroupDescriptorW has it. */
export function fileList(files: readonly File[]): Uint8Array {
  const out = new LittleWriter().u32(files.length);
  for (const { name, size } of files) {
    out.u32(0x4044).zeros(32).u32(0x20).zeros(16).u64(0n).u32(0).u32(size);
    out.raw(wide(name.padEnd(260, '\0')));
  }
  return out.finish();
}

/** A request of the target: major and minor function, device 1 unless said otherwise. */
export function ask(completion: number, file: number, major: number, body: Uint8Array, device = 1): Uint8Array {
  const head = new LittleWriter().u16(0x4472).u16(0x4952).u32(device).u32(file).u32(completion);
  return head.u32(major).u32(0).raw(body).finish();
}

export function askCreate(
  completion: number,
  path: string,
  access: number,
  disposition: number,
  options = 0,
): Uint8Array {
  const name = wide(`${path}\0`);
  const body = new LittleWriter().u32(access).zeros(16).u32(disposition).u32(options).u32(name.length).raw(name);
  return ask(completion, 0, 0, body.finish());
}

export function askRead(completion: number, file: number, offset: number, bytes: number): Uint8Array {
  return ask(completion, file, 3, new LittleWriter().u32(bytes).u64(BigInt(offset)).zeros(20).finish());
}

export function askWrite(completion: number, file: number, offset: number, data: Uint8Array, device = 1): Uint8Array {
  const body = new LittleWriter().u32(data.length).u64(BigInt(offset)).zeros(20).raw(data).finish();
  return ask(completion, file, 4, body, device);
}

export function askSet(completion: number, file: number, level: number, data: Uint8Array): Uint8Array {
  return ask(completion, file, 6, new LittleWriter().u32(level).u32(data.length).zeros(24).raw(data).finish());
}

/** A completion of the client. */
export function complete(
  completion: number,
  status: number,
  write: (out: LittleWriter) => unknown,
  device = 1,
): Uint8Array {
  const out = new LittleWriter().u16(0x4472).u16(0x4943).u32(device).u32(completion).u32(status);
  write(out);
  return out.finish();
}

/** An announcement of devices: type, id, name. */
export function announce(...devices: [number, number, string][]): Uint8Array {
  const out = new LittleWriter().u16(0x4472).u16(0x4441).u32(devices.length);
  for (const [type, id, name] of devices) {
    out.u32(type).u32(id);
    for (let i = 0; i < 8; i++) out.u8(i < name.length ? name.charCodeAt(i) : 0);
    out.u32(0);
  }
  return out.finish();
}

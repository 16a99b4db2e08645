/** The device filter with a peer on each side, for tests. */
import { expect } from 'vitest';
import { hex } from '../../../../src/base/bytes.ts';
import { decodeDevice } from '../../../../src/protocol/rdp/channels/wire/rdpdr.ts';
import { devices } from '../../../../src/proxy/rdp/channels/devices.ts';
import {
  type ChannelEvent,
  channelLimits,
  type MessageFilter,
  type Side,
} from '../../../../src/proxy/rdp/channels/filter.ts';
import { rdpPolicy } from '../../../../src/proxy/rdp/policy.ts';
import { bytes, good } from '../../../protocol/rdp/channels/bytes.ts';
import { announce, ask, askCreate, askRead, askSet, askWrite, complete, passed } from './messages.ts';

/** Hexadecimal messages that each side got. */
export interface Got {
  readonly target: string[];
  readonly client: string[];
}

/** A filter under a grant; `send` gives what each side got, and keeps the events. */
export function underGrant(...subprotocols: string[]): {
  readonly filter: MessageFilter;
  readonly events: ChannelEvent[];
  readonly send: (from: Side, message: Uint8Array) => Got;
} {
  const filter = devices(rdpPolicy(subprotocols), channelLimits);
  const events: ChannelEvent[] = [];
  const send = (from: Side, message: Uint8Array): { target: string[]; client: string[] } => {
    const step = passed(filter.message(from, message));
    events.push(...step.events);
    return { target: step.toTarget.map(hex), client: step.toClient.map(hex) };
  };
  return { filter, events, send };
}

/** The status of a completion that the gate made for the target. */
export function refusal(step: Got): number | undefined {
  expect(step.client).toEqual([]);
  const message = good(decodeDevice(bytes(step.target[0] ?? '')));
  return message.type === 'completion' ? message.status : undefined;
}

export interface OpenedFile extends ReturnType<typeof underGrant> {
  read(offset: number, length: number, data: Uint8Array, status?: number): void;
  write(offset: number, data: Uint8Array, status?: number): void;
  set(level: number, data: Uint8Array): void;
  close(): void;
}

/** A session with drive C as device 1, and its file `path` open as number 7. */
export function opened(grant: string, path: string, access = 0x80000000, disposition = 1, options = 0): OpenedFile {
  const session = underGrant(grant);
  session.send('client', announce([8, 1, 'C']));
  session.send('target', askCreate(1, path, access, disposition, options));
  session.send(
    'client',
    complete(1, 0, (out) => out.u32(7).u8(1)),
  );
  let next = 10;
  return {
    ...session,
    read(offset: number, length: number, data: Uint8Array, status = 0): void {
      expect(session.send('target', askRead(++next, 7, offset, length)).client).toHaveLength(1);
      session.send(
        'client',
        complete(next, status, (out) => out.u32(data.length).raw(data)),
      );
    },
    write(offset: number, data: Uint8Array, status = 0): void {
      expect(session.send('target', askWrite(++next, 7, offset, data)).client).toHaveLength(1);
      session.send(
        'client',
        complete(next, status, (out) => out.u32(status === 0 ? data.length : 0).u8(0)),
      );
    },
    set(level: number, data: Uint8Array): void {
      expect(session.send('target', askSet(++next, 7, level, data)).client).toHaveLength(1);
      session.send(
        'client',
        complete(next, 0, (out) => out.u32(data.length)),
      );
    },
    close(): void {
      session.send('target', ask(++next, 7, 2, new Uint8Array(32)));
      session.send(
        'client',
        complete(next, 0, (out) => out.zeros(4)),
      );
    },
  };
}

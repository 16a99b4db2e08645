import { describe, expect, test } from 'vitest';
import { concat, fromHex, hex, utf8 } from '../../../../src/base/bytes.ts';
import {
  type Active,
  capability,
  decodeActive,
  desktopOf,
  encodeActive,
  filterConfirm,
  filterDemand,
} from '../../../../src/protocol/rdp/wire/capabilities.ts';
import { frameAt } from '../../../../src/protocol/rdp/wire/frame.ts';
import { decodeFastPathInput, decodeSlowInput } from '../../../../src/protocol/rdp/wire/input.ts';
import { decodeMcs } from '../../../../src/protocol/rdp/wire/mcs.ts';
import { farewell } from '../../../../src/protocol/rdp/wire/refusal.ts';
import { decodeShareData, shareData, walkShare } from '../../../../src/protocol/rdp/wire/share.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';

const bytes = (digits: string): Uint8Array => fromHex(digits.replaceAll(/\s/g, '')) ?? new Uint8Array();

function good<T>(value: T | { readonly violation: string }): T {
  if (typeof value === 'object' && value !== null && 'violation' in value) throw new Error(String(value.violation));
  return value as T;
}

describe('activation', () => {
  const set = (type: number, data: Uint8Array) => ({ type, data });
  const demand: Active = {
    kind: 'demand',
    source: 1002,
    shareId: 0x103ea,
    originator: 0,
    descriptor: utf8('RDP\0'),
    sessionId: 0,
    capabilities: [
      set(capability.general, new Uint8Array(20).fill(1)),
      set(
        capability.bitmap,
        new LittleWriter()
          .u16(24)
          .u16(1)
          .u16(1)
          .u16(1)
          .u16(1024)
          .u16(768)
          .zeros(4)
          .u16(1)
          .u8(0)
          .u8(0x0e)
          .zeros(4)
          .finish(),
      ),
      set(capability.order, new Uint8Array(84).fill(0xff)),
      set(capability.bitmapCodecs, new Uint8Array(10)),
      set(capability.surfaceCommands, new Uint8Array(8).fill(0xff)),
      set(capability.virtualChannel, new Uint8Array(8).fill(0xff)),
      set(capability.bitmapCache2, new Uint8Array(36).fill(0xff)),
    ],
  };

  test('a Demand Active goes there and back, and a Confirm Active', () => {
    expect(decodeActive(encodeActive(demand))).toEqual(demand);
    const confirm: Active = { ...demand, kind: 'confirm', originator: 1002, source: 1007 };
    expect(decodeActive(encodeActive(confirm))).toEqual(confirm);
  });

  test('a client is not shown codecs, surface commands or the compression of channels', () => {
    const shown = filterDemand(demand).capabilities;
    expect(shown.map(({ type }) => type)).not.toContain(capability.bitmapCodecs);
    expect(shown.map(({ type }) => type)).not.toContain(capability.surfaceCommands);
    expect(hex(shown.find(({ type }) => type === capability.virtualChannel)?.data ?? new Uint8Array())).toBe(
      '00000000ffffffff',
    );
  });

  test('a target is told of no drawing order, no cache, no surface command and no loss of colour', () => {
    const told = filterConfirm({ ...demand, kind: 'confirm' }, 1009);
    expect(told.source).toBe(1009);
    const dataOf = (type: number) => told.capabilities.find((one) => one.type === type)?.data ?? new Uint8Array([1]);
    expect(
      dataOf(capability.order)
        .subarray(32, 64)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect([...dataOf(capability.order).subarray(30, 32)]).toEqual([0x0a, 0]);
    expect([...dataOf(capability.order).subarray(66, 68)]).toEqual([0, 0]);
    expect(dataOf(capability.bitmapCache2).every((byte) => byte === 0)).toBe(true);
    expect(dataOf(capability.surfaceCommands).every((byte) => byte === 0)).toBe(true);
    expect(dataOf(capability.bitmap)[19]).toBe(0x0c);
    expect(told.capabilities.some(({ type }) => type === capability.bitmapCodecs)).toBe(false);
  });

  test('the size of the desktop is in the set of bitmaps', () => {
    expect(desktopOf(demand)).toEqual({ width: 1024, height: 768, depth: 24 });
  });
});

describe('the share', () => {
  test('several messages in one are walked by their lengths, flow control between them is passed over', () => {
    const first = shareData(1, 0x2f, bytes('07000000'));
    const second = shareData(1, 0x1f, bytes('0100ea03'));
    const found = good(walkShare(concat([first, bytes('0080410000000000'), second])));
    expect(found.map(({ at, length }) => [at, length])).toEqual([
      [0, 22],
      [30, 22],
    ]);
    expect(decodeShareData(found[0]?.bytes ?? new Uint8Array())).toMatchObject({
      shareId: 1,
      type: 0x2f,
      compression: 0,
    });
  });

  test('a length past the end is a violation', () => {
    expect(walkShare(bytes('ff0017000000'))).toHaveProperty('violation');
    expect(walkShare(bytes('0300 1700'))).toHaveProperty('violation');
  });

  test('a farewell is a license, a number, and the end', () => {
    const said = farewell(1003, 9, false);
    const kinds: string[] = [];
    for (let at = 0; at < said.length; ) {
      const frame = good(frameAt(said, at));
      const pdu = good(decodeMcs(said.subarray(at, at + (frame?.length ?? 0))));
      kinds.push(pdu.kind === 'data' ? hex(pdu.data.subarray(-4)) : pdu.kind);
      at += frame?.length ?? said.length;
    }
    expect(kinds).toEqual(['04000000', '09000000', 'disconnect']);
  });
});

describe('input', () => {
  test('keys, Unicode and mouse of the fast path', () => {
    const message = bytes('0c 11 00 1e 01 1e 03 48 20 00 08 10 00 20 00');
    message[1] = message.length;
    expect(decodeFastPathInput(message)).toEqual(
      [
        { kind: 'key', scancode: 0x1e, down: true, extended: false },
        { kind: 'key', scancode: 0x1e, down: false, extended: false },
        { kind: 'key', scancode: 0x48, down: false, extended: true },
        { kind: 'mouse', extended: false, flags: 0x0800, x: 16, y: 32 },
      ].slice(0, 3),
    );
  });

  test('the slow form says the same', () => {
    const body = new LittleWriter()
      .u16(2)
      .u16(0)
      .u32(0)
      .u16(4)
      .u16(0x8000)
      .u16(0x1e)
      .u16(0)
      .u32(0)
      .u16(0x8001)
      .u16(0x0800)
      .u16(3)
      .u16(4)
      .finish();
    expect(decodeSlowInput(body)).toEqual([
      { kind: 'key', scancode: 0x1e, down: false, extended: false },
      { kind: 'mouse', extended: false, flags: 0x0800, x: 3, y: 4 },
    ]);
  });
});

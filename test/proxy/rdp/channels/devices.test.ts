import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat } from '../../../../src/base/bytes.ts';
import { decodeDevice, encodeCapabilities, encodeRemove } from '../../../../src/protocol/rdp/channels/wire/rdpdr.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { devices } from '../../../../src/proxy/rdp/channels/devices.ts';
import { channelLimits, type Side } from '../../../../src/proxy/rdp/channels/filter.ts';
import { rdpPolicy } from '../../../../src/proxy/rdp/policy.ts';
import { bytes, good, wide } from '../../../protocol/rdp/channels/bytes.ts';
import { opened, refusal, underGrant } from './device-session.ts';
import { announce, ask, askCreate, askRead, askWrite, complete, only, passed } from './messages.ts';

const DRIVE = 8;
const PRINTER = 4;
const SMARTCARD = 32;
const denied = 0xc0000022;

const all = announce(
  [DRIVE, 1, 'C'],
  [PRINTER, 2, 'PRN1'],
  [1, 3, 'COM1'],
  [2, 4, 'LPT1'],
  [SMARTCARD, 5, 'SCARD'],
  [99, 6, 'X'],
);

test.each([
  ['drives', ['C']],
  ['drives-read', ['C']],
  ['printers', ['PRN1']],
  ['ports', ['COM1', 'LPT1']],
  ['smartcards', ['SCARD']],
])('%s alone announces only its own devices, and the client hears of each refusal', (subprotocol, names) => {
  const { send, events } = underGrant(subprotocol);
  const { target, client } = send('client', all);
  const message = good(decodeDevice(bytes(target[0] ?? '')));
  expect(message.type === 'announce' && message.devices.map(({ name }) => name)).toEqual(names);
  expect(client).toHaveLength(6 - names.length);
  for (const reply of client) expect(decodeDevice(bytes(reply))).toMatchObject({ type: 'reply', status: denied });
  expect(only(events, 'device.announced').map(({ device }) => device)).toEqual(names);
  expect(only(events, 'device.refused')).toHaveLength(6 - names.length);
});

test('an announcement with nothing left of it does not reach the target', () => {
  expect(underGrant('printers').send('client', announce([DRIVE, 1, 'C'])).target).toEqual([]);
});

test('input and output on a refused device, or on one that never was, is refused by the gate', () => {
  const { send, events } = underGrant('printers');
  send('client', all);
  expect(refusal(send('target', askCreate(1, '\\', 0x80000000, 1)))).toBe(0xc000000e);
  expect(refusal(send('target', ask(2, 0, 14, new Uint8Array(32), 77)))).toBe(0xc000000e);
  expect(only(events, 'file.refused')).toMatchObject([{ name: '\\' }, { device: 'device 77' }]);
});

test('capabilities are cut down to what the grant names', () => {
  const sets = [1, 2, 3, 4, 5, 9].map((type) => ({ type, version: 1, data: new Uint8Array(4) }));
  const kept = (name: string): number[] => {
    const [message = ''] = underGrant(name).send('target', encodeCapabilities('target', sets)).client;
    const read = good(decodeDevice(bytes(message)));
    return read.type === 'capabilities' ? read.sets.map(({ type }) => type) : [];
  };
  expect(kept('printers')).toEqual([1, 2]);
  expect(kept('ports')).toEqual([1, 3]);
  expect(kept('drives-read')).toEqual([1, 4]);
  expect(kept('smartcards')).toEqual([1, 5]);
});

test('the full name of a drive is told, in letters of either width', () => {
  const named = (data: Uint8Array): Uint8Array =>
    concat([
      bytes('72 44 41 44 01 00 00 00 08 00 00 00 01 00 00 00 44 4f 43 55 4d 45 4e 00'),
      new LittleWriter().u32(data.length).raw(data).finish(),
    ]);
  for (const data of [wide('documents\0'), bytes('64 6f 63 75 6d 65 6e 74 73 00')]) {
    const { send, events } = underGrant('drives');
    send('client', named(data));
    expect(only(events, 'device.announced')).toMatchObject([{ device: 'documents', kind: 'drive' }]);
  }
});

const content = Uint8Array.from({ length: 3000 }, (_, i) => i * 5);
const sha256 = createHash('sha256').update(content).digest('hex');

test('what is printed is told with its hash', () => {
  const { send, events } = underGrant('printers');
  send('client', announce([PRINTER, 2, 'PRN1']));
  send('target', ask(1, 0, 0, new LittleWriter().zeros(32).finish(), 2));
  send(
    'client',
    complete(1, 0, (out) => out.u32(4).u8(0), 2),
  );
  for (const [id, data] of [
    [2, content.subarray(0, 1000)],
    [3, content.subarray(1000)],
  ] as const) {
    // print jobs have no positions
    send('target', askWrite(id, 4, 0, data, 2));
    send(
      'client',
      complete(id, 0, (out) => out.u32(data.length).u8(0), 2),
    );
  }
  send('target', ask(4, 4, 2, new Uint8Array(32), 2));
  send(
    'client',
    complete(4, 0, (out) => out.zeros(4), 2),
  );
  expect(only(events, 'file.transferred')).toMatchObject([
    { via: 'printer', way: 'down', device: 'PRN1', sha256, partial: false },
  ]);
});

test('files of a device that goes, of a new start, and of an end are told as they stand', () => {
  for (const end of [
    (file: ReturnType<typeof opened>): unknown => file.send('client', encodeRemove([1])),
    (file: ReturnType<typeof opened>): unknown => file.send('target', bytes('72 44 6e 49 01 00 0c 00 02 00 00 00')),
    (file: ReturnType<typeof opened>): unknown => file.events.push(...file.filter.close()),
  ]) {
    const file = opened('drives', '\\a');
    file.read(0, 1500, content.subarray(0, 1500));
    end(file);
    expect(only(file.events, 'file.transferred')).toMatchObject([{ bytes: 1500n, partial: true }]);
  }
});

test('messages of the wrong side are violations', () => {
  const { filter } = underGrant('drives');
  expect(isViolation(filter.message('target', announce([DRIVE, 1, 'C'])))).toBe(true);
  expect(isViolation(filter.message('client', askRead(1, 1, 0, 1)))).toBe(true);
  expect(isViolation(filter.message('client', encodeCapabilities('target', [])))).toBe(true);
});

test('more open files than the limit are refused, and more requests end the session', () => {
  const filter = devices(rdpPolicy(['drives']), { ...channelLimits, openFiles: 2, pending: 3 });
  passed(filter.message('client', announce([DRIVE, 1, 'C'])));
  for (const id of [1, 2]) {
    passed(filter.message('target', askCreate(id, '\\a', 1, 1)));
    passed(
      filter.message(
        'client',
        complete(id, 0, (out) => out.u32(id).u8(1)),
      ),
    );
  }
  const [answer] = passed(filter.message('target', askCreate(3, '\\a', 1, 1))).toTarget;
  expect(decodeDevice(answer ?? new Uint8Array())).toMatchObject({ status: 0xc000011f });
  for (const id of [4, 5, 6]) passed(filter.message('target', askRead(id, 1, 0, 1)));
  expect(isViolation(filter.message('target', askRead(7, 1, 0, 1)))).toBe(true);
});

test('no bytes make the filter throw, and a target that may only read never has a change pass', () => {
  const message = fc.oneof(
    fc.tuple(fc.constant<Side>('target'), fc.uint8Array({ maxLength: 80 })),
    fc.tuple(fc.constant<Side>('client'), fc.uint8Array({ maxLength: 80 })),
    fc
      .tuple(fc.nat(5), fc.nat(3), fc.constantFrom(0, 2, 3, 4, 5, 6, 11, 12, 14), fc.uint8Array({ maxLength: 90 }))
      .map(([id, file, major, body]): [Side, Uint8Array] => ['target', ask(id, file, major, body)]),
    fc
      .tuple(fc.nat(5), fc.nat(3), fc.nat(0xffffffff), fc.nat(6), fc.nat(0x2000))
      .map(([id, , access, disposition, options]): [Side, Uint8Array] => [
        'target',
        askCreate(id, '\\a', access, disposition, options),
      ]),
    fc
      .tuple(fc.nat(5), fc.nat(3), fc.nat(6))
      .map(([id, file, size]): [Side, Uint8Array] => ['client', complete(id, 0, (out) => out.u32(file).zeros(size))]),
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 60 }), (messages) => {
      const filter = devices(rdpPolicy(['drives-read']), { ...channelLimits, openFiles: 3, pending: 5 });
      passed(filter.message('client', announce([DRIVE, 1, 'C'])));
      for (const [from, input] of messages) {
        const step = filter.message(from, input);
        if (isViolation(step)) break;
        for (const out of step.toClient) {
          const read = decodeDevice(out);
          if (isViolation(read) || read.type !== 'request') continue;
          expect(['write', 'set-information', 'set-volume', 'control', 'unknown']).not.toContain(read.call.call);
          if (read.call.call === 'create') expect(read.call.access & 0x530d0156).toBe(0);
        }
      }
      filter.close();
    }),
    { numRuns: 1000 },
  );
});

/** Bytes of MS-RDPEPC §4.1.1, requests and completions of MS-RDPEFS §2.2.1 and §2.2.3, and any bytes at all. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, hex } from '../../../../src/base/bytes.ts';
import {
  decodeDevice,
  encodeAnnounce,
  encodeCapabilities,
  encodeRemove,
  encodeReply,
} from '../../../../src/protocol/rdp/channels/wire/rdpdr.ts';
import {
  createDone,
  encodeRefusal,
  readDone,
  sizeDone,
  writeDone,
} from '../../../../src/protocol/rdp/channels/wire/rdpdr-io.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { bytes, good, wide } from './bytes.ts';

/** MS-RDPEPC §4.1.1: two printers and a parallel port. */
const printers = bytes(
  '72 44 41 44 03 00 00 00 04 00 00 00 04 00 00 00 50 52 4e 34 00 00 00 00 50 00 00 00 10 00 00 00',
  '00 00 00 00 00 00 00 00 1c 00 00 00 1c 00 00 00 00 00 00 00 41 00 70 00 6f 00 6c 00 6c 00 6f 00',
  '20 00 50 00 2d 00 31 00 32 00 30 00 30 00 00 00 41 00 70 00 6f 00 6c 00 6c 00 6f 00 20 00 50 00',
  '2d 00 31 00 32 00 30 00 30 00 00 00 04 00 00 00 03 00 00 00 50 52 4e 33 00 00 00 00 74 00 00 00',
  '12 00 00 00 00 00 00 00 00 00 00 00 2e 00 00 00 2e 00 00 00 00 00 00 00 43 00 61 00 6e 00 6f 00',
  '6e 00 20 00 42 00 75 00 62 00 62 00 6c 00 65 00 2d 00 4a 00 65 00 74 00 20 00 42 00 4a 00 2d 00',
  '33 00 30 00 00 00 43 00 61 00 6e 00 6f 00 6e 00 20 00 42 00 75 00 62 00 62 00 6c 00 65 00 2d 00',
  '4a 00 65 00 74 00 20 00 42 00 4a 00 2d 00 33 00 30 00 00 00 02 00 00 00 02 00 00 00 4c 50 54 31',
  '00 00 00 00 00 00 00 00',
);

test('the announcement of the specification is read and written', () => {
  expect(printers.length).toBe(264);
  const message = good(decodeDevice(printers));
  if (message.type !== 'announce') throw new Error(message.type);
  expect(message.devices.map(({ type, id, name, data }) => [type, id, name, data.length])).toEqual([
    ['printer', 4, 'PRN4', 0x50],
    ['printer', 3, 'PRN3', 0x74],
    ['parallel', 2, 'LPT1', 0],
  ]);
  expect(hex(encodeAnnounce(message.devices))).toBe(hex(printers));
});

test('messages of the start are read', () => {
  expect(decodeDevice(bytes('72 44 6e 49 01 00 0c 00 02 00 00 00'))).toEqual({
    type: 'server-announce',
    major: 1,
    minor: 12,
    clientId: 2,
  });
  expect(decodeDevice(bytes('72 44 43 43 01 00 0c 00 02 00 00 00'))).toMatchObject({ type: 'client-id', clientId: 2 });
  const name = concat([bytes('72 44 4e 43 01 00 00 00 00 00 00 00 0a 00 00 00'), wide('DESK\0')]);
  expect(decodeDevice(name)).toEqual({ type: 'client-name', name: 'DESK' });
  expect(decodeDevice(bytes('72 44 4c 55'))).toEqual({ type: 'logged-on' });
  expect(decodeDevice(bytes('52 50 43 50 01 00 00 00'))).toEqual({ type: 'printer-cache' });
  expect(decodeDevice(bytes('52 50 43 55 04 00 00 00 00 00 00 00'))).toEqual({ type: 'printer-xps', device: 4 });
  expect(decodeDevice(bytes('34 12 43 55'))).toEqual({ type: 'unknown', component: 0x1234, packet: 0x5543 });
});

test('capabilities, removals and replies are read as they were written', () => {
  const sets = [
    { type: 1, version: 2, data: new Uint8Array(36) },
    { type: 4, version: 2, data: new Uint8Array() },
  ];
  expect(decodeDevice(encodeCapabilities('client', sets))).toEqual({ type: 'capabilities', from: 'client', sets });
  expect(decodeDevice(encodeCapabilities('target', []))).toEqual({ type: 'capabilities', from: 'target', sets: [] });
  expect(decodeDevice(encodeRemove([3, 9]))).toEqual({ type: 'remove', devices: [3, 9] });
  expect(hex(encodeReply(4, 0xc0000022))).toBe('72447264' + '04000000' + '220000c0');
});

/** A request on file 7 of device 1, number 5. */
function request(major: number, minor: number, body: Uint8Array): Uint8Array {
  const head = new LittleWriter().u16(0x4472).u16(0x4952).u32(1).u32(7).u32(5).u32(major).u32(minor);
  return head.raw(body).finish();
}

const path = wide('\\a\0');
const create = concat([
  bytes('80 00 10 00', '00'.repeat(8), '80 00 00 00 07 00 00 00 01 00 00 00 60 00 00 00 06 00 00 00'),
  path,
]);
const rename = concat([bytes('0a 00 00 00 0c 00 00 00', '00'.repeat(24), '00 00 06 00 00 00'), path]);

const calls: [string, Uint8Array, object][] = [
  ['create', request(0, 0, create), { call: 'create', access: 0x100080, disposition: 1, options: 0x60, path: '\\a' }],
  ['close', request(2, 0, new Uint8Array(32)), { call: 'close' }],
  [
    'read',
    request(3, 0, bytes('00 10 00 00 05 00 00 00 01 00 00 00', '00'.repeat(20))),
    { call: 'read', offset: 0x1_0000_0005n, bytes: 4096 },
  ],
  [
    'write',
    request(4, 0, bytes('02 00 00 00 05 00 00 00 00 00 00 00', '00'.repeat(20), 'aa bb')),
    { call: 'write', offset: 5n, data: bytes('aabb') },
  ],
  ['rename', request(6, 0, rename), { call: 'set-information', level: 10, change: { change: 'renamed', to: '\\a' } }],
  [
    'delete without a buffer',
    request(6, 0, bytes('0d 00 00 00 00 00 00 00', '00'.repeat(24))),
    { call: 'set-information', level: 13, change: { change: 'deleted', pending: true } },
  ],
  [
    'delete taken back',
    request(6, 0, bytes('0d 00 00 00 01 00 00 00', '00'.repeat(24), '00')),
    { call: 'set-information', level: 13, change: { change: 'deleted', pending: false } },
  ],
  [
    'resize',
    request(6, 0, bytes('14 00 00 00 08 00 00 00', '00'.repeat(24), '2c 00 00 00 00 00 00 00')),
    { call: 'set-information', level: 20, change: { change: 'resized', size: 44n } },
  ],
  ['query size', request(5, 0, bytes('05 00 00 00', '00'.repeat(28))), { call: 'query-information', level: 5 }],
  [
    'query directory',
    request(12, 1, concat([bytes('03 00 00 00 01 06 00 00 00', '00'.repeat(23)), path])),
    { call: 'query-directory', level: 3, initial: true, path: '\\a' },
  ],
  ['watch directory', request(12, 2, new Uint8Array(32)), { call: 'watch-directory' }],
  ['control', request(14, 0, bytes('00000000 00000000 14000900', '00'.repeat(20))), { call: 'control', code: 0x90014 }],
  ['something else', request(99, 1, new Uint8Array()), { call: 'unknown', major: 99, minor: 1 }],
];

test.each(calls)('%s is read', (_, input, call) => {
  expect(decodeDevice(input)).toEqual({ type: 'request', device: 1, file: 7, completion: 5, call });
});

test.each(calls)('%s cut off in its fields is a violation, never a misreading', (_, input, call) => {
  for (let end = 0; end < 24; end++) expect(decodeDevice(input.subarray(0, end)), `${end}`).toHaveProperty('violation');
  for (let end = 24; end < input.length; end++) {
    const message = decodeDevice(input.subarray(0, end));
    // what is left out after the last field is padding
    if (!isViolation(message)) expect(message).toMatchObject({ call });
  }
});

test('completions are read by what was asked', () => {
  const done = good(decodeDevice(bytes('72 44 43 49 01 00 00 00 05 00 00 00 00 00 00 00 07 00 00 00 01')));
  if (done.type !== 'completion') throw new Error(done.type);
  expect(done).toMatchObject({ device: 1, completion: 5, status: 0 });
  expect(createDone(done.tail)).toEqual({ file: 7, information: 1 });
  expect(createDone(bytes('07 00 00 00'))).toEqual({ file: 7, information: 0 });
  expect(readDone(bytes('02 00 00 00 aa bb'))).toEqual(bytes('aabb'));
  expect(readDone(bytes('03 00 00 00 aa bb'))).toHaveProperty('violation');
  expect(writeDone(bytes('03 00 00 00 00'))).toBe(3);
  expect(writeDone(bytes('03 00 00'))).toHaveProperty('violation');
  expect(sizeDone(bytes('16 00 00 00 00 10 00 00 00 00 00 00 2c 00 00 00 00 00 00 00 01 00 00 00 00 00'))).toBe(44n);
  expect(sizeDone(bytes('00 00 00 00'))).toBeUndefined();
});

test('a refusal is a completion that every client side could have sent', () => {
  const refusal = good(decodeDevice(encodeRefusal({ device: 1, completion: 5 }, 0xc0000022)));
  expect(refusal).toMatchObject({ type: 'completion', device: 1, completion: 5, status: 0xc0000022 });
  expect(hex(encodeRefusal({ device: 1, completion: 5 }, 0xc0000022))).toBe(
    '72444349' + '01000000' + '05000000' + '220000c0' + '0000000000',
  );
});

test('no bytes make the decoder throw, and lists are bounded', () => {
  const heads = fc.constantFrom('72444144', '72444d44', '72445249', '72444349', '72445053', '72444e43', '52504350');
  const major = fc.constantFrom(0, 2, 3, 4, 5, 6, 10, 11, 12, 14, 17, 200);
  fc.assert(
    fc.property(heads, major, fc.uint8Array({ maxLength: 120 }), (head, call, body) => {
      for (const input of [body, concat([bytes(head), body]), request(call, 1, body)]) {
        const message = decodeDevice(input);
        if (isViolation(message)) continue;
        if (message.type === 'announce') expect(decodeDevice(encodeAnnounce(message.devices))).toEqual(message);
      }
      createDone(body);
      readDone(body);
      writeDone(body);
      sizeDone(body);
    }),
  );
  expect(decodeDevice(bytes('72 44 4d 44 ff ff ff 7f', '00'.repeat(4000)))).toHaveProperty('violation');
});

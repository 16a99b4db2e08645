import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, hex } from '../../../../src/base/bytes.ts';
import { decodeDevice, encodeCapabilities, encodeRemove } from '../../../../src/protocol/rdp/channels/wire/rdpdr.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { devices } from '../../../../src/proxy/rdp/channels/devices.ts';
import { type ChannelEvent, channelLimits, type Side } from '../../../../src/proxy/rdp/channels/filter.ts';
import { rdpPolicy } from '../../../../src/proxy/rdp/policy.ts';
import { bytes, good, wide } from '../../../protocol/rdp/channels/bytes.ts';
import { announce, ask, askCreate, askRead, askSet, askWrite, complete, only, passed } from './messages.ts';

const DRIVE = 8;
const PRINTER = 4;
const SMARTCARD = 32;
const denied = 0xc0000022;

/** A filter under a grant; `send` gives what each side got, and keeps the events. */
function underGrant(...subprotocols: string[]) {
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
function refusal(step: { target: string[]; client: string[] }): number | undefined {
  expect(step.client).toEqual([]);
  const message = good(decodeDevice(bytes(step.target[0] ?? '')));
  return message.type === 'completion' ? message.status : undefined;
}

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

/** A session with drive C as device 1, and its file `path` open as number 7. */
function opened(grant: string, path: string, access = 0x80000000, disposition = 1, options = 0) {
  const session = underGrant(grant);
  session.send('client', announce([DRIVE, 1, 'C']));
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

const content = Uint8Array.from({ length: 3000 }, (_, i) => i * 5);
const sha256 = createHash('sha256').update(content).digest('hex');

test('a file that the target reads to its end is an upload with the hash of the whole', () => {
  const file = opened('drives-read', '\\docs\\a.bin');
  file.read(0, 2000, content.subarray(0, 2000));
  file.read(2000, 2000, content.subarray(2000));
  file.close();
  expect(only(file.events, 'file.transferred')).toEqual([
    {
      type: 'file.transferred',
      way: 'up',
      via: 'drive',
      device: 'C',
      name: '\\docs\\a.bin',
      size: 3000n,
      bytes: 3000n,
      sha256,
      partial: false,
    },
  ]);
});

test('the end of a file may also be known by its size, or by a read that finds nothing', () => {
  const bySize = opened('drives', '\\a');
  bySize.send('target', ask(5, 7, 5, bytes('05 00 00 00', '00'.repeat(28))));
  bySize.send(
    'client',
    complete(5, 0, (out) => out.u32(22).u64(4096n).u64(3000n).zeros(6)),
  );
  const byNothing = opened('drives', '\\a');
  for (const file of [bySize, byNothing]) {
    file.read(0, 1500, content.subarray(0, 1500));
    file.read(1500, 1500, content.subarray(1500));
  }
  byNothing.read(3000, 1500, new Uint8Array(), 0xc0000011);
  for (const file of [bySize, byNothing]) {
    file.close();
    expect(only(file.events, 'file.transferred')).toMatchObject([{ sha256, partial: false }]);
  }
});

test('the size may have been asked for through another opening of the same file', () => {
  const file = opened('drives', '\\a');
  file.send('target', ask(5, 7, 5, bytes('05 00 00 00', '00'.repeat(28))));
  file.send(
    'client',
    complete(5, 0, (out) => out.u32(22).u64(4096n).u64(3000n).zeros(6)),
  );
  file.close();
  file.send('target', askCreate(6, '\\a', 0x80000000, 1));
  file.send(
    'client',
    complete(6, 0, (out) => out.u32(7).u8(1)),
  );
  file.read(0, 3000, content);
  file.close();
  expect(only(file.events, 'file.transferred')).toMatchObject([{ size: 3000n, sha256, partial: false }]);
});

test('a file read in part or not in order is partial', () => {
  const half = opened('drives', '\\a');
  half.read(0, 1500, content.subarray(0, 1500));
  half.close();
  expect(only(half.events, 'file.transferred')).toMatchObject([{ bytes: 1500n, sha256: undefined, partial: true }]);
  const gap = opened('drives', '\\a');
  gap.read(0, 1000, content.subarray(0, 1000));
  gap.read(2000, 2000, content.subarray(2000));
  gap.close();
  expect(only(gap.events, 'file.transferred')).toMatchObject([{ bytes: 2000n, partial: true }]);
});

test('reads that overtake each other are put in order', () => {
  const file = opened('drives', '\\a');
  file.read(1000, 1000, content.subarray(1000, 2000));
  file.read(0, 1000, content.subarray(0, 1000));
  file.read(2000, 2000, content.subarray(2000));
  file.close();
  expect(only(file.events, 'file.transferred')).toMatchObject([{ sha256, partial: false }]);
});

test('a file that the target writes anew is a download with the hash of the whole', () => {
  const file = opened('drives', '\\b.bin', 0x40000000, 5);
  file.set(20, new LittleWriter().u64(3000n).finish());
  file.write(0, content.subarray(0, 1700));
  file.write(1700, content.subarray(1700));
  file.close();
  expect(only(file.events, 'file.transferred')).toMatchObject([
    { way: 'down', name: '\\b.bin', size: 3000n, bytes: 3000n, sha256, partial: false },
  ]);
  expect(only(file.events, 'file.changed')).toEqual([]);
});

test('writing into an old file, again, or without success, is partial', () => {
  const old = opened('drives', '\\b', 0x40000000, 1);
  old.write(0, content);
  const again = opened('drives', '\\b', 0x40000000, 2);
  again.write(0, content);
  again.write(0, content.subarray(0, 10));
  const failing = opened('drives', '\\b', 0x40000000, 2);
  failing.write(0, content, 0xc000007f);
  const shorter = opened('drives', '\\b', 0x40000000, 2);
  shorter.write(0, content);
  shorter.set(20, new LittleWriter().u64(10n).finish());
  for (const file of [old, again, failing, shorter]) {
    file.close();
    expect(only(file.events, 'file.transferred')).toMatchObject([{ way: 'down', partial: true, sha256: undefined }]);
  }
});

test('renames, deletions and new files are told', () => {
  const file = opened('drives', '\\old', 0x40010000, 2);
  const to = wide('\\new\0');
  file.set(10, new LittleWriter().u8(1).u8(0).u32(to.length).raw(to).finish());
  file.set(13, bytes('01'));
  file.close();
  expect(only(file.events, 'file.changed')).toEqual([
    { type: 'file.changed', device: 'C', change: 'renamed', name: '\\old', to: '\\new' },
    { type: 'file.changed', device: 'C', change: 'created', name: '\\new', to: undefined },
    { type: 'file.changed', device: 'C', change: 'deleted', name: '\\new', to: undefined },
  ]);
});

test('a deletion that was taken back is none', () => {
  const file = opened('drives', '\\a', 0x10000, 1);
  file.set(13, bytes('01'));
  file.set(13, bytes('00'));
  file.close();
  expect(only(file.events, 'file.changed')).toEqual([]);
});

test.each([
  ['write access', askCreate(2, '\\a', 0x40000000, 1)],
  ['append access', askCreate(2, '\\a', 0x4, 1)],
  ['delete access', askCreate(2, '\\a', 0x10000, 1)],
  ['all access', askCreate(2, '\\a', 0x10000000, 1)],
  ['the most access', askCreate(2, '\\a', 0x02000000, 1)],
  ['a new file', askCreate(2, '\\a', 0x80000000, 2)],
  ['a file that may be new', askCreate(2, '\\a', 0x80000000, 3)],
  ['an overwritten file', askCreate(2, '\\a', 0x80000000, 5)],
  ['deletion on close', askCreate(2, '\\a', 0x80000000, 1, 0x1000)],
  ['writing', askWrite(2, 7, 0, bytes('aa'))],
  ['renaming or deleting', askSet(2, 7, 13, bytes('01'))],
  ['a new volume label', ask(2, 7, 11, new Uint8Array(32))],
])('drives-read refuses %s in the place of the client', (_, request) => {
  const { send } = opened('drives-read', '\\a');
  expect(refusal(send('target', request))).toBe(denied);
  expect(opened('drives', '\\a').send('target', request).client).toHaveLength(1);
});

test('on a drive that may be read, reading and looking around pass', () => {
  const { send } = opened('drives-read', '\\a');
  for (const request of [
    askCreate(21, '\\b', 0x120089, 1, 0x60),
    askRead(22, 7, 0, 10),
    ask(23, 7, 5, bytes('05 00 00 00', '00'.repeat(28))),
    ask(24, 7, 10, new Uint8Array(32)),
    ask(25, 7, 17, new Uint8Array(32)),
  ])
    expect(send('target', request).client).toEqual([hex(request)]);
});

test('what a failed read carries does not cross', () => {
  const { send } = opened('drives', '\\a');
  send('target', askRead(30, 7, 0, 100));
  const [to = ''] = send(
    'client',
    complete(30, 0x80000005, (out) => out.u32(3).raw(bytes('aabbcc'))),
  ).target;
  expect(to).not.toContain('aabbcc');
  expect(decodeDevice(bytes(to))).toMatchObject({ type: 'completion', status: 0x80000005 });
});

test('a completion that nobody waits for goes nowhere, and one that says too much ends the session', () => {
  const { send, filter } = opened('drives', '\\a');
  expect(
    send(
      'client',
      complete(99, 0, (out) => out.u32(1).u8(1)),
    ),
  ).toEqual({ target: [], client: [] });
  send('target', askRead(30, 7, 0, 2));
  expect(
    isViolation(
      filter.message(
        'client',
        complete(30, 0, (out) => out.u32(3).zeros(3)),
      ),
    ),
  ).toBe(true);
});

test('a file that is not open cannot be read or written', () => {
  const { send } = opened('drives', '\\a');
  expect(refusal(send('target', askRead(30, 8, 0, 2)))).toBe(0xc0000008);
  expect(refusal(send('target', askWrite(31, 8, 0, bytes('aa'))))).toBe(0xc0000008);
});

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

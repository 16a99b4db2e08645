import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { hex } from '../../../../src/base/bytes.ts';
import { decodeDevice } from '../../../../src/protocol/rdp/channels/wire/rdpdr.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { bytes, wide } from '../../../protocol/rdp/channels/bytes.ts';
import { opened, refusal } from './device-session.ts';
import { ask, askCreate, askRead, askSet, askWrite, complete, only } from './messages.ts';

const denied = 0xc0000022;

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

/** Bytes that cross borders: authorized_keys files, frames of the worker's pipe, what may be signed. */
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, same } from '../../../src/base/bytes.ts';
import { publickeySignedData } from '../../../src/protocol/ssh/ssh.ts';
import { addKey, holdsKey, keysPaths, letsIn, removeKeys } from '../../../src/rotation/connectors/authorized-keys.ts';
import { frame, frames, longestFrame } from '../../../src/rotation/connectors/frames.ts';
import { isLoginOf } from '../../../src/rotation/connectors/run.ts';
import { pair } from './machine.ts';

const [mine, fresh, other] = [await pair('mine'), await pair('fresh'), await pair('other')];

test('adding and removing a key leaves every other byte of any file as it was', () => {
  const line = fc.oneof(
    fc.constantFrom(
      '',
      '# a comment',
      `restrict ${other.line}`,
      `command="x \\"ssh-ed25519\\" y" ${other.line}`,
      'ssh-ed25519 AAAA',
    ),
    fc.string({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  const file = fc
    .tuple(fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n')), { maxLength: 6 }), line)
    .map(([lines, last]) => new Uint8Array(Buffer.from(lines.flat().join('') + last, 'latin1')));
  fc.assert(
    fc.property(file, (content) => {
      const added = addKey(content, fresh.publicKey, 'c', mine.publicKey);
      expect(holdsKey(added, fresh.publicKey)).toBe(true);
      expect(same(addKey(added, fresh.publicKey, 'c', undefined), added)).toBe(true);
      expect(same(removeKeys(added, [fresh.publicKey]), content)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('a new key takes over the options of the one it replaces', () => {
  const content = Buffer.from(`from="10.0.0.0/8" ${mine.line}\n`);
  expect(Buffer.from(addKey(content, fresh.publicKey, 'c', mine.publicKey)).toString()).toMatch(
    /^from="10.0.0.0\/8" ssh-ed25519 /,
  );
});

test.for([
  ['', 'yes'],
  ['restrict,pty ', 'yes'],
  ['No-PTY,command="a, \\"b\\" from=" ', 'yes'],
  ['command="a\\\\" ', 'unsure'],
  ['from="127.0.0.1" ', 'unsure'],
  ['restrict,expiry-time="20300101" ', 'unsure'],
  ['cert-authority ', 'unsure'],
  ['what-comes-next ', 'unsure'],
] as const)('a line with the options %j lets its key in: %s', ([options, expected]) => {
  const content = Buffer.from(`# ${mine.line}\n${options}${mine.line}\n`, 'latin1');
  expect([letsIn(content, mine.publicKey), letsIn(content, other.publicKey)]).toEqual([expected, 'no']);
  const both = Buffer.from(`${options}${mine.line}\n${mine.line}\n`, 'latin1');
  expect(letsIn(both, mine.publicKey), 'another line does').toBe('yes');
});

test('no line of any form is believed beyond its options, nor takes long', () => {
  const options = fc.string({ unit: fc.constantFrom('"', '\\', ',', '=', 'a', 'command="', 'no-pty'), maxLength: 60 });
  fc.assert(
    fc.property(options, (some) => {
      const said = letsIn(Buffer.from(`from="192.0.2.1",${some} ${mine.line}\n`, 'latin1'), mine.publicKey);
      expect(said).not.toBe('yes');
    }),
    { numRuns: 500 },
  );
});

test('sshd finds the files by its own words', () => {
  const at = (patterns: string) => keysPaths(patterns, '/home/app', 'app', '1001');
  expect(at('.ssh/authorized_keys .ssh/authorized_keys2')).toEqual({
    paths: ['/home/app/.ssh/authorized_keys', '/home/app/.ssh/authorized_keys2'],
    unknown: false,
  });
  expect(at('/etc/ssh/keys/%u %h/k%%/%U').paths).toEqual(['/etc/ssh/keys/app', '/home/app/k%/1001']);
  expect([at('none'), at('')]).toEqual(Array(2).fill({ paths: [], unknown: false }));
  expect(at('/x/%q a')).toEqual({ paths: ['/home/app/a'], unknown: true });
});

async function read(chunks: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const out: Uint8Array[] = [];
  for await (const one of frames(Readable.from(chunks.map((chunk) => Buffer.from(chunk))))) out.push(one);
  return out;
}

test('frames come out as they went in, wherever the pipe splits them', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 5 }),
      fc.integer({ min: 1, max: 20 }),
      async (sent, size) => {
        const stream = concat(sent.map(frame));
        const chunks = Array.from({ length: Math.ceil(stream.length / size) }, (_, at) =>
          stream.slice(at * size, (at + 1) * size),
        );
        expect((await read(chunks)).map((one) => [...one])).toEqual(sent.map((one) => [...one]));
      },
    ),
    { numRuns: 100 },
  );
});

test('a frame that is too long or cut short ends the reading', async () => {
  const long = new Uint8Array(8);
  new DataView(long.buffer).setUint32(0, longestFrame + 1);
  await expect(read([long])).rejects.toMatchObject({ code: 'rotation.worker-protocol' });
  await expect(read([frame(new Uint8Array(9)).slice(0, 7)])).rejects.toMatchObject({
    code: 'rotation.worker-protocol',
  });
});

test('a worker gets signatures for the login of its job and for nothing else', () => {
  const session = new Uint8Array(32).fill(3);
  const data = publickeySignedData(session, 'app', 'ssh-connection', 'ssh-ed25519', mine.publicKey);
  expect(isLoginOf(data, 'app', mine.publicKey)).toBe(true);
  expect(isLoginOf(data, 'root', mine.publicKey)).toBe(false);
  expect(isLoginOf(data, 'app', other.publicKey)).toBe(false);
  expect(
    isLoginOf(
      publickeySignedData(session, 'app', 'ssh-userauth', 'ssh-ed25519', mine.publicKey),
      'app',
      mine.publicKey,
    ),
  ).toBe(false);
  expect(isLoginOf(concat([data, new Uint8Array(1)]), 'app', mine.publicKey)).toBe(false);
  for (let end = 0; end < data.length; end++) expect(isLoginOf(data.slice(0, end), 'app', mine.publicKey)).toBe(false);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => !isLoginOf(bytes, 'app', mine.publicKey)));
});

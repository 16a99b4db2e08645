/** Observers of file transfers, against the real scp and sftp of OpenSSH. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat } from '../../../../src/base/bytes.ts';
import { observeFiles } from '../../../../src/protocol/ssh/files/observe.ts';
import type { FileFact } from '../../../../src/protocol/ssh/files/wire/facts.ts';
import { transfer } from './piped.ts';

function sha(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

async function folders(): Promise<AsyncDisposable & { here: string; there: string; big: string }> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'sallyport-observe-'));
  const [here, there] = [join(folder.path, 'here'), join(folder.path, 'there')];
  for (const path of [here, there]) mkdirSync(path);
  const big = join(here, 'big file.bin');
  writeFileSync(big, randomBytes(1_500_000), { mode: 0o640 });
  return { here, there, big, [Symbol.asyncDispose]: async () => await folder.remove() };
}

test('scp -O to the target: each file of a tree with name, size, mode and the hash of what arrived', async () => {
  await using at = await folders();
  mkdirSync(join(at.here, 'tree'));
  writeFileSync(join(at.here, 'tree', 'empty'), '');
  writeFileSync(join(at.here, 'tree', 'näme'), 'content\n');
  const { facts, status } = await transfer('scp', [
    '-O',
    '-r',
    '-p',
    at.big,
    join(at.here, 'tree'),
    `host:${at.there}`,
  ]);
  expect(status).toBe(0);
  expect(facts.map((fact) => fact.path).toSorted()).toEqual(['big file.bin', 'tree/empty', 'tree/näme']);
  for (const fact of facts) {
    const arrived = join(at.there, fact.path);
    expect(fact).toMatchObject({
      action: 'transfer',
      direction: 'up',
      sha256: sha(arrived),
      size: readFileSync(arrived).length,
      remark: '',
    });
  }
  expect(facts.find((fact) => fact.path === 'big file.bin')?.mode).toBe(0o640);
});

test('scp -O from the target: the hash is that of the file that was fetched', async () => {
  await using at = await folders();
  const { facts, status } = await transfer('scp', ['-O', `host:${at.big.replace(' ', '\\ ')}`, at.there]);
  expect(status).toBe(0);
  expect(facts).toEqual([
    {
      action: 'transfer',
      direction: 'down',
      path: 'big file.bin',
      to: '',
      size: 1_500_000,
      mode: 0o640,
      sha256: sha(at.big),
      remark: '',
    },
  ]);
  expect(sha(join(at.there, 'big file.bin'))).toBe(sha(at.big));
});

test('scp -O that the target refuses is said to be refused', async () => {
  await using at = await folders();
  const { facts, status } = await transfer('scp', ['-O', at.big, `host:${join(at.there, 'no', 'such', 'folder')}/x`]);
  expect(status).not.toBe(0);
  expect(facts.filter((fact) => fact.sha256 !== undefined)).toEqual([]);
  expect(facts.every((fact) => fact.remark.startsWith('refused'))).toBe(true);
});

test('scp over sftp, both ways, with the hash of the file', async () => {
  await using at = await folders();
  const up = await transfer('scp', ['-s', at.big, `host:${at.there}/copy`]);
  expect(up.status).toBe(0);
  expect(up.facts.filter((fact) => fact.action === 'transfer')).toMatchObject([
    { direction: 'up', path: join(at.there, 'copy'), size: 1_500_000, sha256: sha(at.big), remark: '' },
  ]);
  const down = await transfer('scp', ['-s', `host:${at.there}/copy`, join(at.here, 'back')]);
  expect(down.status).toBe(0);
  expect(down.facts).toMatchObject([
    { direction: 'down', path: join(at.there, 'copy'), size: 1_500_000, sha256: sha(at.big), remark: '' },
  ]);
});

test('an sftp batch: transfers and every change to a name', async () => {
  await using at = await folders();
  writeFileSync(join(at.here, 'empty'), '');
  const batch = [
    `put "${at.big}" ${at.there}/a`,
    `put ${at.here}/empty ${at.there}/empty`,
    `mkdir ${at.there}/folder`,
    `rename ${at.there}/a ${at.there}/folder/b`,
    `get ${at.there}/folder/b ${at.here}/c`,
    `chmod 600 ${at.there}/folder/b`,
    `symlink ${at.there}/folder/b ${at.there}/link`,
    `-rm ${at.there}/missing`,
    `rm ${at.there}/empty`,
    `rmdir ${at.there}/folder`,
  ];
  const { facts } = await transfer(
    'sftp',
    ['-b', '-', 'host'],
    `${batch.slice(0, -1).join('\n')}\n-${batch.at(-1) ?? ''}\n`,
  );
  const said = facts.map(({ action, direction, path, to, size, remark }) => {
    return [action, direction, path.replace(at.there, ''), to.replace(at.there, ''), size, remark];
  });
  expect(said).toEqual([
    ['transfer', 'up', '/a', '', 1_500_000, ''],
    ['transfer', 'up', '/empty', '', 0, ''],
    ['mkdir', 'up', '/folder', '', 0, ''],
    ['rename', 'up', '/a', '/folder/b', 0, ''],
    ['transfer', 'down', '/folder/b', '', 1_500_000, ''],
    ['chmod', 'up', '/folder/b', '', 0, ''],
    ['link', 'up', '/folder/b', '/link', 0, ''],
    ['remove', 'up', '/missing', '', 0, 'refused: status 2'],
    ['remove', 'up', '/empty', '', 0, ''],
    ['rmdir', 'up', '/folder', '', 0, 'refused: status 4'],
  ]);
  for (const fact of facts.filter(({ action, size }) => action === 'transfer' && size > 0))
    expect(fact.sha256).toBe(sha(at.big));
});

test('a resumed upload is told without a hash, because its beginning was not seen', async () => {
  await using at = await folders();
  writeFileSync(join(at.there, 'part'), readFileSync(at.big).subarray(0, 700_000));
  const { facts } = await transfer('sftp', ['-b', '-', 'host'], `reput "${at.big}" ${at.there}/part\n`);
  const [fact] = facts.filter(({ action }) => action === 'transfer');
  expect(fact).toMatchObject({ direction: 'up', size: 800_000, remark: 'not sequential' });
  expect(fact?.sha256).toBeUndefined();
  expect(sha(join(at.there, 'part'))).toBe(sha(at.big));
});

test('however the bytes are cut into pieces, the facts are the same', async () => {
  await using at = await folders();
  writeFileSync(at.big, randomBytes(5000));
  for (const [kind, args] of [
    ['scp-up', ['-O', at.big, `host:${at.there}/x`]],
    ['scp-down', ['-O', `host:${at.there}/x`, `${at.here}/y`]],
    ['sftp', ['-s', at.big, `host:${at.there}/z`]],
  ] as const) {
    const { facts, pieces } = await transfer('scp', args);
    const again: FileFact[] = [];
    const observer = observeFiles(
      kind,
      () => createHash('sha256'),
      (fact) => again.push(fact),
    );
    for (const { from, bytes } of pieces) {
      for (const byte of bytes) {
        if (from === 'client') observer.clientBytes(Uint8Array.of(byte));
        else observer.serverBytes(Uint8Array.of(byte));
      }
    }
    observer.end();
    expect(again).toEqual(facts);
    expect(again.some((fact) => fact.sha256 !== undefined)).toBe(true);
  }
});

test('a transfer that is cut off is told as unfinished and without a hash', async () => {
  await using at = await folders();
  for (const [kind, flag] of [
    ['scp-up', '-O'],
    ['sftp', '-s'],
  ] as const) {
    const { pieces } = await transfer('scp', [flag, at.big, `host:${at.there}/x`]);
    const facts: FileFact[] = [];
    const observer = observeFiles(
      kind,
      () => createHash('sha256'),
      (fact) => facts.push(fact),
    );
    for (const { from, bytes } of pieces.slice(0, Math.floor(pieces.length / 2))) {
      if (from === 'client') observer.clientBytes(bytes);
      else observer.serverBytes(bytes);
    }
    observer.end();
    expect(facts.at(-1)).toMatchObject({ action: 'transfer', direction: 'up' });
    expect(facts.at(-1)?.remark).toMatch(/^not (finished|closed)$/);
    expect(facts.at(-1)?.sha256).toBeUndefined();
  }
});

test('arbitrary bytes from both sides never throw, and make at most one complaint', () => {
  const piece = fc.record({ client: fc.boolean(), bytes: fc.uint8Array({ maxLength: 200 }) });
  const type = fc.constantFrom(2, 3, 4, 5, 6, 9, 13, 14, 15, 17, 18, 20, 101, 102, 103, 105, 200);
  const packet = fc
    .record({ client: fc.boolean(), type, body: fc.uint8Array({ maxLength: 60 }) })
    .map(({ client, type: first, body }) => {
      const bytes = concat([new Uint8Array([0, 0, 0, body.length + 1, first]), body]);
      return { client, bytes };
    });
  const kinds = fc.constantFrom('sftp' as const, 'scp-up' as const, 'scp-down' as const);
  fc.assert(
    fc.property(kinds, fc.array(fc.oneof(piece, packet), { maxLength: 60 }), (kind, pieces) => {
      const facts: FileFact[] = [];
      const observer = observeFiles(
        kind,
        () => createHash('sha256'),
        (fact) => facts.push(fact),
      );
      for (const { client, bytes } of pieces) {
        if (client) observer.clientBytes(bytes);
        else observer.serverBytes(bytes);
      }
      observer.end();
      expect(facts.filter((fact) => fact.remark.startsWith('unparsed')).length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 2000 },
  );
});

test('what is remembered is bounded: too many handles, requests, or a huge packet put the observer to sleep', () => {
  const packet = (type: number, id: number, body: Uint8Array): Uint8Array => {
    const head = Buffer.alloc(9);
    head.writeUInt32BE(5 + body.length, 0);
    head[4] = type;
    head.writeUInt32BE(id, 5);
    return concat([head, body]);
  };
  const name = new Uint8Array([0, 0, 0, 1, 0x61, 0, 0, 0, 1, 0, 0, 0, 0]);
  const facts: FileFact[] = [];
  const observe = (): ReturnType<typeof observeFiles> =>
    observeFiles(
      'sftp',
      () => createHash('sha256'),
      (fact) => facts.push(fact),
    );
  const many = observe();
  for (let id = 0; id < 5000; id++) many.clientBytes(packet(3, id, name));
  const open = observe();
  for (let id = 0; id < 2000; id++) {
    open.clientBytes(packet(3, id, name));
    open.serverBytes(packet(102, id, new Uint8Array([0, 0, 0, 2, id >> 8, id & 255])));
  }
  observe().clientBytes(new Uint8Array([0x7f, 0xff, 0xff, 0xff, 3]));
  observe().serverBytes(packet(2, 6, new Uint8Array()));
  expect(facts.map((fact) => fact.remark)).toEqual([
    'unparsed: too many requests at a time',
    'unparsed: too many open files',
    'unparsed: a packet is out of bounds',
    'unparsed: sftp version 6',
  ]);
});

test('a file that is written out of order is told with its size and without a hash', () => {
  const string = (bytes: Uint8Array): Uint8Array => concat([new Uint8Array([0, 0, 0, bytes.length]), bytes]);
  const packet = (type: number, id: number, ...parts: readonly Uint8Array[]): Uint8Array => {
    const body = concat([new Uint8Array([type, 0, 0, 0, id]), ...parts]);
    return string(body);
  };
  const [name, handle, data] = [string(new Uint8Array([0x61])), string(new Uint8Array([9])), string(new Uint8Array(5))];
  const offset = (at: number): Uint8Array => new Uint8Array([0, 0, 0, 0, 0, 0, 0, at]);
  const told = (first: number, second: number): FileFact | undefined => {
    const facts: FileFact[] = [];
    const observer = observeFiles(
      'sftp',
      () => createHash('sha256'),
      (fact) => facts.push(fact),
    );
    observer.clientBytes(packet(3, 1, name, new Uint8Array([0, 0, 0, 0x0a, 0, 0, 0, 0])));
    observer.serverBytes(packet(102, 1, handle));
    observer.clientBytes(packet(6, 2, handle, offset(first), data));
    observer.clientBytes(packet(6, 3, handle, offset(second), data));
    observer.clientBytes(packet(4, 4, handle));
    for (const id of [2, 3, 4]) observer.serverBytes(packet(101, id, new Uint8Array(4)));
    return facts[0];
  };
  const sha256 = createHash('sha256').update(new Uint8Array(10)).digest('hex');
  expect(told(0, 5)).toMatchObject({ path: 'a', size: 10, sha256, remark: '' });
  for (const fact of [told(5, 0), told(0, 6), told(0, 0)]) {
    expect(fact).toMatchObject({ path: 'a', size: 10, remark: 'not sequential' });
    expect(fact?.sha256).toBeUndefined();
  }
});

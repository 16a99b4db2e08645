import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FileHash } from '../../../../src/proxy/rdp/channels/file-hash.ts';

const content = Uint8Array.from({ length: 1000 }, (_, i) => i * 11);
const sha256 = createHash('sha256').update(content).digest('hex');

test('parts in any order within the bound make the hash of the whole, and give back what they held', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { minLength: 10 }), (order) => {
      const budget = { bytes: 900 };
      const hash = new FileHash(budget);
      for (const i of order) hash.add(BigInt(i * 100), content.subarray(i * 100, i * 100 + 100));
      expect(hash.end('a', 1000n)).toEqual({ name: 'a', size: 1000n, bytes: 1000n, sha256, partial: false });
      expect(budget.bytes).toBe(900);
    }),
  );
});

test('parts that are missing, doubled, overlapping or beyond the end are partial, and what they held is given back', () => {
  const wrong: [number, number][][] = [
    [[0, 999]],
    [[1, 1000]],
    [
      [0, 1000],
      [0, 1],
    ],
    [
      [0, 600],
      [500, 1000],
    ],
    [
      [0, 400],
      [500, 1000],
    ],
    [
      [500, 1000],
      [500, 1000],
      [0, 500],
    ],
    [],
  ];
  for (const parts of wrong) {
    const budget = { bytes: 2000 };
    const hash = new FileHash(budget);
    for (const [from, to] of parts) hash.add(BigInt(from), content.subarray(from, to));
    expect(hash.end('a', 1000n), JSON.stringify(parts)).toMatchObject({ sha256: undefined, partial: true });
    expect(budget.bytes).toBe(2000);
  }
});

test('a file whose size nobody knows is partial', () => {
  const hash = new FileHash({ bytes: 0 });
  hash.add(0n, content);
  expect(hash.end('a', undefined)).toMatchObject({ bytes: 1000n, sha256: undefined, partial: true });
});

test('no more is held back than the budget of all files together', () => {
  const budget = { bytes: 250 };
  const hashes = [new FileHash(budget), new FileHash(budget), new FileHash(budget)];
  for (const hash of hashes) {
    hash.add(500n, content.subarray(500, 600));
    expect(budget.bytes).toBeGreaterThanOrEqual(0);
  }
  expect(budget.bytes).toBe(50);
  for (const hash of hashes) hash.end('a', 1000n);
  expect(budget.bytes).toBe(250);
});

test('a part that waits is a copy', () => {
  const hash = new FileHash({ bytes: 1000 });
  const late = content.slice(500);
  hash.add(500n, late);
  late.fill(0);
  hash.add(0n, content.subarray(0, 500));
  expect(hash.end('a', 1000n).sha256).toBe(sha256);
});

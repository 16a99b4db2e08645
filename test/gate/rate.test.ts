import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openRate } from '../../src/gate/rate.ts';

const limits = { burst: 3, perSecond: 1, networks: 4 };

test('a burst is let through, then one a second, and another network is not held to it', () => {
  const rate = openRate(limits);
  const at = (now: number, network = 'a'): boolean => rate.take(network, now);
  expect([at(0), at(0), at(0), at(0), at(999)]).toEqual([true, true, true, false, false]);
  expect(at(999, 'b')).toBe(true);
  expect([at(1000), at(1000), at(2500), at(2500)]).toEqual([true, false, true, false]);
});

test('who asks in vain is not kept out longer for it', () => {
  const rate = openRate(limits);
  for (let i = 0; i < 50; i++) rate.take('a', 0);
  expect([rate.take('a', 1000), rate.take('a', 1000)]).toEqual([true, false]);
});

test('networks that have rested are forgotten, and never more than the bound are known', () => {
  const rate = openRate(limits);
  for (const network of ['a', 'b', 'c', 'd', 'e', 'f']) rate.take(network, 0);
  expect(rate.size).toBe(4);
  rate.take('g', 60_000);
  expect(rate.size).toBe(1);
});

test('a clock that is set back gives nothing and takes nothing', () => {
  const rate = openRate(limits);
  expect([5000, 5000, 4000, 3000].map((now) => rate.take('a', now))).toEqual([true, true, true, false]);
});

test('over any time nobody gets more than the burst and one a second', () => {
  const steps = fc.array(fc.record({ wait: fc.nat(2000), network: fc.constantFrom('a', 'b') }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (asked) => {
      const rate = openRate({ ...limits, networks: 100 });
      const let_ = new Map<string, number>();
      let now = 0;
      for (const { wait, network } of asked) {
        now += wait;
        if (rate.take(network, now)) let_.set(network, (let_.get(network) ?? 0) + 1);
      }
      for (const count of let_.values()) expect(count).toBeLessThanOrEqual(limits.burst + now / 1000);
    }),
  );
});

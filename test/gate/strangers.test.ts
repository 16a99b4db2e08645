import { expect, test } from 'vitest';
import { networkOf, openStrangers } from '../../src/gate/strangers.ts';

function house(all: number, perAddress: number, lot: (below: number) => number = () => 0) {
  const away: string[] = [];
  const strangers = openStrangers({ all, perAddress }, lot);
  const come = (name: string, address: string): Disposable => strangers.admit(address, () => away.push(name));
  return { strangers, away, come };
}

test('up to the limits nobody is turned away', () => {
  const { strangers, away, come } = house(4, 2);
  for (const address of ['10.0.0.1', '10.0.0.2']) for (const name of ['a', 'b']) come(name + address, address);
  expect([strangers.size, away]).toEqual([4, []]);
});

test('an address beyond its share loses one of its own, whatever others have', () => {
  const { away, come } = house(10, 3, (below) => below - 1);
  come('user', '10.0.0.2');
  for (const name of ['one', 'two', 'three', 'four', 'five']) come(name, '10.0.0.1');
  expect(away).toEqual(['three', 'four']);
});

test('when the house is full, one of the address that has the most has to go', () => {
  const { strangers, away, come } = house(4, 3);
  come('first user', '10.0.0.2');
  for (const name of ['one', 'two', 'three']) come(name, '10.0.0.1');
  come('second user', '10.0.0.3');
  expect([strangers.size, away]).toEqual([4, ['one']]);
});

test('who is turned away is drawn by lot', () => {
  const drawn: number[] = [];
  const { away, come } = house(9, 3, (below) => {
    drawn.push(below);
    return 1;
  });
  for (const name of ['one', 'two', 'three', 'four']) come(name, '10.0.0.1');
  expect([drawn, away]).toEqual([[3], ['two']]);
});

test('who has logged in or left frees the place, once', () => {
  const { strangers, away, come } = house(2, 2);
  const one = come('one', '10.0.0.1');
  come('two', '10.0.0.1');
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  expect(strangers.size).toBe(1);
  come('three', '10.0.0.1');
  expect([strangers.size, away]).toEqual([2, []]);
});

test('one who was turned away and then leaves frees no second place', () => {
  const { strangers, come } = house(1, 1);
  const one = come('one', '10.0.0.1');
  come('two', '10.0.0.1');
  one[Symbol.dispose]();
  expect(strangers.size).toBe(1);
});

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
])('%s belongs to %s', (address, network) => expect(networkOf(address)).toBe(network));

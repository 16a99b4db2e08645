/** Addresses: one form for what is one address, whatever way it was written. */
import { isIP, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalAddress, ipv6Groups } from '../../src/base/addresses.ts';

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::FFFF:c000:0207', '192.0.2.7'],
  ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7'],
  ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:0db8:0:0:1:0:0:0', '2001:db8:0:0:1::'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['::', '::'],
  ['::1', '::1'],
  ['FE80::0:1%eth0', 'fe80::1%eth0'],
  ['64:ff9b::192.0.2.7', '64:ff9b::c000:207'],
  ['', ''],
  ['no address', 'no address'],
  ['1:2:3', '1:2:3'],
  ['1::2::3', '1::2::3'],
  ['1:2:3:4:5:6:7::8', '1:2:3:4:5:6:7::8'],
  ['::ffff:300.0.2.7', '::ffff:300.0.2.7'],
])('%s is %s', (text, canonical) => expect(canonicalAddress(text)).toBe(canonical));

test('every spelling of an address comes to one, and is what the system takes it for', () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const long = groups.map((one) => one.toString(16).padStart(4, '0').toUpperCase()).join(':');
      const short = canonicalAddress(long);
      expect(canonicalAddress(short)).toBe(short);
      if (isIP(short) === 4) return;
      expect(ipv6Groups(short)).toEqual(groups);
      const seen = new SocketAddress({ address: long, family: 'ipv6' }).address;
      expect(canonicalAddress(seen)).toBe(short);
    }),
  );
});

test('whatever the text is, an answer comes, and is its own', () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 80 }),
      fc.string({ unit: fc.constantFrom('0', 'a', ':', '.', '%', 'f'), maxLength: 40 }),
      (a, b) => {
        for (const text of [a, b]) {
          const once = canonicalAddress(text);
          expect(canonicalAddress(once)).toBe(once);
          expect(isIP(once) !== 0).toBe(isIP(text) !== 0);
        }
      },
    ),
  );
});

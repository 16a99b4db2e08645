/** Descriptors that Samba made of the texts beside them, for S-1-5-21-1-2-3-1104. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../../../src/base/bytes.ts';
import { mayResetPassword } from '../../../../../src/rotation/connectors/directory/wire/security-descriptor.ts';

const bytes = (digits: string): Uint8Array => fromHex(digits) ?? new Uint8Array(0);
const somebody = bytes('01050000000000051500000001000000020000000300000050040000');
const another = bytes('01050000000000051500000001000000020000000300000051040000');

const descriptors = {
  /** D:(OA;;CR;00299570-246d-11d0-a768-00aa006e0529;;S-…-1104) */
  granted:
    '01000480000000000000000000000000140000000400400001000000050038000001000001000000709529006d24d011a76800aa006e052901050000000000051500000001000000020000000300000050040000',
  /** D:AI(OA;CIID;CR;00299570-…;bf967aba-…;S-…-1104) */
  inherited:
    '01000484000000000000000000000000140000000400500001000000051248000001000003000000709529006d24d011a76800aa006e0529ba7a96bfe60dd011a28500aa003049e201050000000000051500000001000000020000000300000050040000',
  /** D:(OA;CIIO;CR;00299570-…;bf967aba-…;S-…-1104) */
  inheritOnly:
    '01000480000000000000000000000000140000000400500001000000050a48000001000003000000709529006d24d011a76800aa006e0529ba7a96bfe60dd011a28500aa003049e201050000000000051500000001000000020000000300000050040000',
  /** D:(OA;;CR;bf967a0a-…;;S-…-1104) */
  otherRight:
    '010004800000000000000000000000001400000004004000010000000500380000010000010000000a7a96bfe60dd011a28500aa003049e201050000000000051500000001000000020000000300000050040000',
  /** D:(A;;CR;;;S-…-1104) */
  allRights:
    '010004800000000000000000000000001400000004002c0001000000000024000001000001050000000000051500000001000000020000000300000050040000',
  /** D:(A;;GA;;;S-…-1104) */
  full: '010004800000000000000000000000001400000004002c0001000000000024000000001001050000000000051500000001000000020000000300000050040000',
  /** D:(A;;RPLCLORC;;;S-…-1104) */
  readOnly:
    '010004800000000000000000000000001400000004002c0001000000000024009400020001050000000000051500000001000000020000000300000050040000',
  /** D:(OD;;CR;00299570-…;;S-…-1104)(A;;CR;;;S-…-1104) */
  deniedFirst:
    '01000480000000000000000000000000140000000400640002000000060038000001000001000000709529006d24d011a76800aa006e052901050000000000051500000001000000020000000300000050040000000024000001000001050000000000051500000001000000020000000300000050040000',
  /** D:(OD;;CR;bf967a0a-…;;S-…-1104)(A;;CR;;;S-…-1104) */
  deniedOther:
    '010004800000000000000000000000001400000004006400020000000600380000010000010000000a7a96bfe60dd011a28500aa003049e201050000000000051500000001000000020000000300000050040000000024000001000001050000000000051500000001000000020000000300000050040000',
  /** O:BAG:BA */
  noList: '01000080140000002400000000000000000000000102000000000005200000002002000001020000000000052000000020020000',
  /** D: */
  emptyList: '01000480000000000000000000000000140000000400080000000000',
} as const;

const answers: Readonly<Record<keyof typeof descriptors, boolean>> = {
  granted: true,
  inherited: true,
  inheritOnly: false,
  otherRight: false,
  allRights: true,
  full: true,
  readOnly: false,
  deniedFirst: false,
  deniedOther: true,
  noList: true,
  emptyList: false,
};

for (const [name, may] of Object.entries(answers))
  test(`the right to reset a password is ${may ? 'seen' : 'not seen'} in the list "${name}"`, () => {
    const descriptor = bytes(descriptors[name as keyof typeof descriptors]);
    expect(mayResetPassword(descriptor, [another, somebody])).toBe(may);
  });

test('what is granted to one is not granted to another', () => {
  for (const name of ['granted', 'inherited', 'allRights', 'full'] as const)
    expect(mayResetPassword(bytes(descriptors[name]), [another]), name).toBe(false);
});

test('a list that was cut off anywhere grants nothing', () => {
  for (const name of ['granted', 'inherited', 'deniedOther'] as const) {
    const whole = bytes(descriptors[name]);
    for (let length = 0; length < whole.length; length++)
      expect(mayResetPassword(whole.subarray(0, length), [somebody]), `${name} ${length}`).not.toBe(true);
  }
});

test('whatever bytes come, judging ends', () => {
  const start = bytes(descriptors.deniedOther);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.array(fc.tuple(fc.nat(), fc.nat(255))), (any, changes) => {
      mayResetPassword(any, [somebody]);
      const changed = start.slice();
      for (const [at, octet] of changes) changed[at % changed.length] = octet;
      mayResetPassword(changed, [somebody]);
    }),
  );
});

/** RFC 3961 appendix A.1, RFC 3962 appendix B, and what MIT's own tests keep. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex, hex, utf8 } from '../../../../../src/base/bytes.ts';
import { primitives } from '../../../../../src/rotation/connectors/directory/kerberos-primitives.ts';
import {
  decryptCts,
  deriveKey,
  encryptCts,
  fold,
  seal,
  stringToKey,
  unseal,
} from '../../../../../src/rotation/connectors/directory/wire/kerberos-keys.ts';

const bytes = (digits: string): Uint8Array => fromHex(digits.replaceAll(' ', '').toLowerCase()) ?? new Uint8Array(0);

test('folding is that of RFC 3961 appendix A.1', () => {
  const vectors = [
    ['012345', 'be072631276b1955', 8],
    ['password', '78a07b6caf85fa', 7],
    ['Rough Consensus, and Running Code', 'bb6ed30870b7f0e0', 8],
    ['password', '59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e', 21],
    ['MASSACHVSETTS INSTITVTE OF TECHNOLOGY', 'db3b0d8f0b061e603282b308a50841229ad798fab9540c1b', 24],
    ['Q', '518a54a2 15a8452a 518a54a2 15a8452a 518a54a2 15', 21],
    ['ba', 'fb25d531 ae897449 9f52fd92 ea9857c4 ba24cf29 7e', 21],
    ['kerberos', '6b65726265726f73', 8],
    ['kerberos', '6b65726265726f737b9b5b2b93132b93', 16],
    ['kerberos', '8372c236344e5f1550cd0747e15d62ca7a5a3bcea4', 21],
    ['kerberos', '6b65726265726f737b9b5b2b93132b935c9bdcdad95c9899c4cae4dee6d6cae4', 32],
  ] as const;
  for (const [input, folded, length] of vectors)
    expect(hex(fold(utf8(input), length)), input).toBe(folded.replaceAll(' ', ''));
});

test('passwords become the keys of RFC 3962 appendix B', () => {
  const clef = bytes('f09d849e');
  const vectors = [
    ['password', utf8('ATHENA.MIT.EDUraeburn'), 1, 17, '42263c6e89f4fc28b8df68ee09799f15'],
    [
      'password',
      utf8('ATHENA.MIT.EDUraeburn'),
      1,
      18,
      'fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161',
    ],
    ['password', utf8('ATHENA.MIT.EDUraeburn'), 2, 17, 'c651bf29e2300ac27fa469d693bdda13'],
    [
      'password',
      utf8('ATHENA.MIT.EDUraeburn'),
      2,
      18,
      'a2e16d16b36069c135d5e9d2e25f896102685618b95914b467c67622225824ff',
    ],
    ['password', utf8('ATHENA.MIT.EDUraeburn'), 1200, 17, '4c01cd46d632d01e6dbe230a01ed642a'],
    [
      'password',
      utf8('ATHENA.MIT.EDUraeburn'),
      1200,
      18,
      '55a6ac740ad17b4846941051e1e8b0a7548d93b0ab30a8bc3ff16280382b8c2a',
    ],
    ['password', bytes('1234567878563412'), 5, 17, 'e9b23d52273747dd5c35cb55be619d8e'],
    ['X'.repeat(64), utf8('pass phrase equals block size'), 1200, 17, '59d1bb789a828b1aa54ef9c2883f69ed'],
    [
      'X'.repeat(65),
      utf8('pass phrase exceeds block size'),
      1200,
      18,
      'd78c5c9cb872a8c9dad4697f0bb5b2d21496c82beb2caeda2112fceea057401b',
    ],
    [clef, utf8('EXAMPLE.COMpianist'), 50, 17, 'f149c1f2e154a73452d43e7fe62a56e5'],
    [clef, utf8('EXAMPLE.COMpianist'), 50, 18, '4b6d9839f84406df1f09cc166db4b83c571848b784a3d6bdc346589a3e393f9e'],
    // Samba's, with the number of rounds that domain controllers use.
    [
      'password',
      utf8('ATHENA.MIT.EDUraeburn'),
      4096,
      18,
      '01b897121d933ab44b47eb5494db15e50eb74530dbdae9b634d65020ff5d88c1',
    ],
  ] as const;
  for (const [password, salt, rounds, type, key] of vectors) {
    const given = typeof password === 'string' ? utf8(password) : password;
    expect(hex(stringToKey(primitives, type, given, salt, rounds)), `${rounds} ${type}`).toBe(key);
  }
});

test('derived keys are those of MIT for usage 2', () => {
  const key = bytes('42263C6E89F4FC28B8DF68EE09799F15');
  expect(hex(deriveKey(primitives, key, Uint8Array.of(0, 0, 0, 2, 0xaa)))).toBe('5b14fc4e250e14ddf9dccf1af6674f53');
  expect(hex(deriveKey(primitives, key, Uint8Array.of(0, 0, 0, 2, 0x55)))).toBe('4ed31063621684f09ae8d89991af3e8f');
  const long = bytes('FE697B52BC0D3CE14432BA036A92E65BBB52280990A2FA27883998D72AF30161');
  expect(hex(deriveKey(primitives, long, Uint8Array.of(0, 0, 0, 2, 0xaa)))).toBe(
    'c7cfd9cd75fe793a586a542d87e0d1396f1134a104bb1a9190b8c90ada3ddf37',
  );
});

test('ciphertext stealing is that of RFC 3962 appendix B', () => {
  const key = bytes('636869636b656e207465726979616b69');
  const words = "I would like the General Gau's Chicken, please, and wonton soup.";
  const vectors = [
    [17, 'c6353568f2bf8cb4d8a580362da7ff7f97'],
    [31, 'fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5'],
    [32, '39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584'],
    [47, '97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e39312523a78662d5be7fcbcc98ebf5'],
    [48, '97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd839312523a78662d5be7fcbcc98ebf5a8'],
    [
      64,
      '97687268d6ecccc0c07b25e25ecfe58439312523a78662d5be7fcbcc98ebf5a84807efe836ee89a526730dbc2f7bc8409dad8bbb96c4cdc03bc103e1a194bbd8',
    ],
  ] as const;
  for (const [length, cipher] of vectors) {
    const plain = utf8(words).subarray(0, length);
    expect(hex(encryptCts(primitives, key, plain)), String(length)).toBe(cipher);
    expect(decryptCts(primitives, key, bytes(cipher))).toEqual(plain);
  }
});

test('what MIT sealed opens, for its key and its use only', () => {
  const vectors = [
    ['', 0, '5A5C0F0BA54F3828B2195E66CA24A289', '49FF8E11C173D9583A3254FBE7B1F1DF36C538E8416784A1672E6676'],
    ['1', 1, '98450E3F3BAA13F5C99BEB936981B06F', 'F86742F537B35DC2174A4DBAA920FAF9042090B065E1EBB1CAD9A65394'],
    [
      '13 bytes byte',
      3,
      '033EE6502C54FD23E27791E987983827',
      'EC366D0327A933BF49330E650E49BC6B974637FE80BF532FE51795B4809718E6194724DB948D1FD637',
    ],
    [
      '30 bytes bytes bytes bytes byt',
      4,
      'DCEEB70B3DE76562E689226C76429148',
      'C96081032D5D8EEB7E32B4089F789D0FAA481DEA74C0F97CBF3146DDFCF8E800156ECB532FC203E30FF600B63B350939FECE510F02D7FF1E7BAC',
    ],
    [
      '1',
      1,
      'B9477E1FF0329C0050E20CE6C72D2DFF27E8FE541AB0954429A9CB5B4F7B1E2A',
      '406150B97AEB76D43B36B62CC1ECDFBE6F40E95755E0BEB5C27825F3A4',
    ],
  ] as const;
  for (const [plain, usage, key, sealed] of vectors) {
    expect(unseal(primitives, bytes(key), usage, bytes(sealed)), plain).toEqual(utf8(plain));
    expect(unseal(primitives, bytes(key), usage + 1, bytes(sealed)), plain).toBeUndefined();
  }
});

test('anything sealed opens again, and not after one bit of it was turned', () => {
  const key = bytes('5A5C0F0BA54F3828B2195E66CA24A289');
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.uint8Array({ maxLength: 80 }),
      fc.nat(),
      (chance, plain, where) => {
        const sealed = seal(primitives, key, 3, chance, plain);
        expect(unseal(primitives, key, 3, sealed)).toEqual(plain);
        const bit = where % (sealed.length * 8);
        const turned = sealed.map((octet, at) => (at === bit >> 3 ? octet ^ (1 << (bit & 7)) : octet));
        expect(unseal(primitives, key, 3, turned)).toBeUndefined();
      },
    ),
    { numRuns: 50 },
  );
});

test('what is too short to have been sealed does not open', () => {
  for (const length of [0, 1, 12, 16, 27])
    expect(unseal(primitives, new Uint8Array(16), 3, new Uint8Array(length))).toBeUndefined();
});

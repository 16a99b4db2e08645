/** `$6$` hashes: the published vectors, and the crypt(3) of this machine, which Perl asks. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newSalt, sha512Crypt } from '../../../src/rotation/connectors/sha512-crypt.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Of Drepper's specification: salt, password, rounds if they are given, and the hash. */
const vectors: readonly (readonly [string, string, number | undefined, string])[] = [
  [
    'saltstring',
    'Hello world!',
    undefined,
    '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
  ],
  [
    'saltstringsaltstring',
    'Hello world!',
    10_000,
    '$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.',
  ],
  [
    'toolongsaltstring',
    'This is just a test',
    5_000,
    '$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0',
  ],
  [
    'anotherlongsaltstring',
    'a very much longer text to encrypt.  This one even stretches over morethan one line.',
    1_400,
    '$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1',
  ],
  [
    'short',
    'we have a short salt string but not a short password',
    77_777,
    '$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0',
  ],
  [
    'asaltof16chars..',
    'a short string',
    123_456,
    '$6$rounds=123456$asaltof16chars..$BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1',
  ],
  [
    'roundstoolow',
    'the minimum number is still observed',
    10,
    '$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX.',
  ],
];

test.each(vectors)('the published hash with the salt %s', (salt, password, times, hash) => {
  expect(sha512Crypt(bytes(password), salt, times)).toBe(hash);
});

test('any password hashes as crypt(3) of this machine does it', () => {
  const password = fc.string({ unit: 'binary', maxLength: 150 }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(password, (text) => {
      const salt = newSalt();
      const script = 'binmode STDIN; local $/; print crypt(<STDIN> // "", $ARGV[0])';
      const theirs = execFileSync('perl', ['-e', script, `$6$rounds=1000$${salt}`], { input: text }).toString();
      expect(sha512Crypt(bytes(text), salt, 1_000)).toBe(theirs);
    }),
    { numRuns: 40 },
  );
});

test('a salt is new each time, and holds nothing that a record would be cut at', () => {
  const salts = Array.from({ length: 50 }, newSalt);
  expect(new Set(salts).size).toBe(50);
  for (const salt of salts) expect(salt).toMatch(/^[./0-9A-Za-z]{16}$/);
});

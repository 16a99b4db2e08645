/** Stored forms made elsewhere: by OpenLDAP's slappasswd, its argon2 module, and the vectors of RFC 6070. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8 } from '../../../../src/base/bytes.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { isStored } from '../../../../src/rotation/connectors/directory/stored.ts';
import { readStoredPassword } from '../../../../src/rotation/connectors/directory/wire/stored-password.ts';

const is = (password: string, ...stored: readonly string[]): boolean | undefined =>
  isStored(Secret.fromText(password), stored.map(utf8));

const known = [
  ['secret-42', 'secret-42'],
  ['secret-42', '{CLEARTEXT}secret-42'],
  ['secret-42', '{SHA}kRS3gJHZyrk9OA/Nj1piL7f3DMs='],
  ['secret-42', '{SSHA}IVoRhjhk71/8fX5Wu7nHCNLDiaIJaB0D'],
  ['secret-42', '{MD5}7QLmXoCijh3qHmnfWUQDRw=='],
  ['secret-42', '{SMD5}0BRGCf9LpKazjh0JjgN9TgOmtrw='],
  ['secret-42', '{SHA256}sMMIA3CjPT3Vrw7pw/DTKPL4el3n6x7qMdw42pFRcw0='],
  ['secret-42', '{SSHA256}FaQBU9CBxQbe6gpCW6viVSC11cn9UdUcqA5ZSoSqEDnUxKYeZYPCcg=='],
  ['secret-42', '{SHA384}Y8eHGMWi5ZgGq0QfOAaK+QcIkbG9SY+SheZETs9JqlQAknqiIti9wCSNOy8cXLtK'],
  ['secret-42', '{SSHA384}7Ib0Xspag4aNJ2wumhoDkKfxAhDUsRGBcrKXTOEgHytYlkgzkQAjNEz195vaTNX/dtbzZBUN/6g='],
  ['secret-42', '{SHA512}oSxN9V3MsPs9KjN4XietXCcyQtNmFADIAH15kP77aQfIoJJ74oBrS/k4k43+Oi9xntlTP/MfdUK+ZQ6UzYl6pQ=='],
  [
    'secret-42',
    '{SSHA512}cIfDqXgy/pffM+b2KV9O4Ix3jYwFkjr78AWiXXR7jeywFGB6v+3BoMdIQ4i+G9rSPvRC5qEAXK4It+Mgl53b+vHy2Dug6uyq',
  ],
  [
    'secret-42',
    '{ARGON2}$argon2i$v=19$m=4096,t=3,p=1$PCdRJ2R3keKNheBFdkllSA$ru5JUajslmc7/ScY6jr6uf4C2pfjM6XJt0cBAWCgXOc',
  ],
  ['password', '{PBKDF2}4096$c2FsdA$SwB5AbdlSJq.rUnZJvch0GWkKcE'],
  ['password', '{PBKDF2-SHA1}1$c2FsdA$DGDID5YfDnHzqbUkr2ASBi/gN6Y'],
  ['password', '{PBKDF2-SHA256}4096$c2FsdA$xeR41ZKIyEGqUw22hFxMjZYok6ABzk4RpJY4c6qYE0o'],
  [
    'password',
    '{PBKDF2-SHA512}1000$c2FsdA$r.bFUweFtsxrHGRTOEcxvV7kMu5Un9QvtmlXea2KHFv1neacSPd078QAfVKY.QM8AkHVq2kwXntk7O642DTP7A',
  ],
] as const;

for (const [password, stored] of known)
  test(`${/^\{[^}]+\}/.exec(stored)?.[0] ?? 'a clear value'} is recognised, and nothing else for it`, () => {
    expect(is(password, stored)).toBe(true);
    expect(is(`${password} `, stored)).toBe(false);
    expect(is('', stored)).toBe(false);
  });

test('one of several stored values is enough, and one that is not known leaves it open', () => {
  const [first, second] = known;
  expect(is(first[0], second[1].replace('secret', 'other'), first[1])).toBe(true);
  expect(is(first[0], first[1], '{CRYPT}$6$x$y')).toBeUndefined();
  expect(is(first[0])).toBeUndefined();
});

test('what is no known form is not guessed', () => {
  for (const wrong of [
    '{CRYPT}$6$salt$hash',
    '{SASL}user@realm',
    '{SSHA}',
    '{SSHA}####',
    '{SHA}5en6G6MezRroT3XKqkdPOmY/',
    '{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=',
    '{PBKDF2}0$c2FsdA$c2FsdA',
    '{PBKDF2}99999999$c2FsdA$c2FsdA',
    '{PBKDF2}1$c2FsdA',
    '{ARGON2}$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '{ARGON2}$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '{ARGON2}$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '{half',
    '{toString}x',
  ])
    expect(readStoredPassword(utf8(wrong)), wrong).toBeUndefined();
});

test('whatever a directory keeps, reading it ends', () => {
  const start = fc.constantFrom('', '{SSHA}', '{PBKDF2-SHA256}', '{ARGON2}$argon2id$v=19$m=64,t=1,p=1$', '{');
  fc.assert(fc.property(start, fc.string(), (scheme, rest) => void readStoredPassword(utf8(scheme + rest))));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (any) => void readStoredPassword(any)));
});

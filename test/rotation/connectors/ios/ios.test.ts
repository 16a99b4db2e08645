/** What the connector ios says of values and names, and the hashes of IOS by published examples. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Secret } from '../../../../src/base/secret.ts';
import { ios } from '../../../../src/rotation/connectors/ios.ts';
import { ciscoSecret } from '../../../../src/rotation/connectors/ios/secret.ts';

test('types 8 and 9 are those that password crackers publish as examples', async () => {
  const word = Secret.fromText('hashcat');
  expect(await ciscoSecret(8, word, 'TnGX/fE4KGHOVU')).toBe(
    '$8$TnGX/fE4KGHOVU$pEhnEvxrvaynpi8j4f.EMHr6M.FzU8xnZnBr/tJdFWk',
  );
  expect(await ciscoSecret(9, word, '2MJBozw/9R3UsU')).toBe(
    '$9$2MJBozw/9R3UsU$2lFhcKvpghcyw8deP25GOfyZaagyUOGBymkryvOdfo6',
  );
});

test('a salt is drawn anew each time', async () => {
  const word = Secret.fromText('x');
  const [one, two] = await Promise.all([ciscoSecret(8, word), ciscoSecret(8, word)]);
  expect(one).toMatch(/^\$8\$[./0-9A-Za-z]{14}\$[./0-9A-Za-z]{43}$/);
  expect(one).not.toBe(two);
});

test('no character is allowed that the command line would read as an order', () => {
  for (const character of ['?', ' ', '\t', '\r', '\n', '\u0000', '\u0016', '\u001a', '\u007f'])
    expect(ios.forbidden).toContain(character);
  const fits = (text: string, command = 'username-secret') =>
    ios.faultOfValue?.(Secret.fromText(text), { command }) === undefined;
  fc.assert(
    fc.property(fc.string({ maxLength: 140, unit: 'binary' }), (text) => {
      // oxlint-disable-next-line no-control-regex -- the point of it
      const clean = text.length > 0 && text.length <= 127 && !/[^\u0021-\u007e]|\?/.test(text);
      expect(fits(text)).toBe(clean);
    }),
  );
  expect([
    fits('-x', 'line-password'),
    fits('-x', 'enable-password'),
    fits('-x', 'enable-secret'),
    fits('9x', 'line-password'),
  ]).toEqual([false, false, true, true]);
});

test('names that are not one word are refused', () => {
  for (const name of ['', 'a b', 'a?b', '-x', 'a\nb', 'é', 'x'.repeat(65)])
    expect(ios.faultOfName(name), name).toContain('no name');
  for (const name of ['admin', 'vty', 'svc_app', 'net.admin-2@lab'])
    expect(ios.faultOfName(name), name).toBeUndefined();
});

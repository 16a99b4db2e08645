/** Stored forms of PostgreSQL's passwords: the published example, and text that is none. */
import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import { faultOfPassword, isStored, scramVerifier } from '../../../src/rotation/connectors/postgres-secret.ts';
import { formatVerifier, isRewritten, parseStored } from '../../../src/rotation/connectors/wire/scram-verifier.ts';
import { roleNameFault } from '../../../src/rotation/connectors/postgres.ts';

const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
const pencil = (): Secret => Secret.fromText('pencil');

describe('a SCRAM verifier', () => {
  test('has the keys of the example in RFC 7677, by its proof and its signature', () => {
    // Everything that client and server said before the proof (RFC 7677 §3).
    const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
    const said = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${nonce}`;
    const stored = parseStored(scramVerifier(pencil(), salt, 4096));
    if (stored?.kind !== 'scram') throw new Error('no verifier');
    const signature = createHmac('sha256', stored.serverKey).update(said).digest('base64');
    expect(signature).toBe('6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
    const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
    const mask = createHmac('sha256', stored.storedKey).update(said).digest();
    const clientKey = proof.map((byte, at) => byte ^ (mask[at] ?? 0));
    expect(createHash('sha256').update(clientKey).digest()).toEqual(Buffer.from(stored.storedKey));
  });

  test('is found to be of that password and of no other', () => {
    const stored = scramVerifier(pencil(), salt);
    expect(stored).toMatch(/^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$/);
    expect(isStored(pencil(), 'user', stored)).toBe(true);
    expect(isStored(Secret.fromText('Pencil'), 'user', stored)).toBe(false);
  });

  test('is written and read back the same, whatever is in it', () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 999_999 }),
        fc.uint8Array({ minLength: 3, maxLength: 64 }),
        bytes(32),
        bytes(32),
        (iterations, some, storedKey, serverKey) => {
          const verifier = { iterations, salt: some, storedKey, serverKey };
          const text = formatVerifier(verifier);
          expect(text).toContain(`:${Buffer.from(some).toString('base64')}$`);
          expect(parseStored(text)).toEqual({ kind: 'scram', ...verifier });
        },
      ),
    );
  });

  test('is read in its one canonical form only', () => {
    const good = scramVerifier(pencil(), salt);
    const bad = [
      '',
      'pencil',
      'md5',
      `md5${'0'.repeat(31)}g`,
      good.replace('4096', '0'),
      good.replace('4096', '04096'),
      good.replace('4096', '9999999'),
      good.replace('SHA-256', 'SHA-1'),
      good.slice(0, -1),
      `${good}=`,
      `${good}\n`,
      // Bits that say nothing must be zero.
      good.replace('gQ==', 'gR=='),
    ];
    for (const text of bad) expect(parseStored(text), text).toBeUndefined();
  });

  test('whatever a server says is stored, it is read or not, and never throws', () => {
    const near = fc.tuple(
      fc.constantFrom(scramVerifier(pencil(), salt), `md5${'a'.repeat(32)}`),
      fc.nat(140),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (text) => void parseStored(text)));
    fc.assert(
      fc.property(near, ([text, at, more]) => {
        const read = parseStored(text.slice(0, at) + more + text.slice(at + more.length));
        if (read?.kind === 'scram') expect([read.storedKey.length, read.serverKey.length]).toEqual([32, 32]);
      }),
    );
  });
});

test('an MD5 entry is the hash of password and name, as PostgreSQL documents it', () => {
  const stored = `md5${createHash('md5').update('pencil').update('user').digest('hex')}`;
  expect(isStored(pencil(), 'user', stored)).toBe(true);
  expect(isStored(pencil(), 'other', stored)).toBe(false);
  expect(isStored(pencil(), 'user', 'something new$1')).toBeUndefined();
});

test('a value is refused when somebody could hash other bytes for it', () => {
  for (const text of ['a\u00a0b', '\u00ad', 'ﬁ', 'Ⅷ', 'é'.normalize('NFD'), 'ａ', 'a\u200db', '\ufeffx', 'x\u3000'])
    expect(isRewritten(text), text).toBe(true);
  for (const text of ['', 'plain', 'ümläut €', '密码', '😀', '\u0000\u0007\u007f', 'שלום a'])
    expect(isRewritten(text), text).toBe(false);
  expect(faultOfPassword(Secret.fromText('ﬁ'))).toContain('SASLprep');
  expect(faultOfPassword(new Secret(Uint8Array.of(0xff, 0xfe)))).toContain('UTF-8');
  expect(faultOfPassword(new Secret(Uint8Array.of(65, 0)))).toContain('zero');
  expect(faultOfPassword(new Secret(new Uint8Array(0)))).toContain('empty');
});

test('no printable ASCII password is refused', () => {
  const ascii = fc.string({
    minLength: 1,
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  });
  fc.assert(fc.property(ascii, (text) => faultOfPassword(Secret.fromText(text)) === undefined));
});

test('names that a server would cut or that nobody can see are refused', () => {
  for (const name of ['', 'x'.repeat(64), 'ü'.repeat(32), 'a\nb', 'a\u0000'])
    expect(roleNameFault(name), name).toContain('no name');
  for (const name of ['app', 'x'.repeat(63), 'a"b', "o'neil", 'röle', 'a b'])
    expect(roleNameFault(name), name).toBeUndefined();
});

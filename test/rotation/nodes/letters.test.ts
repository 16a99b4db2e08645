/** What other nodes send outside the ledger: cards and letters. Both are read strictly, whatever the bytes are. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import { makeCertificate } from '../../../src/db/embedded/certificate.ts';
import { readCard, writeCard } from '../../../src/rotation/nodes/card.ts';
import { openLetter, sealLetter } from '../../../src/rotation/nodes/letters.ts';
import { type VaultRoom, vaultRoom } from '../../vault/room.ts';

const { certificate } = makeCertificate('sallyport');
const password = 'p'.repeat(43);
const whole = {
  sallyport: 'node',
  version: 1,
  name: 'paris',
  host: 'paris.example',
  port: 7432,
  password,
  certificate,
};
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
let room: VaultRoom;
beforeAll(async () => {
  room = await vaultRoom();
});
afterAll(async () => await room?.[Symbol.asyncDispose]());

test('a card is read as it was written', () => {
  using secret = Secret.fromText(password);
  const { name, host, port } = whole;
  using written = writeCard({ name, host, port, password: secret, certificate, [Symbol.dispose]: () => {} });
  using card = readCard(written.reveal());
  expect(card).toMatchObject({ name, host, port, certificate });
  expect(card?.password.revealText()).toBe(password);
});

test.each([
  ['another version', { version: 2 }],
  ['a name that is none', { name: 'Paris' }],
  ['a host that ends a setting', { host: "a' user='postgres" }],
  ['a host with a line end', { host: 'a\nb' }],
  ['a port that is none', { port: 0 }],
  ['a port as text', { port: '7432' }],
  ['a password that ends a line', { password: `${password}\n` }],
  ['a short password', { password: 'short' }],
  ['no certificate', { certificate: 'x' }],
  ['two certificates', { certificate: certificate + certificate }],
])('a card is refused with %s', (_, fault) => {
  expect(readCard(bytes({ ...whole, ...fault }))).toBeUndefined();
});

test('whatever the bytes are, a card is read or refused, and nothing is thrown', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (junk) => readCard(junk) === undefined));
  fc.assert(fc.property(fc.jsonValue(), (value) => readCard(bytes(value)) === undefined));
  expect(readCard(bytes({ ...whole, more: 'x'.repeat(20_000) }))).toBeUndefined();
});

const now = 1_900_000_000_000;
const letter = { kind: 'renew', from: 'oslo', to: 'paris', at: now } as const;

test('a letter is opened by the node it is for, in its time', async () => {
  const sealed = await sealLetter(room.vault, letter);
  expect(await openLetter(room.vault, sealed, 'paris', now + 1000)).toEqual(letter);
  for (const [reader, at] of [
    ['lima', now],
    ['paris', now + 25 * 3_600_000],
    ['paris', now - 25 * 3_600_000],
  ] as const)
    await expect(openLetter(room.vault, sealed, reader, at)).rejects.toMatchObject({ code: 'nodes.letter-refused' });
});

test('a letter that somebody without the key ring wrote or changed is not opened', async () => {
  const sealed = await sealLetter(room.vault, letter);
  const changed = Uint8Array.from(sealed);
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  for (const forged of [changed, new Uint8Array(200)])
    await expect(openLetter(room.vault, forged, 'paris', now)).rejects.toMatchObject({ code: 'vault.tampered' });
  // Sealed bytes of another purpose are no letter.
  const other = await room.vault.sealBytes('node-card/oslo', bytes(letter));
  await expect(openLetter(room.vault, other, 'paris', now)).rejects.toMatchObject({ code: 'vault.tampered' });
});

test('whatever stands in a sealed letter, it is read or refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const sealed = await room.vault.sealBytes('node-letter', bytes(value));
      await expect(openLetter(room.vault, sealed, 'paris', now)).rejects.toMatchObject({
        code: 'nodes.letter-refused',
      });
    }),
    { numRuns: 50, examples: [[null], [[]], ['x']] },
  );
});

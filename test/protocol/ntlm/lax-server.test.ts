/** The initiator before servers that know the password's key and still are not who the certificate says. */
import { expect, test } from 'vitest';
import { isRefusal } from '../../../src/base/errors.ts';
import type { InitiatorStep } from '../../../src/protocol/ntlm/initiator.ts';
import { channelBindings, type Direction, keyBinding } from '../../../src/protocol/ntlm/keys.ts';
import { Sealing } from '../../../src/protocol/ntlm/sealing.ts';
import { challengeFor, claimIn, exportedKey } from '../../../src/protocol/ntlm/server-exchange.ts';
import { encodeTsRequest } from '../../../src/protocol/ntlm/wire/ts-request.ts';
import { certificate, chance, decoded, initiator, judge, now, otherCertificate } from './stage.ts';

interface Answer {
  readonly publicKey?: Uint8Array;
  readonly direction?: Direction;
  /** In place of the version of the first answer. */
  readonly changed?: number;
  readonly staleNonce?: boolean;
}

/** Our client sees `certificate`; whoever answers has the session key and proves what `answer` says. */
async function meets(version: number, answer: Answer): Promise<InitiatorStep> {
  const client = initiator();
  const negotiate = decoded(client.first).negoToken ?? new Uint8Array();
  const asked = challengeFor(negotiate, { netbios: 'LAX', dns: 'lax.example' }, now, chance);
  if (isRefusal(asked)) throw new Error(asked.reason);
  const authenticated = decoded(
    client.step(encodeTsRequest({ version, negoToken: asked.challenge })).send ?? negotiate,
  );
  const claimed = claimIn(authenticated.negoToken ?? negotiate, asked, channelBindings(certificate.der, 'sha256'));
  if (isRefusal(claimed)) throw new Error(claimed.reason);
  const key = exportedKey((await judge(claimed.claim)) ?? new Uint8Array(16), asked, claimed);
  if (isRefusal(key)) throw new Error(key.reason);
  using sealing = new Sealing(key, 'server');
  const { publicKey = certificate.publicKey, direction = 'server-to-client' } = answer;
  const nonce = answer.staleNonce === true ? chance(32) : (authenticated.clientNonce ?? new Uint8Array());
  const pubKeyAuth = sealing.seal(keyBinding(direction, version, nonce, publicKey));
  return client.step(encodeTsRequest({ version: answer.changed ?? version, pubKeyAuth }));
}

test.each([2, 4, 5, 6])('in version %i the credentials go to the right TLS key and to no other', async (version) => {
  expect((await meets(version, {})).done).toBe(true);
  const other = await meets(version, { publicKey: otherCertificate.publicKey });
  expect(other.refused?.code).toBe('ntlm.public-key');
  expect(other.send).toBeUndefined();
  // what the client itself proved, sealed by somebody who has the key
  const echoed = await meets(version, { direction: 'client-to-server' });
  expect(echoed.refused?.code).toBe('ntlm.public-key');
});

test('an answer for another nonce is refused, and one of another version', async () => {
  expect((await meets(6, { staleNonce: true })).refused?.code).toBe('ntlm.public-key');
  expect((await meets(6, { changed: 5 })).refused?.code).toBe('ntlm.protocol');
  expect((await meets(4, { changed: 2 })).refused?.code).toBe('ntlm.protocol');
});

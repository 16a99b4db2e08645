/** Everything that the acceptor and the initiator refuse, by a client and a server that are made for each lie. */
import { expect, test } from 'vitest';
import { empty } from '../../../src/base/bytes.ts';
import type { AcceptorStep } from '../../../src/protocol/ntlm/acceptor.ts';
import { encodeNegotiate, flag } from '../../../src/protocol/ntlm/wire/messages.ts';
import { encodeInit, encodeMechList, encodeResp, mech } from '../../../src/protocol/ntlm/wire/spnego.ts';
import { encodeTsRequest } from '../../../src/protocol/ntlm/wire/ts-request.ts';
import { der, derInteger, tag } from '../../../src/protocol/wire/der.ts';
import { HandClient } from './hand-client.ts';
import {
  acceptor,
  certificate,
  decoded,
  goodPassword,
  initiator,
  judge,
  login,
  never,
  otherCertificate,
  rewritten,
} from './stage.ts';

const code = (step: AcceptorStep): string | undefined => step.refused?.code;

test('a client made by hand is let in, so that the lies below are all that differs', async () => {
  for (const spnego of [false, true]) {
    const done = await new HandClient({ spnego }).logIn();
    expect(done.done?.credentials.password.revealText(), `spnego ${spnego}`).toBe(goodPassword);
  }
});

test('a client that prefers Kerberos is asked for NTLM, and must sign its list', async () => {
  const mechs = [mech.kerberos, mech.ntlm];
  const good = await new HandClient({ spnego: true, mechs }).logIn();
  expect(good.done?.user).toBe('alice');
  expect(code(await new HandClient({ spnego: true, mechs, unsigned: true }).logIn())).toBe('ntlm.protocol');
  // a list that changed on its way is not the list that was signed
  const altered = new HandClient({ spnego: true, mechs, sentMechs: [mech.kerberos, mech.kerberos, mech.ntlm] });
  expect(code(await altered.logIn())).toBe('ntlm.altered');
});

test('a client that prefers NTLM may leave its list unsigned', async () => {
  expect((await new HandClient({ spnego: true, unsigned: true }).logIn()).done?.user).toBe('alice');
});

test('a client that names NTLM without a first message is asked for it', async () => {
  expect((await new HandClient({ spnego: true, silent: true }).logIn()).done?.user).toBe('alice');
});

test('pubKeyAuth may come with the last token or after it', async () => {
  for (const spnego of [true, false])
    expect((await new HandClient({ spnego, together: true }).logIn()).done?.user).toBe('alice');
});

test('a client without NTLM is refused', async () => {
  const mechList = encodeMechList([mech.kerberos]);
  const negoToken = encodeInit({ mechList, token: Uint8Array.of(1), mic: undefined });
  const step = await acceptor().step(encodeTsRequest({ version: 6, negoToken }), never);
  expect(code(step)).toBe('ntlm.no-common-mechanism');
});

test.each(['unicode', 'sign', 'extendedSessionSecurity', 'key128', 'keyExchange'] as const)(
  'a client without the flag %s is refused',
  async (name) => {
    const negoToken = encodeNegotiate({ flags: (0xe2088235 & ~flag[name]) >>> 0 });
    expect(code(await acceptor().step(encodeTsRequest({ version: 6, negoToken }), never))).toBe('ntlm.weak');
    expect(code(await new HandClient({ dropFlag: flag[name] }).logIn())).toMatch(/^ntlm\.(weak|malformed)$/);
  },
);

test('an answer of NTLMv1 or LM is refused before anybody is asked', async () => {
  let asked = 0;
  const server = acceptor({
    judge: async (claim) => {
      asked++;
      return await judge(claim);
    },
  });
  expect(code(await new HandClient({ ntResponse: new Uint8Array(24) }, server).logIn())).toBe('ntlm.weak');
  expect(asked).toBe(0);
});

test('an answer without a MIC is refused, and one with a wrong MIC', async () => {
  expect(code(await new HandClient({ avFlags: 0 }).logIn())).toBe('ntlm.weak');
  expect(code(await new HandClient({ flipMic: true }).logIn())).toBe('ntlm.altered');
});

test('altered messages are refused though the password is right', async () => {
  // the flags of the first message are covered by nothing but the MIC
  const ended = await login(initiator(), acceptor(), (message, direction, number) =>
    direction === 'up' && number === 0
      ? rewritten(message, () => ({ negoToken: encodeNegotiate({ flags: 0x62088235 }) }))
      : message,
  );
  expect(ended.server.refused?.code).toBe('ntlm.altered');
});

test('bindings of another channel are refused, none and zeros are not', async () => {
  expect((await new HandClient({ bindings: undefined }).logIn()).done?.user).toBe('alice');
  expect((await new HandClient({ bindings: new Uint8Array(16) }).logIn()).done?.user).toBe('alice');
  expect(code(await new HandClient({ bindings: new Uint8Array(16).fill(1) }).logIn())).toBe('ntlm.channel-bindings');
  expect(code(await new HandClient({ bindings: Uint8Array.of(1) }).logIn())).toBe('ntlm.channel-bindings');
});

test.each([2, 4, 5, 6])('a client of version %i that saw another TLS key is refused', async (version) => {
  const step = await new HandClient({ version, publicKey: otherCertificate.publicKey, bindings: undefined }).logIn();
  expect(code(step)).toBe('ntlm.public-key');
});

test('a client of version 5 or 6 that sends no nonce is refused', async () => {
  for (const version of [5, 6]) {
    const publicKey = certificate.publicKey;
    expect(code(await new HandClient({ version, publicKey, noNonce: true }).logIn())).toBe('ntlm.protocol');
  }
});

test('a client that delegates no password is refused', async () => {
  expect(code(await new HandClient({ delegated: empty }).logIn())).toBe('ntlm.no-password');
  const smartCard = der(
    tag.sequence,
    der(tag.context(0), derInteger(2)),
    der(tag.context(1), der(tag.octets, der(tag.sequence))),
  );
  expect(code(await new HandClient({ credentials: smartCard }).logIn())).toBe('ntlm.no-password');
  expect(code(await new HandClient({ credentials: Uint8Array.of(1, 2) }).logIn())).toBe('ntlm.malformed');
  expect(code(await new HandClient({ delegated: Uint8Array.of(0, 0xd8) }).logIn())).toBe('ntlm.malformed');
});

test('a client that names nobody is refused', async () => {
  expect(code(await new HandClient({ user: '' }).logIn())).toBe('ntlm.anonymous');
});

test('versions below the least are refused, and a change of version on the way', async () => {
  for (const version of [0, 1])
    expect(
      code(
        await acceptor().step(
          rewritten(initiator().first, () => ({ version })),
          never,
        ),
      ),
    ).toBe('ntlm.version');
  const step = await acceptor({ leastVersion: 5 }).step(
    rewritten(initiator().first, () => ({ version: 4 })),
    never,
  );
  expect(code(step)).toBe('ntlm.version');
  const ended = await login(initiator(), acceptor(), (message, direction, number) =>
    direction === 'up' && number === 1 ? rewritten(message, () => ({ version: 4 })) : message,
  );
  expect(ended.server.refused?.code).toBe('ntlm.protocol');
});

test('a message that comes again finds nothing: not in its place, and not after the end', async () => {
  const ended = await login(initiator(), acceptor());
  for (let again = 0; again < 3; again++) {
    const server = acceptor();
    for (let n = 0; n <= again; n++) await server.step(ended.sent[n] ?? empty, never);
    const step = await server.step(ended.sent[again] ?? empty, never);
    expect(step.refused, `message ${again}`).toBeDefined();
    expect(step.done).toBeUndefined();
    expect(code(await server.step(ended.sent[again] ?? empty, never))).toBe('ntlm.protocol');
  }
});

test('a recorded login is worth nothing in another', async () => {
  const ended = await login(initiator(), acceptor());
  const server = acceptor();
  await server.step(ended.sent[0] ?? empty, never);
  expect(code(await server.step(ended.sent[1] ?? empty, never))).toBe('ntlm.login-rejected');
});

test('an acceptor that was disposed while it waited takes nothing more', async () => {
  const verdict = Promise.withResolvers<undefined>();
  const server = acceptor({ judge: async (claim) => (await verdict.promise) ?? (await judge(claim)) });
  const client = initiator();
  const challenge = await server.step(client.first, never);
  const answer = client.step(challenge.send ?? empty);
  const waiting = server.step(answer.send ?? empty, never);
  server[Symbol.dispose]();
  verdict.resolve(undefined);
  const credentials = client.step((await waiting).send ?? empty);
  expect(credentials.done).toBe(true);
  expect(code(await server.step(credentials.send ?? empty, never))).toBe('ntlm.protocol');
});

test('a judge that breaks ends the login and is heard', async () => {
  const server = acceptor({ judge: () => Promise.reject(new Error('no line to the keeper')) });
  const client = initiator();
  const challenge = await server.step(client.first, never);
  const answer = client.step(challenge.send ?? empty).send ?? empty;
  await expect(server.step(answer, never)).rejects.toThrow('no line to the keeper');
  expect(code(await server.step(answer, never))).toBe('ntlm.protocol');
});

test.each([
  [0xc000006d, 'ntlm.bad-password'],
  [0xc0000071, 'ntlm.password-expired'],
  [0xc0000224, 'ntlm.password-must-change'],
  [0xc0000234, 'ntlm.account-locked'],
  [0xc0000072, 'ntlm.account-disabled'],
  [0xc0000193, 'ntlm.account-expired'],
  [0xc000006e, 'ntlm.account-restricted'],
  [0xc000015b, 'ntlm.no-logon-right'],
  [0xc00000bb, 'ntlm.refused'],
])('a server that answers with status %i is understood', (errorCode, due) => {
  const { refused } = initiator().step(encodeTsRequest({ version: 6, errorCode }));
  expect(refused?.code).toBe(due);
  expect(refused?.reason).toContain(errorCode.toString(16));
});

test('the initiator delegates nothing to a server that cannot prove that the TLS key is its own', async () => {
  for (const version of [2, 4, 5, 6]) {
    for (const lie of ['key', 'echo', 'none'] as const) {
      const client = initiator({ certificate: otherCertificate.der });
      // whoever sits between knows both certificates, so that the bindings pass
      const server = acceptor({ certificate: lie === 'key' ? certificate.der : otherCertificate.der });
      let mine = empty;
      const ended = await login(client, server, (message, direction, number) => {
        if (direction === 'up' && number === 1) mine = decoded(message).pubKeyAuth ?? empty;
        const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 20 ? byte ^ 1 : byte));
        return rewritten(message, ({ pubKeyAuth }) => {
          if (direction === 'up' || pubKeyAuth === undefined) return { version };
          if (lie === 'none') return { version, pubKeyAuth: undefined };
          return { version, pubKeyAuth: lie === 'echo' ? mine : flipped(pubKeyAuth) };
        });
      });
      const due = { key: ['ntlm.bad-password', undefined], echo: ['ntlm.public-key'], none: ['ntlm.protocol'] }[lie];
      expect(due, `${lie} in version ${version}`).toContain(ended.client);
      expect(ended.sent).toHaveLength(2);
      expect(client.step(encodeTsRequest({ version })).refused?.code).toBe('ntlm.protocol');
    }
  }
});

test('the initiator refuses weak servers, old ones where it may not, and ones without a challenge', () => {
  const answer = (negoToken: Uint8Array | undefined, version = 6): string | undefined =>
    initiator({ leastVersion: 5 }).step(encodeTsRequest({ version, negoToken })).refused?.code;
  expect(answer(undefined)).toBe('ntlm.protocol');
  expect(answer(undefined, 4)).toBe('ntlm.version');
  expect(answer(Uint8Array.of(1))).toBe('ntlm.malformed');
  expect(answer(encodeResp({ state: 1, mech: mech.ntlm, token: undefined, mic: undefined }))).toBe('ntlm.malformed');
});

import { describe, expect, test } from 'vitest';
import { hex } from '../../../src/base/bytes.ts';
import { decodeAuthenticate, decodeNegotiate, encodeNegotiate } from '../../../src/protocol/ntlm/wire/messages.ts';
import { isViolation } from '../../../src/protocol/wire/violation.ts';
import {
  acceptor,
  certificate,
  decoded,
  goodPassword,
  initiator,
  login,
  never,
  otherCertificate,
  rewritten,
} from './stage.ts';
import { testCertificate } from './certificate.ts';

describe.each([2, 3, 4, 5, 6])('in version %i', (version) => {
  const clamp = (message: Uint8Array): Uint8Array => rewritten(message, () => ({ version }));

  test('the right password logs in and is delegated', async () => {
    const ended = await login(initiator({ user: 'Alice', domain: 'prod' }), acceptor(), clamp);
    expect(ended.server.done).toMatchObject({ user: 'Alice', domain: 'prod' });
    expect(ended.server.done?.credentials).toMatchObject({ user: 'Alice', domain: 'prod' });
    expect(ended.server.done?.credentials.password.revealText()).toBe(goodPassword);
    expect(decoded(ended.sent[1] ?? new Uint8Array()).clientNonce?.length).toBe(version >= 5 ? 32 : undefined);
  });

  test('a wrong password is refused, and told in a way that this version knows', async () => {
    const ended = await login(initiator({}, 'wrong'), acceptor(), clamp);
    expect(ended.server.refused?.code).toBe('ntlm.login-rejected');
    const told = version !== 2 && version !== 5;
    expect(ended.client).toBe(told ? 'ntlm.bad-password' : undefined);
    if (told) expect(hex(ended.server.send ?? new Uint8Array())).toContain('0204c000006d');
  });

  test('somebody who opens the TLS between the two is found by the server, and by the client', async () => {
    const server = await login(
      initiator({ certificate: otherCertificate.der }),
      acceptor(),
      // bindings are all that the client shows before pubKeyAuth; a client that knows none sends the rest
      clamp,
    );
    expect(server.server.refused?.code).toBe('ntlm.channel-bindings');
  });
});

test('with a certificate signed over SHA-384 both sides bind to the same', async () => {
  const signed = testCertificate('gate', 'sha384');
  const ended = await login(initiator({ certificate: signed.der }), acceptor({ certificate: signed.der }));
  expect(ended.server.done?.user).toBe('alice');
});

test('an unknown user is refused like a wrong password', async () => {
  const wrong = await login(initiator({}, 'wrong'), acceptor());
  const unknown = await login(initiator({ user: 'mallory' }), acceptor());
  expect(unknown.server.refused).toEqual(wrong.server.refused);
  expect(unknown.server.send).toEqual(wrong.server.send);
});

test('the offer has the flags that real clients send', () => {
  const negotiate = decodeNegotiate(decoded(initiator().first).negoToken ?? new Uint8Array());
  expect(negotiate).toEqual({ flags: 0xe2088235 });
  expect(decodeNegotiate(encodeNegotiate({ flags: 1 }))).toEqual({ flags: 1 });
});

test('the client names no password in clear, neither before nor after', async () => {
  const ended = await login(initiator(), acceptor());
  const all = Buffer.concat(ended.sent);
  expect(all.includes(Buffer.from(goodPassword, 'utf16le'))).toBe(false);
  expect(all.includes(Buffer.from(goodPassword))).toBe(false);
  const message = decodeAuthenticate(decoded(ended.sent[1] ?? new Uint8Array()).negoToken ?? new Uint8Array());
  expect(isViolation(message) ? message : message.user).toBe('alice');
  expect(certificate.der.length).toBeGreaterThan(0);
  await expect(acceptor().step(new Uint8Array(), never)).resolves.toMatchObject({
    refused: { code: 'ntlm.malformed' },
  });
});

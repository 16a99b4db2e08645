/** The client against centres that lie, stall, or do not know the key. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { text, utf8 } from '../../../../src/base/bytes.ts';
import { Secret } from '../../../../src/base/secret.ts';
import type { VerifyAnswer } from '../../../../src/rotation/connectors/connector.ts';
import { provePassword } from '../../../../src/rotation/connectors/directory/kerberos.ts';
import { primitives } from '../../../../src/rotation/connectors/directory/kerberos-primitives.ts';
import {
  readElements,
  readFields,
  readInteger,
  readOne,
  readSequence,
} from '../../../../src/rotation/connectors/directory/wire/der.ts';
import { seal, stringToKey } from '../../../../src/rotation/connectors/directory/wire/kerberos-keys.ts';
import { never } from '../../room.ts';
import { asReply, grantedPart, keyHints, krbError, startFalseKdc } from './false-kdc.ts';

const realm = 'EXAMPLE.TEST';
const hints = keyHints([{ type: 18, salt: `${realm}app`, rounds: 4096 }]);
const preauthentication = krbError(25, hints);
const rightKey = stringToKey(primitives, 18, utf8('right'), utf8(`${realm}app`), 4096);

async function prove(
  answer: (question: Uint8Array, number: number) => Uint8Array | undefined,
  password = 'right',
): Promise<VerifyAnswer> {
  await using kdc = await startFalseKdc(answer);
  return await provePassword({ host: '127.0.0.1', port: kdc.port, realm }, 'app', Secret.fromText(password), never);
}

/** What the question says of itself. */
function bodyOf(question: Uint8Array): { nonce: number; service: string[]; proven: boolean } {
  const request = readFields(readOne(question, 0x6a));
  const body = readFields(request?.get(4));
  const names = readSequence(readFields(body?.get(3))?.get(1)) ?? [];
  return {
    nonce: readInteger(body?.get(7)) ?? 0,
    service: names.map((name) => text(name.content)),
    proven: (readSequence(request?.get(3)) ?? []).length === 2,
  };
}

const granting = (
  question: Uint8Array,
  key = rightKey,
  change: Partial<ReturnType<typeof bodyOf>> & { realm?: string } = {},
) => {
  const { nonce, service } = { ...bodyOf(question), ...change };
  return asReply(18, seal(primitives, key, 3, randomBytes(16), grantedPart(nonce, change.realm ?? realm, service)));
};

test('an answer that opens with the key of the password and carries our nonce is a yes', async () => {
  expect(await prove((question, number) => (number === 1 ? preauthentication : granting(question)))).toMatchObject({
    answer: 'accepted',
  });
});

test('a centre that does not know the key cannot say yes', async () => {
  const other = stringToKey(primitives, 18, utf8('other'), utf8(`${realm}app`), 4096);
  const answer = await prove((question, number) => (number === 1 ? preauthentication : granting(question, other)));
  expect(answer).toMatchObject({
    answer: 'unknown',
    class: 'unexpected',
    words: expect.stringContaining('not from this realm'),
  });
});

test('an answer to another question is not ours: another nonce, realm or service', async () => {
  for (const change of [{ nonce: 1 }, { realm: 'OTHER.TEST' }, { service: ['krbtgt', 'OTHER.TEST'] }]) {
    const answer = await prove((question, number) =>
      number === 1 ? preauthentication : granting(question, rightKey, change),
    );
    expect(answer, JSON.stringify(change)).toMatchObject({
      answer: 'unknown',
      words: 'the answer is for another question',
    });
  }
});

test('keys that are cheap to guess are not made, and nothing made of the password is sent', async () => {
  for (const rounds of [0, 1, 4095, 2_000_000]) {
    const cheap = krbError(25, keyHints([{ type: 18, salt: 'chosen', rounds }]));
    await using kdc = await startFalseKdc(() => cheap);
    const at = { host: '127.0.0.1', port: kdc.port, realm };
    expect(await provePassword(at, 'app', Secret.fromText('right'), never), String(rounds)).toMatchObject({
      answer: 'unknown',
    });
    expect(kdc.questions.map((question) => bodyOf(question).proven)).toEqual([false]);
  }
});

test('no known key type is no answer, and no proof is sent', async () => {
  const old = krbError(25, keyHints([{ type: 23, salt: undefined, rounds: undefined }]));
  expect(await prove(() => old)).toMatchObject({ answer: 'unknown' });
  expect(await prove(() => krbError(25))).toMatchObject({ answer: 'unknown' });
});

test('an account that need not prove itself first is proven by what its answer opens with', async () => {
  const open = (question: Uint8Array) => {
    const { nonce, service } = bodyOf(question);
    const sealed = seal(primitives, rightKey, 3, randomBytes(16), grantedPart(nonce, realm, service));
    return asReply(18, sealed, hints);
  };
  expect(await prove(open)).toMatchObject({ answer: 'accepted' });
  expect(await prove(open, 'wrong')).toMatchObject({ answer: 'rejected', class: 'authentication' });
});

test('an expired password is proven by the service that changes passwords, or not at all', async () => {
  const expired = (answer: (question: Uint8Array) => Uint8Array) => (question: Uint8Array) => {
    const { service, proven } = bodyOf(question);
    if (service[0] === 'krbtgt') return krbError(23);
    return proven ? answer(question) : preauthentication;
  };
  expect(await prove(expired((question) => granting(question)))).toMatchObject({
    answer: 'accepted',
    class: 'expired',
  });
  expect(await prove(expired(() => krbError(24)))).toMatchObject({ answer: 'rejected', class: 'authentication' });
  expect(await prove(expired(() => krbError(23)))).toMatchObject({ answer: 'unknown', class: 'expired' });
});

test('every error is an answer of its own', async () => {
  const answers = [
    [6, 'rejected', 'missing'],
    [12, 'unknown', 'policy'],
    [14, 'unknown', 'unsupported'],
    [18, 'unknown', 'locked'],
    [24, 'rejected', 'authentication'],
    [31, 'rejected', 'authentication'],
    [37, 'unknown', 'unexpected'],
    [60, 'unknown', 'unexpected'],
    [68, 'unknown', 'unsupported'],
  ] as const;
  for (const [code, answer, kind] of answers)
    expect(await prove((_, number) => (number === 1 ? preauthentication : krbError(code))), String(code)).toMatchObject(
      { answer, class: kind },
    );
  const skewed = await prove((_, number) => (number === 1 ? preauthentication : krbError(37)));
  expect(skewed.words).toContain('20261125094003Z there');
});

test('a centre that answers with anything else, too much, or not at all is no answer', async () => {
  expect(await prove(() => utf8('hello'))).toMatchObject({ answer: 'unknown', class: 'unexpected' });
  expect(await prove(() => new Uint8Array(300_000))).toMatchObject({ answer: 'unknown', class: 'unexpected' });
  expect(await prove(() => undefined)).toMatchObject({ answer: 'unknown', class: 'cut' });
});

test('the signal ends a wait', async () => {
  const stop = new AbortController();
  await using kdc = await startFalseKdc(() => {
    stop.abort(new Error('enough'));
    return undefined;
  });
  const waiting = provePassword(
    { host: '127.0.0.1', port: kdc.port, realm },
    'app',
    Secret.fromText('right'),
    stop.signal,
  );
  await expect(waiting).rejects.toThrow('enough');
});

test('the password itself is in no question', async () => {
  await using kdc = await startFalseKdc((question, number) => (number === 1 ? preauthentication : granting(question)));
  await provePassword({ host: '127.0.0.1', port: kdc.port, realm }, 'app', Secret.fromText('right'), never);
  expect(kdc.questions).toHaveLength(2);
  for (const question of kdc.questions) {
    expect(Buffer.from(question).includes('right')).toBe(false);
    expect(Buffer.from(question).includes(Buffer.from(rightKey))).toBe(false);
    expect(readElements(question)).toHaveLength(1);
  }
});

/** Named questions with typed fields: what is wrong is named, and never shown. */
import { duplexPair } from 'node:stream';
import { Type } from 'typebox';
import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { refuse } from '../../src/base/errors.ts';
import { type Answers, answerer, ask, Bytes, checkFields, Line, question, questions } from '../../src/link/link.ts';

const never = new AbortController().signal;
const some = {
  'door.open': question(Type.Object({ key: Bytes(4), name: Type.String() }), Type.Object({ open: Type.Boolean() })),
};

async function asking(answers: Answers<typeof some>, name: string, fields: unknown): Promise<unknown> {
  const [near, far] = duplexPair();
  const asker = new Line(
    near,
    async () => null,
    () => {},
  );
  new Line(far, answerer(some, answers), () => {});
  try {
    return await ask(asker, some, name as 'door.open', fields as never, never);
  } finally {
    near.destroy();
    far.destroy();
  }
}
const opens: Answers<typeof some> = { 'door.open': async ({ key }) => ({ open: key.length === 4 }) };

describe('a named question', () => {
  test('is answered with checked fields both ways', async () => {
    expect(await asking(opens, 'door.open', { key: utf8('1234'), name: 'front' })).toEqual({ open: true });
  });

  test('may be refused', async () => {
    const refusing: Answers<typeof some> = { 'door.open': async () => refuse('no', 'because') };
    expect(await asking(refusing, 'door.open', { key: utf8('1'), name: 'front' })).toMatchObject({ code: 'no' });
  });

  test.each<[string, unknown, string]>([
    ['bytes that are too long', { key: utf8('hunter2'), name: 'front' }, 'door.open/key'],
    ['text where bytes belong', { key: 'hunter2', name: 'front' }, 'door.open/key'],
    ['bytes where text belongs', { key: utf8('1'), name: utf8('hunter2') }, 'door.open/name'],
    ['a missing field', { key: utf8('1') }, 'door.open'],
    ['no fields', null, 'door.open'],
  ])('with %s is refused by the name of the field, without its value', async (_, fields, where) => {
    const failed = await asking(opens, 'door.open', fields).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'link.bad-fields' });
    expect(String(failed)).toContain(where);
    expect(String(failed)).not.toContain('hunter2');
  });

  test.each(['door.close', 'toString', '__proto__', 'constructor'])('called %s is unknown', async (name) => {
    await expect(asking(opens, name, {})).rejects.toMatchObject({ code: 'link.unknown-question' });
  });

  test('whose answer has other fields than promised fails on the asking side', async () => {
    const liar = { 'door.open': async () => ({ open: 'maybe' }) } as unknown as Answers<typeof some>;
    await expect(asking(liar, 'door.open', { key: utf8('1'), name: 'front' })).rejects.toMatchObject({
      code: 'link.bad-fields',
    });
  });
});

describe('the questions of a gate', () => {
  test('say what is wrong about a factor without the factor', () => {
    const wrong = { login: 'l', factor: { kind: 'password', secret: 'correct horse battery' } };
    try {
      checkFields(questions['login.factor'].ask, wrong, 'login.factor');
      expect.unreachable();
    } catch (error) {
      expect(String(error)).toContain('login.factor/factor');
      expect(String(error)).not.toContain('horse');
    }
  });
});

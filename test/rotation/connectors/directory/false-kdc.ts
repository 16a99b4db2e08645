/** Messages of a key distribution centre, and one that says what a test wants: to see that nobody believes it. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { concat } from '../../../../src/base/bytes.ts';
import {
  element,
  explicit,
  flags,
  generalizedTime,
  generalString,
  integer,
  octetString,
  sequence,
} from '../../../../src/rotation/connectors/directory/wire/der.ts';

const now = generalizedTime('20261125094003Z');
const name = (type: number, parts: readonly string[]): Uint8Array =>
  sequence(explicit(0, integer(type)), explicit(1, sequence(...parts.map(generalString))));

export interface Hint {
  readonly type: number;
  readonly salt: string | undefined;
  readonly rounds: number | undefined;
}

/** METHOD-DATA with PA-ETYPE-INFO2, and one hint that nobody knows before it. */
export function keyHints(hints: readonly Hint[]): Uint8Array {
  const entries = hints.map(({ type, salt, rounds }) => {
    const parameter = new Uint8Array(4);
    new DataView(parameter.buffer).setUint32(0, rounds ?? 0);
    return sequence(
      explicit(0, integer(type)),
      ...(salt === undefined ? [] : [explicit(1, generalString(salt))]),
      ...(rounds === undefined ? [] : [explicit(2, octetString(parameter))]),
    );
  });
  return sequence(hint(136, new Uint8Array(0)), hint(19, sequence(...entries)));
}

function hint(type: number, value: Uint8Array): Uint8Array {
  return sequence(explicit(1, integer(type)), explicit(2, octetString(value)));
}

export function krbError(code: number, data?: Uint8Array, words?: string): Uint8Array {
  return element(
    0x7e,
    sequence(
      explicit(0, integer(5)),
      explicit(1, integer(30)),
      explicit(4, now),
      explicit(5, integer(0)),
      explicit(6, integer(code)),
      explicit(9, generalString('EXAMPLE.TEST')),
      explicit(10, name(2, ['krbtgt', 'EXAMPLE.TEST'])),
      ...(words === undefined ? [] : [explicit(11, generalString(words))]),
      ...(data === undefined ? [] : [explicit(12, octetString(data))]),
    ),
  );
}

export function asReply(type: number, sealed: Uint8Array, data?: Uint8Array): Uint8Array {
  return element(
    0x6b,
    sequence(
      explicit(0, integer(5)),
      explicit(1, integer(11)),
      ...(data === undefined ? [] : [explicit(2, data)]),
      explicit(3, generalString('EXAMPLE.TEST')),
      explicit(4, name(1, ['app'])),
      explicit(5, element(0x61, sequence())),
      explicit(6, sequence(explicit(0, integer(type)), explicit(2, octetString(sealed)))),
    ),
  );
}

/** EncASRepPart. */
export function grantedPart(nonce: number, realm: string, service: readonly string[]): Uint8Array {
  return element(
    0x79,
    sequence(
      explicit(0, sequence(explicit(0, integer(18)), explicit(1, octetString(new Uint8Array(32))))),
      explicit(1, sequence()),
      explicit(2, integer(nonce)),
      explicit(4, flags(0)),
      explicit(5, now),
      explicit(7, now),
      explicit(9, generalString(realm)),
      explicit(10, name(2, service)),
    ),
  );
}

export interface FalseKdc extends AsyncDisposable {
  readonly port: number;
  /** The questions it was asked. */
  readonly questions: readonly Uint8Array[];
}

/** Answers each question by what `answer` makes of it and of its number; undefined ends the connection. */
export async function startFalseKdc(
  answer: (question: Uint8Array, number: number) => Uint8Array | undefined,
): Promise<FalseKdc> {
  const questions: Uint8Array[] = [];
  const server = createServer((socket) => {
    let held: Uint8Array = new Uint8Array(0);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      held = concat([held, chunk]);
      const length = held.length < 4 ? Infinity : new DataView(held.buffer, held.byteOffset).getUint32(0);
      if (held.length < 4 + length) return;
      const question = held.slice(4);
      questions.push(question);
      const reply = answer(question, questions.length);
      if (reply === undefined) return void socket.destroy();
      const head = new Uint8Array(4);
      new DataView(head.buffer).setUint32(0, reply.length);
      socket.end(concat([head, reply]));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return {
    port: bound.port,
    questions,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

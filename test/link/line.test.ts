/** Questions and answers over a real stream between two processes' ends. */
import { Duplex, duplexPair } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { concat, utf8 } from '../../src/base/bytes.ts';
import { refuse, SallyportError } from '../../src/base/errors.ts';
import { type Answerer, Line } from '../../src/link/link.ts';
import { encodeFrame } from '../../src/link/wire/frame.ts';

const never = new AbortController().signal;
const deaf: Answerer = async () => null;

/** Two ends; disposing closes both. */
function lines(answer: Answerer, told: (name: string, fields: unknown) => void = () => {}) {
  const [near, far] = duplexPair();
  const asker = new Line(near, deaf, () => {});
  const answering = new Line(far, answer, told);
  return {
    asker,
    answering,
    near,
    far,
    [Symbol.asyncDispose]: async () => {
      near.destroy();
      far.destroy();
    },
  };
}

/** A line, and the raw other end of its stream. */
function raw(answer: Answerer = deaf, told: (name: string, fields: unknown) => void = () => {}) {
  const [near, far] = duplexPair();
  return { line: new Line(near, answer, told), far };
}

function overOf(line: Line): Promise<unknown> {
  return new Promise((resolve) => line.over.addEventListener('abort', () => resolve(line.over.reason)));
}

describe('a question', () => {
  test('gets its own answer, also when others are answered first', async () => {
    const first = Promise.withResolvers<unknown>();
    await using pair = lines(async (name, fields) => (name === 'slow' ? await first.promise : fields));
    const slow = pair.asker.ask('slow', null, never);
    expect(await pair.asker.ask('quick', { secret: utf8('x') }, never)).toEqual({ secret: utf8('x') });
    first.resolve('late');
    expect(await slow).toBe('late');
  });

  test('may be asked by either side', async () => {
    const [near, far] = duplexPair();
    const left = new Line(
      near,
      async () => 'left',
      () => {},
    );
    const right = new Line(
      far,
      async () => 'right',
      () => {},
    );
    expect(await Promise.all([left.ask('who', null, never), right.ask('who', null, never)])).toEqual(['right', 'left']);
    near.destroy();
    far.destroy();
  });

  test('that is refused resolves with the refusal', async () => {
    await using pair = lines(async () => refuse('access.denied', 'no grant'));
    expect(await pair.asker.ask('authorize', null, never)).toEqual({
      refused: true,
      code: 'access.denied',
      reason: 'no grant',
    });
  });

  test('that fails rejects with code, words and remedy of the other side', async () => {
    await using pair = lines(async () => {
      throw new SallyportError('vault.sealed', { meaning: 'the vault is sealed', remedy: 'unseal it' });
    });
    await expect(pair.asker.ask('x', null, never)).rejects.toMatchObject({
      code: 'vault.sealed',
      message: 'the vault is sealed',
      remedy: 'unseal it',
    });
  });

  test('that ends in an error of no code rejects as link.broken', async () => {
    await using pair = lines(async () => {
      throw new TypeError('oops');
    });
    await expect(pair.asker.ask('x', null, never)).rejects.toMatchObject({ code: 'link.broken' });
  });

  test('is answered in parts, in order, before its answer', async () => {
    await using pair = lines(async (_name, _fields, part) => {
      for (const n of [1, 2, 3]) part(n);
      return 'done';
    });
    const parts: unknown[] = [];
    expect(await pair.asker.ask('x', null, never, (part) => parts.push(part))).toBe('done');
    expect(parts).toEqual([1, 2, 3]);
  });

  test('whose parts cannot be taken fails alone, and the other side is told to stop', async () => {
    const stopped = Promise.withResolvers<void>();
    await using pair = lines(async (name, _fields, part, signal) => {
      if (name === 'quick') return 'here';
      signal.addEventListener('abort', () => stopped.resolve());
      part(1);
      await stopped.promise;
      return null;
    });
    const asked = pair.asker.ask('x', null, never, () => {
      throw new Error('the pipe is closed');
    });
    await expect(asked).rejects.toThrow('the pipe is closed');
    await stopped.promise;
    expect(await pair.asker.ask('quick', null, never)).toBe('here');
  });

  test('that is taken back rejects at once and fires the signal on the other side', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    await using pair = lines(async (_name, _fields, _part, signal) => {
      started.resolve(signal);
      return await new Promise(() => {});
    });
    const cancel = new AbortController();
    const asked = pair.asker.ask('x', null, cancel.signal);
    const signal = await started.promise;
    const reached = new Promise((resolve) => signal.addEventListener('abort', resolve));
    cancel.abort(new Error('changed my mind'));
    await expect(asked).rejects.toThrow('changed my mind');
    await reached;
  });

  test('with a signal that has fired is not asked', async () => {
    let asked = 0;
    await using pair = lines(async () => ++asked);
    await expect(pair.asker.ask('x', null, AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
    expect(await pair.asker.ask('y', null, never)).toBe(1);
  });

  test('too large for a frame rejects, and the line goes on', async () => {
    await using pair = lines(async (_name, fields) => fields);
    await expect(pair.asker.ask('x', new Uint8Array(5 << 20), never)).rejects.toThrow('frame too large');
    expect(await pair.asker.ask('y', 1, never)).toBe(1);
  });

  test('whose answer is too large for a frame fails, and the line goes on', async () => {
    await using pair = lines(async (name) => (name === 'x' ? new Uint8Array(5 << 20) : 1));
    await expect(pair.asker.ask('x', null, never)).rejects.toMatchObject({ code: 'link.broken' });
    expect(await pair.asker.ask('y', null, never)).toBe(1);
  });

  test('above 4096 under way is refused as busy, by the asking side and by the answering one', async () => {
    const held = Promise.withResolvers<null>();
    await using pair = lines(async () => await held.promise);
    const asked = Array.from({ length: 4096 }, () => pair.asker.ask('x', null, never));
    await expect(pair.asker.ask('x', null, never)).rejects.toMatchObject({ code: 'link.busy' });
    held.resolve(null);
    expect(new Set(await Promise.all(asked))).toEqual(new Set([null]));

    const { line, far } = raw(async () => await new Promise(() => {}));
    const answer = new Promise<Uint8Array>((resolve) => far.once('data', resolve));
    far.write(
      concat(Array.from({ length: 4097 }, (_, at) => encodeFrame({ kind: 'ask', number: at + 1, body: ['x'] }))),
    );
    expect(Buffer.from(await answer).toString()).toContain('link.busy');
    far.destroy();
    await overOf(line).catch(() => {});
  });
});

describe('a line', () => {
  test('that is lost rejects every question and fires every signal', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    const pair = lines(async (_name, _fields, _part, signal) => {
      started.resolve(signal);
      return await new Promise(() => {});
    });
    const asked = [pair.asker.ask('a', null, never), pair.asker.ask('b', null, never)];
    const signal = await started.promise;
    pair.near.destroy();
    pair.far.destroy();
    for (const one of await Promise.allSettled(asked))
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'link.lost' } });
    expect(signal.aborted).toBe(true);
    expect(pair.asker.over.reason).toMatchObject({ code: 'link.lost' });
    await expect(pair.asker.ask('c', null, never)).rejects.toMatchObject({ code: 'link.lost' });
  });

  test('whose stream breaks is lost', async () => {
    const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
    const line = new Line(stream, deaf, () => {});
    const asked = line.ask('x', null, never);
    stream.destroy(new Error('EPIPE'));
    await expect(asked).rejects.toMatchObject({ code: 'link.lost' });
  });

  test('leaves nothing of a secret in what it received', async () => {
    const { line, far } = raw(async (_name, fields) => fields);
    const bytes = encodeFrame({ kind: 'ask', number: 1, body: ['x', utf8('hunter2')] });
    const answer = new Promise<Uint8Array>((resolve) => far.once('data', resolve));
    far.write(bytes);
    expect(Buffer.from(await answer).toString('latin1')).toContain('hunter2');
    expect(Buffer.from(bytes).every((byte) => byte === 0)).toBe(true);
    far.destroy();
    line.over.throwIfAborted();
  });

  test('takes frames that arrive a byte at a time', async () => {
    const { line, far } = raw();
    const heard: unknown[] = [];
    const { line: told, far: mouth } = raw(deaf, (name, fields) => heard.push([name, fields]));
    for (const byte of encodeFrame({ kind: 'tell', number: 0, body: ['drain', { until: 1 }] }))
      mouth.write(Uint8Array.of(byte));
    mouth.end();
    await overOf(told);
    expect(heard).toEqual([['drain', { until: 1 }]]);
    far.destroy();
    line.over.throwIfAborted();
  });

  test.each<[string, Uint8Array]>([
    ['no frame', utf8('GET / HTTP/1.1\r\n\r\n')],
    ['a frame of kind 9', Uint8Array.of(0, 0, 0, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['a failure of nothing', encodeFrame({ kind: 'failed', number: 1, body: null })],
    [
      'a failure whose code is a number',
      encodeFrame({ kind: 'failed', number: 1, body: { code: 1, words: '', remedy: '' } }),
    ],
  ])('that hears %s ends as malformed and takes no more', async (_, bytes) => {
    const { line, far } = raw();
    const asked = line.ask('x', null, never);
    far.write(bytes);
    await expect(asked).rejects.toMatchObject({ code: 'link.malformed' });
    expect(line.over.reason).toMatchObject({ code: 'link.malformed' });
  });

  test('ends when what it is told cannot be used, and the process goes on', async () => {
    const { line, far } = raw(deaf, () => {
      throw new Error('no such field');
    });
    far.write(encodeFrame({ kind: 'tell', number: 0, body: ['drain', {}] }));
    expect(await overOf(line)).toMatchObject({ code: 'link.malformed' });
  });

  test('ignores answers that nobody asked for', async () => {
    const { line, far } = raw();
    for (const kind of ['answer', 'refused', 'failed', 'part', 'cancel'] as const)
      far.write(encodeFrame({ kind, number: 99, body: { code: 'x', words: '', remedy: '' } }));
    const question = new Promise<void>((resolve) => far.once('data', () => resolve()));
    const asked = line.ask('still here', null, never);
    await question;
    far.write(encodeFrame({ kind: 'answer', number: 1, body: 'yes' }));
    expect(await asked).toBe('yes');
    far.destroy();
  });

  test('fails a question without a name', async () => {
    const { far } = raw();
    const answer = new Promise<Uint8Array>((resolve) => far.once('data', resolve));
    far.write(encodeFrame({ kind: 'ask', number: 1, body: { name: 'x' } }));
    expect(Buffer.from(await answer).toString()).toContain('link.malformed');
    far.destroy();
  });

  test('that is disposed is over on both sides', async () => {
    const pair = lines(deaf);
    const over = overOf(pair.answering);
    await pair.asker[Symbol.asyncDispose]();
    expect(await over).toMatchObject({ code: 'link.lost' });
  });
});

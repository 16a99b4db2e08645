/**
 * A line: questions and answers between two of our own processes over one stream. Either side may ask. It knows
 * nothing of what is asked; `link.ts` and `contract` give the questions their names and fields.
 *
 * A question ends in exactly one of: its answer, a refusal (a value), a failure (thrown), the caller's signal (the other
 * side is told to cancel), or the loss of the line. An answer may come in parts.
 */
import type { Duplex } from 'node:stream';
import { concat, empty } from '../base/bytes.ts';
import { isRefusal, type Refusal, SallyportError, wordsOf } from '../base/errors.ts';
import { LinkError, RemoteError } from './errors.ts';
import { decodeFrame, encodeFrame, type Frame } from './wire/frame.ts';

const maxUnderWay = 4096;

/** What answers the other side's questions. Returning a `Refusal` refuses; throwing is a failure. */
export type Answerer = (
  name: string,
  fields: unknown,
  part: (fields: unknown) => void,
  signal: AbortSignal,
) => Promise<unknown>;

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  part(fields: unknown): void;
}

export class Line implements AsyncDisposable {
  readonly #stream: Duplex;
  readonly #answer: Answerer;
  readonly #told: (name: string, fields: unknown) => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #answering = new Map<number, AbortController>();
  readonly #over = new AbortController();
  #next = 1;
  #buffer: Uint8Array = empty;

  /** `told` takes what the other side says without asking. The stream belongs to the line from here on. */
  constructor(stream: Duplex, answer: Answerer, told: (name: string, fields: unknown) => void) {
    this.#stream = stream;
    this.#answer = answer;
    this.#told = told;
    stream.on('data', (bytes: Uint8Array) => this.#read(bytes));
    stream.on('error', (error) => this.#end(new LinkError('link.lost', wordsOf(error))));
    stream.on('end', () => this.#end(new LinkError('link.lost')));
    stream.on('close', () => this.#end(new LinkError('link.lost')));
  }

  /** Fires, with a `link.lost` or `link.malformed`, when the line is gone. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Asks and waits. `onPart` takes the parts of an answer that comes in parts. */
  async ask(name: string, fields: unknown, signal: AbortSignal, onPart?: (fields: unknown) => void): Promise<unknown> {
    if (this.#over.signal.aborted) throw this.#over.signal.reason;
    if (signal.aborted) throw signal.reason;
    if (this.#waiting.size >= maxUnderWay) throw new LinkError('link.busy');
    const number = this.#next++ >>> 0;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject, part: onPart ?? (() => {}) });
    });
    const cancel = (): void => {
      this.#waiting.get(number)?.reject(signal.reason);
      this.#waiting.delete(number);
      this.#write({ kind: 'cancel', number, body: null });
    };
    signal.addEventListener('abort', cancel, { once: true });
    try {
      this.#write({ kind: 'ask', number, body: [name, fields] });
      return await answer;
    } finally {
      signal.removeEventListener('abort', cancel);
      this.#waiting.delete(number);
    }
  }

  /** Says something that needs no answer. */
  tell(name: string, fields: unknown): void {
    this.#write({ kind: 'tell', number: 0, body: [name, fields] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stream.destroyed) return;
    const closed = new Promise<void>((resolve) => this.#stream.once('close', () => resolve()));
    this.#stream.end(() => this.#stream.destroy());
    await closed;
  }

  #write(frame: Frame): void {
    if (!this.#over.signal.aborted && this.#stream.writable) this.#stream.write(encodeFrame(frame));
  }

  #read(bytes: Uint8Array): void {
    this.#buffer = this.#buffer.length === 0 ? bytes : concat([this.#buffer, bytes]);
    for (;;) {
      const decoded = decodeFrame(this.#buffer);
      if (decoded.kind === 'more') return;
      if (decoded.kind === 'violation') {
        this.#end(new LinkError('link.malformed', decoded.reason));
        this.#stream.destroy();
        return;
      }
      // The body has copies of its byte strings, which their takers zero. Here no second one stays behind, but of a frame
      // that came in pieces: those are left to the garbage collector.
      this.#buffer.fill(0, 0, this.#buffer.length - decoded.rest.length);
      this.#buffer = decoded.rest;
      try {
        this.#take(decoded.frame);
      } catch (error) {
        // What the other side says can end its line, never this process.
        this.#end(new LinkError('link.malformed', wordsOf(error), { cause: error }));
        this.#stream.destroy();
        return;
      }
    }
  }

  #take({ kind, number, body }: Frame): void {
    const waiting = this.#waiting.get(number);
    switch (kind) {
      case 'ask':
        void this.#serve(number, body);
        return;
      case 'tell':
        if (Array.isArray(body) && typeof body[0] === 'string') this.#told(body[0], body[1]);
        return;
      case 'cancel':
        this.#answering.get(number)?.abort(new LinkError('link.lost', 'the question was taken back'));
        return;
      case 'part':
        if (waiting !== undefined) this.#takePart(number, waiting, body);
        return;
      case 'answer':
      case 'refused':
        waiting?.resolve(body);
        return;
      case 'failed':
        waiting?.reject(failureOf(body));
        return;
      default:
        kind satisfies never;
    }
  }

  /** A taker of parts that cannot go on ends its own question, and nothing else. */
  #takePart(number: number, waiting: Waiting, body: unknown): void {
    try {
      waiting.part(body);
    } catch (error) {
      waiting.reject(error instanceof Error ? error : new Error(wordsOf(error)));
      this.#waiting.delete(number);
      this.#write({ kind: 'cancel', number, body: null });
    }
  }

  async #serve(number: number, body: unknown): Promise<void> {
    if (this.#answering.size >= maxUnderWay) return this.#fail(number, new LinkError('link.busy'));
    const cancelled = new AbortController();
    this.#answering.set(number, cancelled);
    try {
      if (!Array.isArray(body) || typeof body[0] !== 'string')
        throw new LinkError('link.malformed', 'a question without a name');
      const signal = AbortSignal.any([cancelled.signal, this.#over.signal]);
      const answer = await this.#answer(
        body[0],
        body[1],
        (part) => this.#write({ kind: 'part', number, body: part }),
        signal,
      );
      if (isRefusal(answer)) this.#write({ kind: 'refused', number, body: answer satisfies Refusal });
      else this.#write({ kind: 'answer', number, body: answer });
    } catch (error) {
      this.#fail(number, error);
    } finally {
      this.#answering.delete(number);
    }
  }

  #fail(number: number, error: unknown): void {
    const known = error instanceof SallyportError ? error : new LinkError('link.broken', wordsOf(error));
    this.#write({ kind: 'failed', number, body: { code: known.code, words: known.message, remedy: known.remedy } });
  }

  #end(reason: LinkError): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(reason);
    for (const waiting of this.#waiting.values()) waiting.reject(reason);
    for (const answering of this.#answering.values()) answering.abort(reason);
    this.#waiting.clear();
  }
}

/** The failure that a frame tells of; throws `link.malformed` if it tells of none. */
function failureOf(body: unknown): RemoteError {
  const { code, words, remedy } = (body ?? {}) as Record<string, unknown>;
  if (typeof code !== 'string' || typeof words !== 'string' || typeof remedy !== 'string')
    throw new LinkError('link.malformed', 'a failure without its code, words and remedy');
  return new RemoteError(code, words, remedy);
}

/**
 * A dialogue with a remote shell or another interactive program: write, then wait for one of the patterns that may come.
 * For machines that can be driven by nothing else. What was read is never part of an error: it may hold a secret.
 */
import { codeOf } from '../../../base/errors.ts';
import { Secret } from '../../../base/secret.ts';
import { deadline, orAborted } from '../../../base/signals.ts';
import { SshError } from '../errors.ts';
import type { Channel, Exit } from './channel.ts';

export interface Matched<Name extends string> {
  readonly name: Name;
  readonly match: RegExpExecArray;
  /** What came before the match, since the last one. */
  readonly before: string;
}

export type Read =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'quiet' }
  | { readonly kind: 'over' };

export class Shell implements AsyncDisposable {
  #channel: Channel;
  #decoder = new TextDecoder();
  #text = '';
  /** Bytes in `#text`, given back to the peer's window when they are read. */
  #bytes = 0;
  #wake: () => void = () => {};

  /** The channel is given by the client that opened it, and feeds `receive`. */
  constructor(channel: Channel) {
    this.#channel = channel;
    void channel.closed.then(
      () => this.#wake(),
      () => this.#wake(),
    );
  }

  /** Output of the peer, both streams as one; bounded by the channel's window. */
  receive(data: Uint8Array): void {
    this.#text += this.#decoder.decode(data, { stream: true });
    this.#bytes += data.length;
    this.#wake();
  }

  /** What has come and was not matched yet. */
  get pending(): string {
    return this.#text;
  }

  get exit(): Exit {
    return this.#channel.exit;
  }

  /** Sends text or a secret; false if the other side is gone. */
  async write(data: Uint8Array | string | Secret, signal: AbortSignal): Promise<boolean> {
    const bytes = data instanceof Secret ? data.reveal() : typeof data === 'string' ? Buffer.from(data) : data;
    return await orAborted(this.#channel.write(bytes), signal);
  }

  /**
   * Waits until the unread output matches one of the patterns, the earliest match first, and reads up to its end.
   * Throws `ssh.prompt-timeout` after `ms`, and `ssh.shell-ended` when the other side closes without a match.
   */
  async waitFor<Name extends string>(
    patterns: Readonly<Record<Name, RegExp>>,
    ms: number,
    signal: AbortSignal,
  ): Promise<Matched<Name>> {
    const names = Object.keys(patterns) as Name[];
    using limit = deadline(
      signal,
      ms,
      () => new SshError('ssh.prompt-timeout', `waited ${ms} ms for ${names.join(', ')}`),
    );
    let over = false;
    const closed = this.#channel.closed.then(() => {
      over = true;
    });
    closed.catch(() => {});
    for (;;) {
      const found = this.#find(patterns, names);
      if (found !== undefined) return found;
      if (over) throw new SshError('ssh.shell-ended', `waited for ${names.join(', ')}`);
      const more = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await orAborted(Promise.race([more, closed]), limit.signal);
    }
  }

  /** Everything that has come, as soon as something has; `quiet` after `ms` without it, `over` once the other side closed. */
  async read(ms: number, signal: AbortSignal): Promise<Read> {
    try {
      const { match } = await this.waitFor({ anything: /[^]+/ }, ms, signal);
      return { kind: 'text', text: match[0] };
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ssh.prompt-timeout') return { kind: 'quiet' };
      if (code === 'ssh.shell-ended') return { kind: 'over' };
      throw error;
    }
  }

  #find<Name extends string>(
    patterns: Readonly<Record<Name, RegExp>>,
    names: readonly Name[],
  ): Matched<Name> | undefined {
    let best: { name: Name; match: RegExpExecArray } | undefined;
    for (const name of names) {
      const pattern = patterns[name];
      pattern.lastIndex = 0;
      const match = pattern.exec(this.#text);
      if (match !== null && (best === undefined || match.index < best.match.index)) best = { name, match };
    }
    if (best === undefined) return undefined;
    const before = this.#text.slice(0, best.match.index);
    this.#text = this.#text.slice(best.match.index + best.match[0].length);
    // What is left over is counted with what is read next: only the sum matters to the window.
    const left = Math.min(this.#bytes, Buffer.byteLength(this.#text));
    this.#channel.consumed(this.#bytes - left);
    this.#bytes = left;
    return { ...best, before };
  }

  /** No more input; a shell without a terminal ends by it. */
  endInput(): void {
    this.#channel.eof();
  }

  /** Resolves with how it ended when the other side closes. */
  async ended(signal: AbortSignal): Promise<Exit> {
    await orAborted(this.#channel.closed, signal);
    return this.#channel.exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel.close();
  }
}

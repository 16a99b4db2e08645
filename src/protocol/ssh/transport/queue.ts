/** Payloads that wait for `next`: bounded, with one reader, who may give up. */
import { SshError } from '../errors.ts';

export interface QueuedPayload {
  readonly payload: Uint8Array;
  readonly sequence: number;
}

export class PayloadQueue {
  #entries: QueuedPayload[] = [];
  #bytes = 0;
  #soft: number;
  #end: { readonly error: Error | undefined } | undefined;
  #waiter: { resolve(entry: QueuedPayload | undefined): void; reject(error: Error): void } | undefined;

  /** Says `full` above `soft` bytes; breaks far above, because then its warning was not heard. */
  constructor(soft: number) {
    this.#soft = soft;
  }

  get full(): boolean {
    return this.#bytes > this.#soft || this.#entries.length > 256;
  }

  push(payload: Uint8Array, sequence: number): void {
    const entry = { payload, sequence };
    if (this.#waiter !== undefined) {
      this.#waiter.resolve(entry);
      this.#waiter = undefined;
      return;
    }
    this.#entries.push(entry);
    this.#bytes += payload.length;
    if (this.#bytes > this.#soft + (1 << 20)) throw new SshError('ssh.backlog', 'nobody reads what the peer sends');
  }

  /** The next entry; undefined once closed without an error, else rejects with it, after what was queued before. */
  async next(signal: AbortSignal): Promise<QueuedPayload | undefined> {
    if (signal.aborted) throw signal.reason;
    const entry = this.#entries.shift();
    if (entry !== undefined) {
      this.#bytes -= entry.payload.length;
      return entry;
    }
    if (this.#end?.error !== undefined) throw this.#end.error;
    if (this.#end !== undefined) return undefined;
    if (this.#waiter !== undefined) throw new Error('two readers of one transport');
    const { promise, resolve, reject } = Promise.withResolvers<QueuedPayload | undefined>();
    this.#waiter = { resolve, reject };
    const cut = (): void => {
      this.#waiter = undefined;
      reject(signal.reason);
    };
    signal.addEventListener('abort', cut, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', cut);
    }
  }

  /** Takes everything out at once. */
  drain(): QueuedPayload[] {
    const entries = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    return entries;
  }

  close(error: Error | undefined): void {
    this.#end = { error };
    if (error === undefined) this.#waiter?.resolve(undefined);
    else this.#waiter?.reject(error);
    this.#waiter = undefined;
  }
}

/**
 * One RDP connection as a stream of messages: pulled one by one while two sides agree, upgraded to TLS in place, then
 * handed over as they come. It knows where messages end and nothing of what they mean.
 *
 * INVARIANT: nothing is read past a message before the one who reads has said how the next one is to be read, so no
 * plain byte can pass for an encrypted one.
 */
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect, type SecureContext, TLSSocket } from 'node:tls';
import { concat, empty } from '../../base/bytes.ts';
import { orAborted } from '../../base/signals.ts';
import { tsRequestLength } from '../ntlm/ntlm.ts';
import { isViolation } from '../wire/violation.ts';
import { RdpError } from './errors.ts';
import { frameAt } from './wire/frame.ts';

/** More than this waiting to be pulled pauses the peer. */
const mostHeld = 256 * 1024;
/** Bytes that wait to be sent before the stream calls itself congested. */
const congestion = 512 * 1024;

export class RdpStream implements AsyncDisposable {
  #side: Duplex;
  #held: Uint8Array = empty;
  #end: RdpError | undefined;
  #wake: () => void = () => {};
  #take: ((chunk: Uint8Array) => void) | undefined;
  readonly #over = new AbortController();
  readonly #drained: (() => void)[] = [];
  bytesIn = 0;
  bytesOut = 0;

  constructor(side: Duplex) {
    this.#side = side;
    this.#listen(side);
  }

  /** Fires when the peer has closed, or the connection broke. */
  get gone(): AbortSignal {
    return this.#over.signal;
  }

  /** The next whole message, TPKT or fast-path. */
  async frame(signal: AbortSignal): Promise<Uint8Array> {
    return await this.#pull((held) => {
      const frame = frameAt(held, 0);
      if (isViolation(frame)) throw new RdpError('rdp.protocol', frame.violation);
      return frame?.length;
    }, signal);
  }

  /** The next whole message of CredSSP, which has no other framing than its own DER (MS-CSSP §2.2.1). */
  async der(signal: AbortSignal): Promise<Uint8Array> {
    return await this.#pull((held) => {
      const length = tsRequestLength(held);
      if (length === 'broken') throw new RdpError('rdp.protocol', 'not a CredSSP message, or one that is too long');
      return length;
    }, signal);
  }

  /** `sent` is called when the bytes have left, or never will. */
  write(bytes: Uint8Array, sent?: () => void): void {
    if (this.#end !== undefined || bytes.length === 0) return sent?.();
    this.bytesOut += bytes.length;
    this.#side.write(bytes, sent);
  }

  /** What is written until the next tick goes out together. */
  cork(): void {
    this.#side.cork();
  }

  uncork(): void {
    this.#side.uncork();
  }

  /** Becomes the server's side of TLS. Resolves after the handshake. */
  async secureServer(context: SecureContext, signal: AbortSignal): Promise<void> {
    const raw = this.#detach();
    const secured = new TLSSocket(raw as never, { isServer: true, secureContext: context });
    await this.#secured(raw, secured, 'secure', signal);
  }

  /** Becomes the client's side of TLS. Whom it reached is for the caller to judge: DER of the peer's certificates, leaf first. */
  async secureClient(options: ConnectionOptions, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    const raw = this.#detach();
    const secured = connect({ ...options, socket: raw, rejectUnauthorized: false, minVersion: 'TLSv1.2' });
    await this.#secured(raw, secured, 'secureConnect', signal);
    return chainOf(secured);
  }

  /** What TLS agreed on, or undefined without it. */
  get tls(): { readonly protocol: string; readonly cipher: string } | undefined {
    if (!(this.#side instanceof TLSSocket)) return undefined;
    return { protocol: this.#side.getProtocol() ?? '', cipher: this.#side.getCipher().name };
  }

  /** From now on chunks go to `take` as they come, first what is already here. They are cut anywhere. */
  relay(take: (chunk: Uint8Array) => void): void {
    this.#take = take;
    const held = this.#held;
    this.#held = empty;
    // before what is held is taken: whoever takes it may pause
    this.#side.resume();
    if (held.length > 0) take(held);
  }

  pause(): void {
    this.#side.pause();
  }

  resume(): void {
    this.#side.resume();
  }

  /** More is waiting to be sent than should. */
  get congested(): boolean {
    return this.#side.writableLength > congestion;
  }

  onDrain(listener: () => void): void {
    this.#drained.push(listener);
  }

  /** Resolves when what is written has left, the peer is gone, or it did not take it for a second. */
  async flushed(): Promise<void> {
    if (this.#end !== undefined || this.#side.writableLength === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const late = setTimeout(resolve, 1000);
    this.#side.write(new Uint8Array(0), () => resolve());
    this.gone.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    clearTimeout(late);
  }

  /** Sends what is written, at most for a moment, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    const side = this.#side;
    if (this.#end === undefined && !side.destroyed && side.writable) {
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, 1000);
        side.end(() => {
          clearTimeout(late);
          resolve();
        });
        side.once('close', () => {
          clearTimeout(late);
          resolve();
        });
      });
    }
    side.destroy();
    this.#finish(new RdpError('rdp.closed', 'ended here'));
  }

  #listen(side: Duplex): void {
    side.on('data', this.#onData);
    side.on('drain', this.#onDrain);
    side.once('end', this.#onEnd);
    side.once('close', this.#onEnd);
    side.on('error', this.#onError);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.bytesIn += chunk.length;
    if (this.#take !== undefined) return this.#take(chunk);
    this.#held = this.#held.length === 0 ? chunk : concat([this.#held, chunk]);
    if (this.#held.length > mostHeld) this.#side.pause();
    this.#wake();
  };

  readonly #onDrain = (): void => {
    for (const listener of this.#drained) listener();
  };

  readonly #onEnd = (): void => this.#finish(new RdpError('rdp.closed'));

  readonly #onError = (error: Error): void => this.#finish(new RdpError('rdp.closed', error.message, { cause: error }));

  #finish(error: RdpError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#over.abort(error);
    this.#wake();
    this.#onDrain();
  }

  async #pull(length: (held: Uint8Array) => number | undefined, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      const need = length(this.#held);
      if (need !== undefined && need <= this.#held.length) {
        const message = this.#held.subarray(0, need);
        this.#held = this.#held.subarray(need);
        this.#side.resume();
        return message;
      }
      if (this.#end !== undefined) throw this.#end;
      await orAborted(
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
        signal,
      );
    }
  }

  #detach(): Duplex {
    if (this.#held.length > 0) throw new RdpError('rdp.protocol', 'bytes before TLS began');
    const raw = this.#side;
    raw.pause();
    raw.off('data', this.#onData);
    raw.off('drain', this.#onDrain);
    raw.off('end', this.#onEnd);
    return raw;
  }

  async #secured(raw: Duplex, secured: TLSSocket, event: string, signal: AbortSignal): Promise<void> {
    this.#side = secured;
    try {
      await orAborted(
        new Promise<void>((resolve, reject) => {
          secured.once(event, resolve);
          secured.once('error', reject);
          raw.once('close', () => reject(new Error('closed during the handshake')));
        }),
        signal,
      );
    } catch (error) {
      secured.destroy();
      if (signal.aborted) throw signal.reason;
      throw new RdpError('rdp.tls', error instanceof Error ? error.message : String(error), { cause: error });
    }
    this.#listen(secured);
  }
}

/** DER of what the peer showed, leaf first; it may be the only one. */
function chainOf(secured: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  const seen = new Set<string>();
  let next = secured.getPeerCertificate(true);
  while (next?.raw !== undefined && !seen.has(next.fingerprint256) && chain.length < 8) {
    seen.add(next.fingerprint256);
    chain.push(new Uint8Array(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
}

/**
 * The least of an SSH server and of a client above a transport: one session channel, three commands. Written by hand
 * from RFC 4254, so that a test of the transport with a foreign peer depends on nothing but the transport and a login.
 *
 *   source N   sends N bytes            sink   answers with the SHA-256 of what came            echo   sends it back
 */
import { createHash } from 'node:crypto';
import { authenticate, logIn, type Signer, type Transport } from '../../../../src/protocol/ssh/ssh.ts';
import { Reader } from '../../../../src/protocol/ssh/wire/reader.ts';
import { Writer } from '../../../../src/protocol/ssh/wire/writer.ts';
import { signal } from './pair.ts';

const window = 2 ** 18;
const maxPacket = 32_768;

/** The bytes that `source` sends: every position has its own, so that a lost or doubled packet shows. */
export function pattern(from: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let i = 0; i < count; i++) bytes[i] = ((from + i) * 31 + ((from + i) >> 8)) & 0xff;
  return bytes;
}

export function patternHash(count: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < count; at += 65_536) hash.update(pattern(at, Math.min(65_536, count - at)));
  return hash.digest('hex');
}

/** Sends within the peer's window and as the transport takes it. */
class Outgoing {
  #transport: Transport;
  #peer = 0;
  #window = 0;
  #packet = maxPacket;
  #queue: Buffer[] = [];
  #more: () => Buffer | undefined = () => undefined;
  #finish: (() => void) | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
    transport.onDrain(() => this.pump());
  }

  opened(peer: number, granted: number, packet: number): void {
    this.#peer = peer;
    this.#window = granted;
    this.#packet = Math.min(packet, maxPacket);
  }

  grant(bytes: number): void {
    this.#window += bytes;
    this.pump();
  }

  push(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.pump();
  }

  /** Asks for more bytes until there are none, then runs `finish`. */
  end(more: () => Buffer | undefined, finish: () => void): void {
    this.#more = more;
    this.#finish = finish;
    this.pump();
  }

  pump(): void {
    while (this.#window > 0 && !this.#transport.congested) {
      const next = this.#queue.shift() ?? this.#more();
      if (next === undefined) {
        this.#finish?.();
        this.#finish = undefined;
        return;
      }
      const count = Math.min(next.length, this.#window, this.#packet);
      this.#window -= count;
      if (count < next.length) this.#queue.unshift(next.subarray(count));
      this.#transport.send(new Writer(count + 9).u8(94).u32(this.#peer).string(next.subarray(0, count)).finish());
    }
  }
}

function source(total: number): () => Buffer | undefined {
  let at = 0;
  return () => {
    if (at >= total) return undefined;
    const bytes = pattern(at, Math.min(maxPacket, total - at));
    at += bytes.length;
    return bytes;
  };
}

/** Lets anybody in and serves one session channel until the transport is over. */
export async function serveExec(transport: Transport): Promise<void> {
  const accepted = { kind: 'accepted' } as const;
  const outcome = await authenticate(
    transport,
    {
      begin: async () => ({ next: ['password'] }),
      none: async () => accepted,
      password: async () => accepted,
      publickeyQuery: async () => true,
      publickey: async () => accepted,
      keyboardInteractive: () => Promise.reject(new Error('not offered')),
    },
    {},
    signal,
  );
  if (outcome.kind !== 'accepted') return;
  const out = new Outgoing(transport);
  const hash = createHash('sha256');
  let peer = 0;
  let command = '';
  let consumed = 0;
  const finish = (): void => {
    transport.send(new Writer().u8(98).u32(peer).text('exit-status').bool(false).u32(0).finish());
    transport.send(new Writer().u8(96).u32(peer).finish());
    transport.send(new Writer().u8(97).u32(peer).finish());
  };
  transport.relay((payload) => {
    const reader = new Reader(payload, 1);
    switch (payload[0] ?? 0) {
      case 80:
        reader.text(100);
        if (reader.bool()) transport.send(Uint8Array.of(82));
        break;
      case 90:
        reader.text(100);
        peer = reader.u32();
        out.opened(peer, reader.u32(), reader.u32());
        transport.send(new Writer().u8(91).u32(peer).u32(0).u32(window).u32(maxPacket).finish());
        break;
      case 98: {
        reader.u32();
        const name = reader.text(100);
        if (name === 'exec') {
          reader.bool();
          command = reader.text(1000);
          transport.send(new Writer().u8(99).u32(peer).finish());
          if (command.startsWith('source ')) out.end(source(Number(command.slice(7))), finish);
        } else if (reader.bool()) transport.send(new Writer().u8(100).u32(peer).finish());
        break;
      }
      case 93:
        reader.u32();
        out.grant(reader.u32());
        break;
      case 94: {
        reader.u32();
        const data = reader.string(maxPacket);
        if (command === 'echo') out.push(Buffer.from(data));
        else hash.update(data);
        consumed += data.length;
        if (consumed > window / 2) {
          transport.send(new Writer().u8(93).u32(peer).u32(consumed).finish());
          consumed = 0;
        }
        break;
      }
      case 96:
        if (command === 'sink') out.push(Buffer.from(hash.digest('hex')));
        if (!command.startsWith('source ')) out.end(() => undefined, finish);
        break;
      default:
    }
  });
  await transport.ended;
}

/** Logs in, runs a command with `input` bytes of the pattern, and resolves with what came back. */
export async function runCommand(
  transport: Transport,
  user: string,
  signers: readonly Signer[],
  command: string,
  input = 0,
): Promise<{ bytes: number; hash: string; text: string }> {
  const login = await logIn(transport, user, signers.length === 0 ? {} : { signers }, signal);
  if (!('accepted' in login)) throw new Error(`login refused: ${login.reason}`);
  const out = new Outgoing(transport);
  const hash = createHash('sha256');
  let peer = 0;
  let consumed = 0;
  let bytes = 0;
  let text = '';
  transport.send(new Writer().u8(90).text('session').u32(0).u32(window).u32(maxPacket).finish());
  return new Promise((resolve, reject) => {
    void transport.ended.then((end) => reject(new Error(`the transport ended: ${end.kind}`)));
    transport.relay((payload) => {
      const reader = new Reader(payload, 1);
      switch (payload[0] ?? 0) {
        case 80:
          reader.text(100);
          if (reader.bool()) transport.send(Uint8Array.of(82));
          break;
        case 91:
          reader.u32();
          peer = reader.u32();
          out.opened(peer, reader.u32(), reader.u32());
          transport.send(new Writer().u8(98).u32(peer).text('exec').bool(true).text(command).finish());
          break;
        case 92:
          reject(new Error('channel refused'));
          break;
        case 99:
          out.end(source(input), () => transport.send(new Writer().u8(96).u32(peer).finish()));
          break;
        case 93:
          reader.u32();
          out.grant(reader.u32());
          break;
        case 94: {
          reader.u32();
          const data = reader.string(maxPacket);
          hash.update(data);
          bytes += data.length;
          if (bytes < 1000) text += Buffer.from(data).toString();
          consumed += data.length;
          if (consumed > window / 2) {
            transport.send(new Writer().u8(93).u32(peer).u32(consumed).finish());
            consumed = 0;
          }
          break;
        }
        case 97:
          resolve({ bytes, hash: hash.digest('hex'), text });
          break;
        default:
      }
    });
  });
}

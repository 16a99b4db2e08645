/**
 * The transport as a machine without a socket: bytes, time and chance in; bytes and events out. It keeps the version
 * exchange, the packets, the key exchanges and the small messages of RFC 4253; everything else it hands on.
 *
 * Whatever breaks the protocol is thrown as SshError out of the call that brought the bytes; after that, and after
 * `end`, the machine takes and sends nothing more.
 */
import { utf8 } from '../../../base/bytes.ts';
import { SshError } from '../errors.ts';
import type { TransportLimits } from '../types.ts';
import { msg } from '../wire/numbers.ts';
import { isViolation } from '../wire/reader.ts';
import {
  type Disconnect,
  decodeDisconnect,
  decodeExtInfo,
  encodeDisconnect,
  encodeExtInfo,
  encodeUnimplemented,
  type Extensions,
  pongFor,
} from '../wire/transport-messages.ts';
import { type Greeting, noGreeting, readVersion } from '../wire/version.ts';
import { PacketInput } from './input.ts';
import { Keying, type KeyingConfig, type Question } from './keying.ts';
import { PacketOutput } from './output.ts';

export interface MachineConfig extends KeyingConfig {
  /** Everything that EXT_INFO shall say. */
  readonly extensions: Extensions;
  readonly limits: TransportLimits;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

export interface MachineEvents {
  /** A payload for the layers above, a view; `sequence` is its packet's number. */
  payload(payload: Uint8Array, sequence: number): void;
  ask(question: Question): void;
  /** The first exchange is over in both directions. */
  established(): void;
  disconnected(words: Disconnect): void;
}

/** RFC 4344 §3.1: new keys before 2^31 packets under one. */
const maxPackets = 2 ** 31;
/** A peer that announces extensions again and again is not one of ours. */
const maxExtInfos = 8;

export class Machine {
  readonly keying: Keying;
  readonly peerExtensions = new Map<string, Uint8Array>();
  readonly rekeys = { ours: 0, theirs: 0 };
  /** Bytes of payloads held back until the exchange is over. */
  heldBytes = 0;
  #config: MachineConfig;
  #events: MachineEvents;
  #input = new PacketInput();
  #output: PacketOutput;
  #phase: { at: 'version'; greeting: Greeting } | { at: 'packets' } | { at: 'over' } = {
    at: 'version',
    greeting: noGreeting,
  };
  #established = false;
  #authenticated = false;
  #held: Uint8Array[] = [];
  #extInfos = 0;
  /** The running exchange is to be over by then; otherwise the next one is due then. */
  #wakeAt: number;

  constructor(config: MachineConfig, events: MachineEvents) {
    this.#config = config;
    this.#events = events;
    this.#output = new PacketOutput(config.chance);
    this.keying = new Keying(config, this.#input, this.#output, {
      ask: (question) => events.ask(question),
      ourKeysInUse: (first) => this.#release(first),
      done: (by) => this.#exchanged(by),
    });
    this.#wakeAt = config.now() + config.limits.handshakeMs;
  }

  /** Says our version; a server proposes algorithms at once, a client when it knows the server's version. */
  start(): void {
    this.#output.raw(utf8(`${this.#config.version}\r\n`));
    if (this.#config.role === 'server') this.keying.propose('us');
  }

  /** When `tick` is to be called. */
  get wakeAt(): number {
    return this.#wakeAt;
  }

  /** Time has passed: ends an exchange that takes too long, starts one that is due. */
  tick(): void {
    if (this.#phase.at === 'over' || this.#config.now() < this.#wakeAt) return;
    if (!this.#established) throw new SshError('ssh.handshake-timeout');
    if (this.keying.running) throw new SshError('ssh.rekey-timeout');
    this.rekey();
  }

  /** Bytes from the peer. They are used during the call only. */
  receive(chunk: Uint8Array): void {
    if (this.#phase.at === 'over') return;
    let bytes = chunk;
    if (this.#phase.at === 'version') {
      const found = readVersion(this.#phase.greeting, chunk, this.#config.role === 'client');
      if (isViolation(found)) throw new SshError('ssh.version', found.violation);
      if ('held' in found) {
        this.#phase.greeting = found;
        return;
      }
      this.keying.peerVersion = found.version;
      this.#phase = { at: 'packets' };
      this.keying.propose('us');
      bytes = found.rest;
    }
    this.#input.push(bytes);
    this.#drain();
  }

  #drain(): void {
    const { maxPacket, maxPacketUnauthenticated } = this.#config.limits;
    while (this.#phase.at === 'packets' && !this.keying.blocked) {
      const payload = this.#input.next(this.#authenticated ? maxPacket : Math.min(maxPacket, maxPacketUnauthenticated));
      if (payload === undefined) break;
      this.#dispatch(payload);
    }
    this.#input.settle();
    if (this.#phase.at === 'packets' && this.#worn()) this.rekey();
  }

  #dispatch(payload: Uint8Array): void {
    const number = payload[0] ?? 0;
    const isKex = number === msg.kexinit || number === msg.newkeys || (number >= 30 && number < 50);
    if (number === msg.disconnect) {
      const words = decodeDisconnect(payload);
      if (isViolation(words)) throw new SshError('ssh.malformed', words.violation);
      this.#phase = { at: 'over' };
      this.#events.disconnected(words);
    } else if (!this.#established && this.keying.strict && !isKex) {
      throw new SshError('ssh.protocol', `strict KEX: message ${number} within the first exchange`);
    } else if (number === msg.kexinit) {
      const answered = this.keying.running;
      this.keying.takeKexinit(payload);
      if (!answered) this.#armExchange();
    } else if (number === msg.newkeys) {
      this.keying.takeNewkeys(payload);
    } else if (isKex) {
      this.keying.takeMessage(payload);
    } else if (number !== msg.ignore && number !== msg.debug && number !== msg.unimplemented) {
      if (!this.#established || this.keying.peerHolding)
        throw new SshError('ssh.protocol', `message ${number} within a key exchange`);
      this.#deliver(number, payload);
    }
  }

  #deliver(number: number, payload: Uint8Array): void {
    if (number >= 50 || number === msg.serviceRequest || number === msg.serviceAccept) {
      if (number === msg.ping) {
        const pong = pongFor(payload);
        if (isViolation(pong)) throw new SshError('ssh.malformed', pong.violation);
        this.#reply(pong);
      } else if (number !== msg.pong) {
        if (number === msg.userauthSuccess && this.#config.role === 'client') this.#authenticated = true;
        this.#events.payload(payload, this.#input.lastSequence);
      }
    } else if (number === msg.extInfo) {
      const extensions = decodeExtInfo(payload);
      if (isViolation(extensions)) throw new SshError('ssh.malformed', extensions.violation);
      if (++this.#extInfos > maxExtInfos) throw new SshError('ssh.protocol', 'too many EXT_INFO');
      for (const [name, value] of extensions) this.peerExtensions.set(name, value);
    } else {
      this.unimplemented(this.#input.lastSequence);
    }
  }

  /** Tells the peer that we do not know the message of that packet (RFC 4253 §11.4). */
  unimplemented(sequence: number): void {
    this.#reply(encodeUnimplemented(sequence));
  }

  /** An answer that the peer can make us send; dropped when too much waits already, so that nobody can flood us. */
  #reply(payload: Uint8Array): void {
    if (this.pendingBytes < this.#config.limits.highWater) this.send(payload);
  }

  /** Seals one payload, or holds a copy of it back while keys are exchanged. */
  send(payload: Uint8Array): void {
    if (this.#phase.at === 'over') return;
    if (payload[0] === msg.userauthSuccess && this.#config.role === 'server') this.#authenticated = true;
    if (!this.#established || this.keying.holding) {
      // not slice(): of a Buffer that would be a view
      this.#held.push(new Uint8Array(payload));
      this.heldBytes += payload.length;
      return;
    }
    this.#output.packet(payload);
    if (this.#worn()) this.rekey();
  }

  /** Bytes that are not taken yet: sealed ones and held ones. */
  get pendingBytes(): number {
    return this.#output.ready + this.heldBytes;
  }

  /** Starts a key exchange, if none is running. */
  rekey(): void {
    if (this.#phase.at === 'over' || this.keying.running) return;
    this.keying.propose('us');
    this.#armExchange();
  }

  #armExchange(): void {
    if (this.#established) this.#wakeAt = this.#config.now() + this.#config.limits.rekeyAnswerMs;
  }

  /** Whether the keys have been used enough. */
  #worn(): boolean {
    if (!this.#established || this.keying.running) return false;
    const { upgradeBytes } = this.#config.limits;
    const rekeyBytes = this.keying.slow
      ? Math.min(upgradeBytes, this.#config.limits.rekeyBytes)
      : this.#config.limits.rekeyBytes;
    const used = (side: PacketInput | PacketOutput): boolean =>
      side.bytesOfKey >= rekeyBytes || side.packetsOfKey >= maxPackets;
    return used(this.#input) || used(this.#output);
  }

  #release(first: boolean): void {
    // RFC 8308 §2.4: as the very next packet
    if (first && this.keying.peerWantsExtensions) this.#output.packet(encodeExtInfo(this.#config.extensions));
    if (first) return;
    this.#sendHeld();
  }

  #sendHeld(): void {
    const held = this.#held;
    this.#held = [];
    this.heldBytes = 0;
    for (const payload of held) {
      this.#output.packet(payload);
      payload.fill(0);
    }
  }

  #exchanged(by: 'us' | 'them'): void {
    this.#wakeAt = this.#config.now() + this.#config.limits.rekeyMs;
    if (this.#established) {
      this.rekeys[by === 'us' ? 'ours' : 'theirs']++;
      return;
    }
    this.#established = true;
    this.#sendHeld();
    this.#events.established();
  }

  /** Server: the host key's signature. */
  signed(signature: Uint8Array): void {
    if (this.#phase.at === 'over') return;
    this.keying.signed(signature);
    this.#drain();
  }

  /** Client: whether the host key is trusted. */
  judged(trusted: boolean): void {
    if (this.#phase.at === 'over') return;
    this.keying.judged(trusted);
    this.#drain();
  }

  /** Says goodbye, if the peer speaks SSH so far, and is over. */
  end(words: Disconnect): void {
    if (this.#phase.at === 'packets') this.#output.packet(encodeDisconnect(words));
    this.#phase = { at: 'over' };
    for (const payload of this.#held) payload.fill(0);
    this.#held = [];
    this.heldBytes = 0;
  }

  /** The bytes to write since the last call. */
  takeOutput(): Uint8Array[] {
    return this.#output.take();
  }
}

/** Two machines without a socket between them: the test carries the bytes, so it may cut, change or withhold them. */
import { generateKeyPairSync, type KeyObject, randomFillSync, sign } from 'node:crypto';
import { concat, utf8 } from '../../../../src/base/bytes.ts';
import { publicKeyOf } from '../../../../src/protocol/ssh/keys/private.ts';
import { defaultAlgorithms } from '../../../../src/protocol/ssh/transport/algorithms.ts';
import type { Question, ShownKey } from '../../../../src/protocol/ssh/transport/keying.ts';
import { Machine, type MachineConfig } from '../../../../src/protocol/ssh/transport/machine.ts';
import { defaultLimits } from '../../../../src/protocol/ssh/transport/options.ts';
import type { Role, TransportLimits } from '../../../../src/protocol/ssh/types.ts';
import type { Disconnect } from '../../../../src/protocol/ssh/wire/transport-messages.ts';
import { Writer } from '../../../../src/protocol/ssh/wire/writer.ts';

const hostKey = generateKeyPairSync('ed25519').privateKey;

/** One machine and everything that came out of it. */
export class Side {
  readonly role: Role;
  readonly machine: Machine;
  readonly payloads: Uint8Array[] = [];
  readonly questions: Question[] = [];
  disconnected: Disconnect | undefined;
  established = false;
  /** What `now` says; the test moves it. */
  clock = 1000;
  trust = true;
  /** Questions stay in `questions` until the test answers. */
  answersItself = true;
  signingKey: KeyObject = hostKey;
  #shown: ShownKey[] = [];

  constructor(role: Role, change: { limits?: Partial<TransportLimits>; lists?: Partial<MachineConfig['lists']> } = {}) {
    this.role = role;
    if (role === 'server') this.showHostKey(hostKey);
    const config: MachineConfig = {
      role,
      version: `SSH-2.0-${role}`,
      lists: { ...defaultAlgorithms(role), ...change.lists },
      hostKeys: this.#shown,
      extensions: new Map([['from', utf8(role)]]),
      limits: { ...defaultLimits, ...change.limits },
      chance: (into, at, count) => void randomFillSync(into, at, count),
      now: () => this.clock,
    };
    this.machine = new Machine(config, {
      payload: (payload) => this.payloads.push(payload.slice()),
      ask: (question) => void this.questions.push(question),
      established: () => {
        this.established = true;
      },
      disconnected: (words) => {
        this.disconnected = words;
      },
    });
  }

  /** Shows and signs with this Ed25519 key from the next exchange on. */
  showHostKey(key: KeyObject): void {
    this.signingKey = key;
    this.#shown[0] = { publicKey: publicKeyOf(key) ?? utf8(''), algorithms: ['ssh-ed25519'] };
  }

  start(): this {
    this.machine.start();
    return this;
  }

  receive(bytes: Uint8Array): void {
    this.machine.receive(bytes);
    if (this.answersItself) this.answer();
  }

  answer(): void {
    for (const question of this.questions.splice(0)) {
      if (question.ask === 'host-key') this.machine.judged(this.trust);
      else
        this.machine.signed(
          new Writer()
            .text('ssh-ed25519')
            .string(sign(null, question.data, this.signingKey))
            .finish(),
        );
    }
  }

  output(): Uint8Array {
    return concat(this.machine.takeOutput());
  }
}

/** Carries bytes to and fro until nobody says anything; `cut` divides each delivery. Returns how many bytes went. */
export function settle(a: Side, b: Side, cut: (bytes: Uint8Array) => Uint8Array[] = (bytes) => [bytes]): number {
  let carried = 0;
  for (let quiet = 0; quiet < 2; ) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const bytes = from.output();
      carried += bytes.length;
      quiet = bytes.length === 0 ? quiet + 1 : 0;
      for (const piece of cut(bytes)) to.receive(piece);
    }
  }
  return carried;
}

/** A pair after its first key exchange. */
export function connected(
  change: { limits?: Partial<TransportLimits>; lists?: Partial<MachineConfig['lists']> } = {},
): { client: Side; server: Side } {
  const client = new Side('client', change).start();
  const server = new Side('server', change).start();
  settle(client, server);
  return { client, server };
}

/** The code of what `work` throws. */
export function codeThrown(work: () => void): string {
  try {
    work();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return 'nothing thrown';
}

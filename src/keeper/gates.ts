/**
 * The gates, as the keeper knows them. A gate proves itself by the token that the supervisor gave to both. Every handle
 * that a gate holds stands in this register, under that gate: what another gate shows is unknown here.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { fromHex } from '../base/bytes.ts';
import type { GateId } from '../base/ids.ts';
import type { Line } from '../link/link.ts';
import { KeeperError } from './errors.ts';

/** What the supervisor says of a gate. */
export interface GateToken {
  readonly id: GateId;
  /** 32 random bytes in hex. */
  readonly token: string;
}

/** Objects of one kind that a gate holds by handle. */
export class Handles<T> {
  readonly #objects = new Map<string, T>();
  readonly #max: number;

  /** At most `max` at a time; the oldest gives way. */
  constructor(max: number) {
    this.#max = max;
  }

  mint(object: T): string {
    if (this.#objects.size >= this.#max) this.#objects.delete(this.#objects.keys().next().value ?? '');
    const handle = randomBytes(16).toString('hex');
    this.#objects.set(handle, object);
    return handle;
  }

  /** Throws `keeper.unknown-handle`. */
  get(handle: string, what: string): T {
    const object = this.#objects.get(handle);
    if (object === undefined) throw new KeeperError('keeper.unknown-handle', what);
    return object;
  }

  drop(handle: string): void {
    this.#objects.delete(handle);
  }
}

/** One gate that has said hello, on its present line. */
export interface ConnectedGate {
  readonly id: GateId;
  readonly pid: number;
  line: Line;
}

export interface Gates {
  /** The supervisor started a gate. */
  expect(gate: GateToken): void;
  /** Whether the supervisor says that this gate process lives. */
  expected(id: GateId): boolean;
  /** The gate that has this token, in constant time for each known gate. */
  recognise(token: Uint8Array): GateId | undefined;
  connect(gate: ConnectedGate): void;
  /** The line is gone; the process may live and come back. */
  disconnect(id: GateId, line: Line): void;
  /** The process is gone. */
  forget(token: string): GateId | undefined;
  connected(): readonly ConnectedGate[];
  find(id: GateId): ConnectedGate | undefined;
}

export function openGates(): Gates {
  const tokens = new Map<string, GateId>();
  const connected = new Map<GateId, ConnectedGate>();
  return {
    expect: ({ id, token }) => void tokens.set(token, id),
    expected: (id) => [...tokens.values()].includes(id),
    recognise: (shown) => {
      let found: GateId | undefined;
      for (const [token, id] of tokens) {
        const known = fromHex(token);
        if (known !== undefined && known.length === shown.length && timingSafeEqual(known, shown)) found = id;
      }
      return found;
    },
    connect: (gate) => void connected.set(gate.id, gate),
    disconnect: (id, line) => {
      if (connected.get(id)?.line === line) connected.delete(id);
    },
    forget: (token) => {
      const id = tokens.get(token);
      tokens.delete(token);
      if (id !== undefined) connected.delete(id);
      return id;
    },
    connected: () => [...connected.values()],
    find: (id) => connected.get(id),
  };
}

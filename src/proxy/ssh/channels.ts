/**
 * The channels of one spliced connection. Numbers are end to end: the client's number and the target's number are the
 * ones they gave each other, so a message is relayed as it is, and this table only watches.
 */

/** What runs in a channel, once a request has said so. */
export type Use =
  | { readonly kind: 'none' }
  | { readonly kind: 'shell' }
  | { readonly kind: 'exec'; readonly command: Uint8Array; readonly files: 'sftp' | 'scp-up' | 'scp-down' | undefined }
  | { readonly kind: 'subsystem'; readonly name: string };

export interface Channel {
  /** A number of our own, the same in recording and audit trail; numbers of clients are used again. */
  readonly number: number;
  readonly clientId: number;
  /** Known once the target has confirmed. */
  targetId: number | undefined;
  pty: boolean;
  use: Use;
  clientClosed: boolean;
  targetClosed: boolean;
  /** Answers that the client waits for, in order: the target's own, or a refusal of ours that must not overtake one. */
  readonly owed: Reply[];
  /** The same for the target's requests. */
  readonly owedToTarget: Reply[];
}

/** `program` is a relayed answer too: a failure means that nothing was started, and something else may be. */
export type Reply = 'relay' | 'program' | 'refuse';

const maxChannels = 256;
const maxOwed = 1024;

export class Channels {
  readonly #byClient = new Map<number, Channel>();
  readonly #byTarget = new Map<number, Channel>();
  #next = 1;

  /** A new channel that the client opens, or undefined if it has too many or uses a number twice. */
  open(clientId: number): Channel | undefined {
    if (this.#byClient.has(clientId) || this.#byClient.size >= maxChannels) return undefined;
    const channel: Channel = {
      number: this.#next++,
      clientId,
      targetId: undefined,
      pty: false,
      use: { kind: 'none' },
      clientClosed: false,
      targetClosed: false,
      owed: [],
      owedToTarget: [],
    };
    this.#byClient.set(clientId, channel);
    return channel;
  }

  /** The target took the channel under a number of its own. False if it makes no sense. */
  confirm(clientId: number, targetId: number): boolean {
    const channel = this.#byClient.get(clientId);
    if (channel === undefined || channel.targetId !== undefined || this.#byTarget.has(targetId)) return false;
    channel.targetId = targetId;
    this.#byTarget.set(targetId, channel);
    return true;
  }

  /** The channel that a message of the target is about. */
  ofTarget(clientId: number): Channel | undefined {
    return this.#byClient.get(clientId);
  }

  /** The channel that a message of the client is about. */
  ofClient(targetId: number): Channel | undefined {
    return this.#byTarget.get(targetId);
  }

  /** Forgets a channel that the target refused, or that both sides have closed. */
  forget(channel: Channel): void {
    this.#byClient.delete(channel.clientId);
    if (channel.targetId !== undefined) this.#byTarget.delete(channel.targetId);
  }

  all(): Iterable<Channel> {
    return this.#byClient.values();
  }
}

/**
 * Answers in the order of their requests (RFC 4254 §4, §5.4 rely on it). A request that is refused here while earlier ones wait for
 * the other side is answered after them. Returns false if more answers are owed than anybody needs.
 */
export function owe(owed: Reply[], reply: Reply, refuseNow: () => void): boolean {
  if (reply === 'refuse' && owed.length === 0) refuseNow();
  else owed.push(reply);
  return owed.length <= maxOwed;
}

/**
 * The oldest request was answered: what was owed for it, or undefined if nothing was. Our own refusals that waited behind
 * the answer follow it.
 */
export function settle(owed: Reply[], relay: () => void, refuse: () => void): Reply | undefined {
  const oldest = owed.shift();
  if (oldest === undefined) return undefined;
  relay();
  while (owed[0] === 'refuse') {
    owed.shift();
    refuse();
  }
  return oldest;
}

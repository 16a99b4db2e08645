/**
 * Dynamic channels under policy (MS-RDPEDYC §1.3.3): the target asks for a channel by name, and a name that policy does
 * not allow is refused in the client's place, so that the client never hears of it. Data passes on channels that both
 * sides have opened, and nowhere else. Version 3 (compression, other transports) is not let be agreed.
 *
 * Devices and the clipboard may come as dynamic channels too: they go through the same filters as the static ones.
 */
import {
  decodeDynamic,
  type DynamicMessage,
  encodeDynamic,
  encodeDynamicData,
  highestVersion,
  isViolation,
  Reassembly,
  sameName,
  staticNames,
  unsuccessful,
  type Violation,
} from '../../../protocol/rdp/channels/channels.ts';
import { dynamicChannel, type RdpPolicy } from '../policy.ts';
import { clipboard } from './clipboard.ts';
import { devices } from './devices.ts';
import {
  back,
  type ChannelEvent,
  type ChannelLimits,
  type MessageFilter,
  nothing,
  onward,
  type Passed,
  type Side,
} from './filter.ts';

interface DynamicChannel {
  readonly name: string;
  /** Whether the client has agreed. */
  open: boolean;
  /** The filter of a channel whose messages are read; without one data passes as it comes. */
  readonly read: { readonly filter: MessageFilter; readonly incoming: Record<Side, DynamicReassembly> } | undefined;
}

/** Messages of a dynamic channel say where they start, but not where they end: that is counted. */
class DynamicReassembly {
  #chunks: Reassembly;
  #left = 0;

  constructor(limit: number) {
    this.#chunks = new Reassembly(limit);
  }

  push(total: number | undefined, data: Uint8Array): ReturnType<Reassembly['push']> {
    const first = this.#left === 0;
    if (!first && total !== undefined) return { violation: 'a dynamic channel message starts inside another' };
    const whole = first ? (total ?? data.length) : this.#left;
    if (data.length > whole) return { violation: 'a dynamic channel message is longer than it said' };
    this.#left = whole - data.length;
    const last = this.#left === 0;
    return this.#chunks.push({ total: whole, first, last, showProtocol: false, control: undefined, data });
  }
}

export function dynamic(policy: RdpPolicy, limits: ChannelLimits): MessageFilter {
  const channels = new Map<number, DynamicChannel>();
  let filters = 0;

  /** The filter of a channel that is read; a name in any case, because nobody else may take it. */
  const readerOf = (name: string): DynamicChannel['read'] => {
    const make = sameName(name, staticNames.devices)
      ? devices
      : sameName(name, staticNames.clipboard)
        ? clipboard
        : null;
    if (make === null) return undefined;
    filters++;
    const { messageBytes } = limits;
    const incoming = { client: new DynamicReassembly(messageBytes), target: new DynamicReassembly(messageBytes) };
    return { filter: make(policy, limits), incoming };
  };

  const create = (request: Extract<DynamicMessage, { type: 'create-request' }>): Passed | Violation => {
    const { channel, name } = request;
    if (channels.has(channel)) return { violation: 'a dynamic channel is opened twice' };
    let { allowed, why } = dynamicChannel(name, policy);
    // each reader may hold whole messages: more than a few of them are nobody's need
    if (allowed && (channels.size >= limits.dynamicChannels || filters >= 4))
      [allowed, why] = [false, 'too many dynamic channels'];
    if (!allowed) {
      const events: ChannelEvent[] = [{ type: 'channel.refused', name, why }];
      return back('target', encodeDynamic({ type: 'create-response', channel, status: unsuccessful }), events);
    }
    channels.set(channel, { name, open: false, read: readerOf(name) });
    return onward('target', encodeDynamic(request));
  };

  const end = (channel: number): readonly ChannelEvent[] => {
    const gone = channels.get(channel);
    if (gone === undefined) return [];
    channels.delete(channel);
    if (gone.read !== undefined) filters--;
    const events = gone.read?.filter.close() ?? [];
    return gone.open ? [...events, { type: 'channel.closed', name: gone.name }] : events;
  };

  const created = (response: Extract<DynamicMessage, { type: 'create-response' }>): Passed => {
    const asked = channels.get(response.channel);
    if (asked === undefined || asked.open) return nothing;
    const passed = onward('client', encodeDynamic(response));
    // a negative number is a refusal
    if (response.status >= 0x80000000) {
      end(response.channel);
      return passed;
    }
    asked.open = true;
    return {
      ...passed,
      events: [{ type: 'channel.opened', name: asked.name, why: dynamicChannel(asked.name, policy).why }],
    };
  };

  const data = (from: Side, message: Extract<DynamicMessage, { type: 'data' | 'data-first' }>): Passed | Violation => {
    const channel = channels.get(message.channel);
    // data may cross a close on its way
    if (channel === undefined || !channel.open) return nothing;
    if (channel.read === undefined) return onward(from, encodeDynamic(message));
    const { filter, incoming } = channel.read;
    const whole = incoming[from].push(message.type === 'data-first' ? message.total : undefined, message.data);
    if (whole === undefined) return nothing;
    if (isViolation(whole)) return whole;
    const passed =
      whole.kind === 'message' ? filter.message(from, whole.message) : filter.oversized(from, whole.start, whole.total);
    if (isViolation(passed)) return passed;
    const cut = (messages: readonly Uint8Array[]): Uint8Array[] =>
      messages.flatMap((one) => encodeDynamicData(message.channel, one));
    return { toTarget: cut(passed.toTarget), toClient: cut(passed.toClient), events: passed.events };
  };

  return {
    message(from, bytes) {
      const message = decodeDynamic(bytes, from);
      if (isViolation(message)) return message;
      switch (message.type) {
        case 'caps':
          return onward(from, encodeDynamic({ ...message, version: Math.min(message.version, highestVersion) }));
        case 'create-request':
          return create(message);
        case 'create-response':
          return created(message);
        case 'data':
        case 'data-first':
          return data(from, message);
        case 'close': {
          if (!channels.has(message.channel)) return nothing;
          return onward(from, encodeDynamic(message), end(message.channel));
        }
        default:
          return message satisfies never;
      }
    },
    oversized: () => ({ violation: 'a dynamic channel message is too long' }),
    close: () => [...channels.keys()].flatMap(end),
  };
}

/**
 * A static channel under policy: chunks of either side are put together, each message goes through a filter, and what the
 * filter lets through is cut into chunks again. So a peer never sees the frames that the other one made.
 */
import {
  type Chunk,
  decodeChunk,
  encodeChunk,
  encodeChunks,
  encodeControl,
  isViolation,
  Reassembly,
  type Violation,
} from '../../../protocol/rdp/channels/channels.ts';
import {
  type Channel,
  type ChannelLimits,
  type MessageFilter,
  nothing,
  onward,
  type Passed,
  type Side,
} from './filter.ts';

/** A static channel whose messages go through `filter`. */
export function framed(filter: MessageFilter, limits: ChannelLimits): Channel {
  const incoming = { client: new Reassembly(limits.messageBytes), target: new Reassembly(limits.messageBytes) };
  const shown: Record<Side, boolean | undefined> = { client: undefined, target: undefined };

  /** Chunks for the other side of `from`, with the flag that its counterpart uses. */
  const cut = (from: Side, messages: readonly Uint8Array[]): Uint8Array[] => {
    const other = from === 'client' ? 'target' : 'client';
    const showProtocol = shown[from] ?? shown[other] ?? false;
    return messages.flatMap((message) => encodeChunks(message, showProtocol));
  };

  const push = (from: Side, pdu: Uint8Array): Passed | Violation => {
    const chunk = decodeChunk(pdu);
    if (isViolation(chunk)) return chunk;
    if (chunk.control !== undefined) return control(from, chunk);
    shown[from] = chunk.showProtocol;
    const whole = incoming[from].push(chunk);
    if (whole === undefined) return nothing;
    if (isViolation(whole)) return whole;
    const passed =
      whole.kind === 'message' ? filter.message(from, whole.message) : filter.oversized(from, whole.start, whole.total);
    if (isViolation(passed)) return passed;
    return {
      toTarget: cut('client', passed.toTarget),
      toClient: cut('target', passed.toClient),
      events: passed.events,
    };
  };

  return {
    fromClient: (pdu) => push('client', pdu),
    fromTarget: (pdu) => push('target', pdu),
    close: () => filter.close(),
  };
}

/** A channel whose content is not looked at: chunks pass one by one, their flags written anew. */
export function unread(): Channel {
  const push = (from: Side, pdu: Uint8Array): Passed | Violation => {
    const chunk = decodeChunk(pdu);
    if (isViolation(chunk)) return chunk;
    if (chunk.control !== undefined) return control(from, chunk);
    return onward(from, encodeChunk(chunk));
  };
  return { fromClient: (pdu) => push('client', pdu), fromTarget: (pdu) => push('target', pdu), close: () => [] };
}

/** A channel that the target never heard of: what the client sends goes nowhere. */
export function swallowed(): Channel {
  const refuse: Channel['fromTarget'] = () => ({ violation: 'the target speaks on a channel it was not given' });
  return { fromClient: () => nothing, fromTarget: refuse, close: () => [] };
}

/** A channel that the target knows and nothing passes on. */
export function silent(): Channel {
  return { fromClient: () => nothing, fromTarget: () => nothing, close: () => [] };
}

/** Suspend and resume are the target's to say (MS-RDPBCGR §2.2.6.1.1). */
function control(from: Side, chunk: Chunk): Passed | Violation {
  if (chunk.control === undefined || from === 'client')
    return { violation: 'a client may not suspend virtual channels' };
  return onward(from, encodeControl(chunk.control));
}

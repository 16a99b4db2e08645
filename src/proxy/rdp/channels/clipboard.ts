/**
 * The clipboard channel under policy (MS-RDPECLIP): text and files, up and down, each apart. Both ways share one
 * conversation, so a message belongs to one way by its type and by who sent it. Messages are written anew from what was
 * understood; what is not understood does not pass. The client's temporary folder is never told to the target: only the
 * oldest way of copying files needs it.
 */
import {
  answerOf,
  clipFlags,
  type ClipMessage,
  decodeClip,
  encodeClip,
  isViolation,
  type Violation,
} from '../../../protocol/rdp/channels/channels.ts';
import type { RdpPolicy } from '../policy.ts';
import { type ClipStep, ClipboardWay } from './clipboard-way.ts';
import { type ChannelLimits, type MessageFilter, type Passed, type Side } from './filter.ts';

export function clipboard(policy: RdpPolicy, limits: ChannelLimits): MessageFilter {
  const up = new ClipboardWay('up', policy.clipboard.up, limits);
  const down = new ClipboardWay('down', policy.clipboard.down, limits);
  const anyFiles = policy.clipboard.up.files || policy.clipboard.down.files;
  const mask = anyFiles ? Object.values(clipFlags).reduce((all, flag) => all | flag, 0) : clipFlags.longNames;
  const announced: Record<Side, number> = { client: 0, target: 0 };

  const longNames = (): boolean => (announced.client & announced.target & clipFlags.longNames) !== 0;

  const step = (from: Side, message: ClipMessage): ClipStep | Violation => {
    // content of the sender, and content that the sender reads
    const own = from === 'client' ? up : down;
    const read = from === 'client' ? down : up;
    switch (message.type) {
      case 'caps': {
        const flags = message.flags & mask;
        announced[from] = flags;
        return pass({ type: 'caps', version: message.version >= 2 ? 2 : 1, flags });
      }
      case 'monitor-ready':
        return from === 'target' ? pass(message) : { violation: 'a client says that the clipboard is ready' };
      case 'temp-directory':
        return from === 'client' ? drop() : { violation: 'a target names a temporary folder' };
      case 'format-list':
        return own.offer(message, longNames());
      case 'format-list-response':
        return pass(message);
      case 'data-request':
        return read.request(message.format);
      case 'data-response':
        return own.response(message);
      case 'file-contents-request':
        return read.fileRequest(message);
      case 'file-contents-response':
        return own.fileResponse(message);
      case 'lock':
      case 'unlock':
        return read.lock(message);
      case 'unknown':
        return drop();
      default:
        return message satisfies never;
    }
  };

  const finish = (from: Side, done: ClipStep | Violation): Passed | Violation => {
    if (isViolation(done)) return done;
    const write = (messages: readonly ClipMessage[]): Uint8Array[] =>
      messages.flatMap((message) => (message.type === 'unknown' ? [] : [encodeClip(message, longNames())]));
    const [onward, back] = [write(done.onward), write(done.back)];
    return from === 'client'
      ? { toTarget: onward, toClient: back, events: done.events }
      : { toTarget: back, toClient: onward, events: done.events };
  };

  return {
    message(from, bytes) {
      const message = decodeClip(bytes, longNames());
      return isViolation(message) ? message : finish(from, step(from, message));
    },
    oversized(from, start) {
      const answer = answerOf(start);
      if (answer === undefined) return { violation: 'a clipboard message is too long' };
      return finish(from, step(from, answer));
    },
    close: () => [...up.close(), ...down.close()],
  };
}

function pass(message: ClipMessage): ClipStep {
  return { onward: [message], back: [], events: [] };
}

function drop(): ClipStep {
  return { onward: [], back: [], events: [] };
}

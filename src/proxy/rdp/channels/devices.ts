/**
 * The device channel under policy (MS-RDPEFS §1.3.1): the client announces drives, printers, ports and smart cards, and
 * the target works with them. A device of a kind that the grant does not name is taken out of the announcement, and the
 * client is told that it was refused; the target never hears of it. What is not understood does not pass.
 */
import { type RdpPolicy, mayAnnounce } from '../policy.ts';
import {
  decodeDevice,
  type Device,
  type DeviceCapability,
  type DeviceMessage,
  encodeAnnounce,
  encodeCapabilities,
  encodeRemove,
  encodeReply,
  isViolation,
  ntStatus,
  sentBy,
  type Violation,
} from '../../../protocol/rdp/channels/channels.ts';
import { DeviceIo, type KnownDevice } from './device-io.ts';
import {
  back,
  type ChannelEvent,
  type ChannelLimits,
  type MessageFilter,
  nothing,
  onward,
  type Passed,
} from './filter.ts';

/** As many devices as anybody has. */
const mostDevices = 256;

export function devices(policy: RdpPolicy, limits: ChannelLimits): MessageFilter {
  const known = new Map<number, KnownDevice>();
  const io = new DeviceIo(policy, limits);

  const announce = (list: readonly Device[]): Passed => {
    const allowed: Device[] = [];
    const toClient: Uint8Array[] = [];
    const events: ChannelEvent[] = [];
    for (const device of list) {
      const name = titleOf(device);
      const passes = mayAnnounce(policy, device.type) && (known.has(device.id) || known.size < mostDevices);
      events.push({ type: passes ? 'device.announced' : 'device.refused', device: name, kind: device.type });
      if (passes) {
        io.forget(device.id, events);
        known.set(device.id, { type: device.type, name });
        allowed.push(device);
      } else toClient.push(encodeReply(device.id, ntStatus.accessDenied));
    }
    const toTarget = allowed.length > 0 || list.length === 0 ? [encodeAnnounce(allowed)] : [];
    return { toTarget, toClient, events };
  };

  const remove = (ids: readonly number[]): Passed => {
    const gone = ids.filter((id) => known.has(id));
    const events: ChannelEvent[] = [];
    for (const id of gone) {
      const device = known.get(id);
      io.forget(id, events);
      if (known.delete(id) && device !== undefined)
        events.push({ type: 'device.removed', device: device.name, kind: device.type });
    }
    return { toTarget: gone.length > 0 ? [encodeRemove(gone)] : [], toClient: [], events };
  };

  const step = (message: DeviceMessage, bytes: Uint8Array, from: 'client' | 'target'): Passed | Violation => {
    const events: ChannelEvent[] = [];
    switch (message.type) {
      case 'server-announce':
        // the target begins anew: it has forgotten all devices
        io.forget(undefined, events);
        known.clear();
        return onward(from, bytes.slice(), events);
      case 'client-id':
      case 'client-name':
      case 'logged-on':
        return onward(from, bytes.slice());
      case 'capabilities':
        if (message.from !== from) return { violation: 'device capabilities of the other side' };
        return onward(
          from,
          encodeCapabilities(
            from,
            message.sets.filter((set) => mayCan(policy, set)),
          ),
        );
      case 'announce':
        return announce(message.devices);
      case 'remove':
        return remove(message.devices);
      case 'reply':
        return known.has(message.device) ? onward(from, bytes.slice()) : nothing;
      case 'request': {
        const judged = io.request(message, known.get(message.device), events);
        if (isViolation(judged)) return judged;
        return judged.passes ? onward(from, bytes.slice(), events) : back(from, judged.answer, events);
      }
      case 'completion': {
        const passes = io.completion(message, events);
        if (isViolation(passes)) return passes;
        if (passes === false) return { ...nothing, events };
        return onward(from, passes === true ? bytes.slice() : passes, events);
      }
      case 'printer-cache':
        return policy.printers ? onward(from, bytes.slice()) : nothing;
      case 'printer-xps':
        return known.get(message.device)?.type === 'printer' ? onward(from, bytes.slice()) : nothing;
      case 'unknown':
        return nothing;
      default:
        return message satisfies never;
    }
  };

  return {
    message(from, bytes) {
      const message = decodeDevice(bytes);
      if (isViolation(message)) return message;
      const sender = sentBy(message.type);
      if (sender !== 'both' && sender !== from)
        return { violation: `a device message of the wrong side: ${message.type}` };
      return step(message, bytes, from);
    },
    oversized: () => ({ violation: 'a device message is too long' }),
    close() {
      const events: ChannelEvent[] = [];
      io.forget(undefined, events);
      return events;
    },
  };
}

/** Whether a side may say that it can work with a kind of device; general capabilities are everybody's. */
function mayCan(policy: RdpPolicy, set: DeviceCapability): boolean {
  switch (set.type) {
    case 1:
      return true;
    case 2:
      return policy.printers;
    case 3:
      return policy.ports;
    case 4:
      return policy.drives !== 'none';
    case 5:
      return policy.smartcards;
    default:
      return false;
  }
}

/** What to call a device: a drive may carry its whole name as data, in letters of one byte or two. */
function titleOf(device: Device): string {
  if (device.type !== 'drive' || device.data.length < 2) return device.name;
  const encoding = device.data[1] === 0 ? 'utf-16le' : 'utf-8';
  const name = new TextDecoder(encoding).decode(device.data.subarray(0, 512)).replace(/\0.*$/s, '');
  return name === '' ? device.name : name;
}

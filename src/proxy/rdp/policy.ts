/**
 * What may cross an RDP session besides picture and input. The grant names sub-protocols; what none of them names is
 * refused, with one exception: the client may resize the desktop. Which words there are is access's to say
 * (`access/plan/subprotocols.ts`); here is what they open. Whole channels are decided here, by name; what may
 * pass inside a channel is decided by its filter in `channels/`.
 */
import { type DeviceType, dynamicNames, sameName, staticNames } from '../../protocol/rdp/channels/channels.ts';

/** The way of content: up from the client to the target, down from the target to the client. */
export type Way = 'up' | 'down';

export interface RdpPolicy {
  /** Text and pictures, and files, of the clipboard, each way apart. */
  readonly clipboard: Readonly<Record<Way, { readonly text: boolean; readonly files: boolean }>>;
  /** `read`: the target may read files of the client's drives and change nothing on them. */
  readonly drives: 'none' | 'read' | 'write';
  readonly printers: boolean;
  readonly ports: boolean;
  readonly smartcards: boolean;
  readonly usb: boolean;
  readonly audioOut: boolean;
  readonly audioIn: boolean;
  readonly camera: boolean;
  readonly displayControl: boolean;
  /** Exact names of further channels. */
  readonly static: ReadonlySet<string>;
  readonly dynamic: ReadonlySet<string>;
}

/**
 * The policy of a grant. Names of other protocols (`shell`) are ignored: one grant may be for both.
 * `display-control` is always allowed, and is a name so that a grant can say so.
 */
export function rdpPolicy(subprotocols: readonly string[]): RdpPolicy {
  const has = (name: string): boolean => subprotocols.includes(name);
  const named = (prefix: string): ReadonlySet<string> =>
    new Set(subprotocols.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)));
  return {
    clipboard: {
      up: { text: has('clipboard-up'), files: has('clipboard-files-up') },
      down: { text: has('clipboard-down'), files: has('clipboard-files-down') },
    },
    drives: has('drives') ? 'write' : has('drives-read') ? 'read' : 'none',
    printers: has('printers'),
    ports: has('ports'),
    smartcards: has('smartcards'),
    usb: has('usb'),
    audioOut: has('audio-out'),
    audioIn: has('audio-in'),
    camera: has('camera'),
    displayControl: true,
    static: named('static:'),
    dynamic: named('dynamic:'),
  };
}

/** Whether any content of the clipboard may cross. */
export function anyClipboard(policy: RdpPolicy): boolean {
  const { up, down } = policy.clipboard;
  return up.text || up.files || down.text || down.files;
}

/** Whether a device of this type may be announced to the target. What nobody knows may not. */
export function mayAnnounce(policy: RdpPolicy, type: DeviceType): boolean {
  switch (type) {
    case 'drive':
      return policy.drives !== 'none';
    case 'printer':
      return policy.printers;
    case 'serial':
    case 'parallel':
      return policy.ports;
    case 'smartcard':
      return policy.smartcards;
    default:
      return false;
  }
}

function anyDevice(policy: RdpPolicy): boolean {
  return policy.drives !== 'none' || policy.printers || policy.ports || policy.smartcards;
}

/** Why something passes or not, in words for the audit trail. */
export interface Decision {
  readonly allowed: boolean;
  readonly why: string;
}

const byGrant = (allowed: boolean, what: string): Decision => ({
  allowed,
  why: allowed ? `the grant names ${what}` : `the grant does not name ${what}`,
});

/**
 * One static channel that a client asked for. A denied one stays out of the target's list (CS_NET). A silent one is on
 * that list, and nothing passes on it either way.
 */
export interface StaticDecision extends Decision {
  readonly name: string;
  readonly silent: boolean;
}

/** Decides, in the order asked, which static channels reach the target at all. A name asked for twice passes once. */
export function staticChannels(requested: readonly string[], policy: RdpPolicy): StaticDecision[] {
  const devices = anyDevice(policy) && requested.some((name) => sameName(name, staticNames.devices));
  return requested.map((name, i) => {
    const again = requested.slice(0, i).some((earlier) => sameName(earlier, name));
    const decision = again ? { allowed: false, why: 'it was asked for twice' } : decideStatic(name, policy);
    // Windows uses the device channel only beside the sound channel (MS-RDPEFS appendix A, note 1)
    const silent = !again && !decision.allowed && sameName(name, staticNames.sound) && devices;
    if (silent) return { name, allowed: true, silent, why: 'the device channel needs it; no sound passes' };
    return { name, ...decision, silent };
  });
}

function decideStatic(name: string, policy: RdpPolicy): Decision {
  if (!/^[\x21-\x7e]{1,7}$/.test(name)) return { allowed: false, why: 'it is no name of a channel' };
  if (sameName(name, staticNames.internal)) return { allowed: false, why: 'it is internal to servers' };
  if (sameName(name, staticNames.clipboard)) return byGrant(anyClipboard(policy), 'the clipboard in any way');
  if (sameName(name, staticNames.devices)) return byGrant(anyDevice(policy), 'any kind of device');
  if (sameName(name, staticNames.sound)) return byGrant(policy.audioOut, 'audio-out');
  if (sameName(name, staticNames.dynamic)) return { allowed: true, why: 'what it carries is decided by name' };
  return byGrant(policy.static.has(name), `static:${name}`);
}

/** Pictures that the recording could not show, and logins that the gate could not see: no grant can allow them. */
const never: readonly (readonly [RegExp, string])[] = [
  [/^microsoft::windows::rds::(graphics|video|geometry)/i, 'its picture would be missing from the recording'],
  [/^microsoft::windows::rds::authredirection/i, 'it would pass on a login that is not the vaulted one'],
];

/** Decides whether a target may open a dynamic channel. */
export function dynamicChannel(name: string, policy: RdpPolicy): Decision {
  if (!/^[\x20-\x7e]{1,255}$/.test(name)) return { allowed: false, why: 'it is no name of a channel' };
  const nobody = never.find(([pattern]) => pattern.test(name));
  if (nobody !== undefined) return { allowed: false, why: nobody[1] };
  // through the same filters as the static ones, so that the exact name opens no way around them
  if (sameName(name, staticNames.devices)) return byGrant(anyDevice(policy), 'any kind of device');
  if (sameName(name, staticNames.clipboard)) return byGrant(anyClipboard(policy), 'the clipboard in any way');
  if (policy.dynamic.has(name)) return byGrant(true, `dynamic:${name}`);
  if (name === dynamicNames.displayControl) return byGrant(policy.displayControl, 'display-control');
  if (name === dynamicNames.audioIn) return byGrant(policy.audioIn, 'audio-in');
  if (name === dynamicNames.audioOut || name === dynamicNames.audioOutLossy)
    return byGrant(policy.audioOut, 'audio-out');
  if (name === dynamicNames.usb) return byGrant(policy.usb, 'usb');
  if (name === dynamicNames.cameras || /^RDCamera_Device_[0-9]{1,4}$/.test(name))
    return byGrant(policy.camera, 'camera');
  if (name === dynamicNames.input)
    return { allowed: false, why: 'touch and pen would not be recorded as keys and mouse are' };
  return byGrant(false, `dynamic:${name}`);
}

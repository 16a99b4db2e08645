/**
 * What a session over RDP leaves behind: in the recording everything that was shown and, as far as the grant says so,
 * typed; in the audit trail what crossed beside the picture. Contents of the clipboard are in the recording only.
 */
import { updateCode } from '../../protocol/rdp/bitmap/bitmap.ts';
import type { InputEvent } from '../../protocol/rdp/rdp.ts';
import { sessionChannel } from '../../recording/format/format.ts';
import type { Recorder } from '../../recording/recorder.ts';
import type { Session } from '../open-session.ts';
import type { Place } from '../place.ts';
import { type KeeperEvent, openTelling, type Telling } from '../telling.ts';
import type { ChannelEvent } from './channels/filter.ts';
import type { PictureSink } from './pictures.ts';

export interface Taps extends PictureSink, Omit<Telling, 'tell'> {
  input(events: readonly InputEvent[]): void;
  channel(name: string, events: readonly ChannelEvent[]): void;
  /** A static channel that the client asked for. */
  decided(name: string, allowed: boolean, why: string): void;
  /** Milliseconds since 1970 of the last input. */
  readonly lastInput: number;
}

export function openTaps(session: Session, recorder: Recorder, place: Place): Taps {
  const { clock } = place;
  const keys = session.authorization.rdp?.keys ?? 'masked';
  const telling = openTelling(session, place);
  const { tell } = telling;
  let lastInput = clock.now();

  return {
    desktop: ({ width, height, depth }) =>
      recorder.record({ kind: 'desktop', width, height, depth }, sessionChannel, clock.now()),
    update: ({ code, payload }) => {
      if (code === updateCode.synchronize || code === updateCode.orders) return;
      const kind = code === updateCode.bitmap || code === updateCode.palette ? 'picture' : 'pointer';
      recorder.record({ kind, code, payload }, sessionChannel, clock.now());
    },
    input: (events) => {
      const now = clock.now();
      for (const event of events) {
        if (event.kind !== 'synchronize') lastInput = now;
        recordInput(recorder, event, keys, now);
      }
    },
    channel: (name, events) => {
      for (const event of events) {
        recordChannel(recorder, event, clock.now());
        const told = auditOf(name, event);
        if (told !== undefined) tell(told);
      }
    },
    decided: (name, allowed, why) => {
      const detail = { kind: 'channel-decision', transport: 'static', name, allowed, reason: why } as const;
      recorder.record(detail, sessionChannel, clock.now());
      tell(
        allowed
          ? { type: 'channel.opened', channel: 0, what: `static:${name}` }
          : { type: 'channel.refused', channel: 0, what: `static:${name}`, reason: why },
      );
    },
    get lastInput() {
      return lastInput;
    },
    get congested() {
      return telling.congested;
    },
    onDrain: (listener) => telling.onDrain(listener),
    settled: () => telling.settled(),
  };
}

/** Which keys are masked is decided in the recorder, before anything is written; here only whether any are given to it. */
function recordInput(recorder: Recorder, event: InputEvent, keys: 'all' | 'masked' | 'none', now: number): void {
  switch (event.kind) {
    case 'key': {
      if (keys === 'none') return;
      const { scancode: code, down } = event;
      const extended = event.extended ? 1 : 0;
      recorder.record({ kind: 'rdp-key', input: 'scancode', code, down, extended }, sessionChannel, now);
      return;
    }
    case 'unicode': {
      if (keys === 'none') return;
      const { code, down } = event;
      recorder.record({ kind: 'rdp-key', input: 'unicode', code, down, extended: 0 }, sessionChannel, now);
      return;
    }
    case 'mouse':
      recorder.record(
        { kind: 'mouse', extended: event.extended, flags: event.flags, x: event.x, y: event.y },
        sessionChannel,
        now,
      );
      return;
    default:
  }
}

function recordChannel(recorder: Recorder, event: ChannelEvent, now: number): void {
  switch (event.type) {
    case 'clipboard.text':
      recorder.record(
        {
          kind: 'clipboard',
          direction: event.way,
          content: 'text',
          items: [event.text],
          size: event.bytes,
          allowed: true,
        },
        sessionChannel,
        now,
      );
      return;
    case 'clipboard.data':
      recorder.record(
        {
          kind: 'clipboard',
          direction: event.way,
          content: 'other',
          items: [event.format],
          size: event.bytes,
          allowed: true,
        },
        sessionChannel,
        now,
      );
      return;
    case 'clipboard.files': {
      const size = event.files.reduce((sum, file) => sum + Number(file.size ?? 0n), 0);
      const items = event.files.map((file) => file.name);
      recorder.record(
        { kind: 'clipboard', direction: event.way, content: 'files', items, size, allowed: true },
        sessionChannel,
        now,
      );
      return;
    }
    case 'clipboard.refused':
      recorder.record(
        { kind: 'clipboard', direction: event.way, content: 'other', items: [event.what], size: 0, allowed: false },
        sessionChannel,
        now,
      );
      return;
    case 'file.transferred':
      recorder.record(
        {
          kind: 'file',
          action: 'transfer',
          direction: event.way,
          path: pathOf(event.device, event.name),
          to: '',
          size: Number(event.bytes),
          sha256: event.sha256 ?? '',
          remark: event.partial ? `only a part, by ${event.via}` : event.via,
        },
        sessionChannel,
        now,
      );
      return;
    case 'channel.opened':
    case 'channel.refused':
      recorder.record(
        {
          kind: 'channel-decision',
          transport: 'dynamic',
          name: event.name,
          allowed: event.type === 'channel.opened',
          reason: event.why,
        },
        sessionChannel,
        now,
      );
      return;
    default:
  }
}

/** What the audit trail is told of it. */
function auditOf(channel: string, event: ChannelEvent): KeeperEvent | undefined {
  switch (event.type) {
    case 'channel.opened':
      return { type: 'channel.opened', channel: 0, what: `dynamic:${event.name}`.slice(0, 1000) };
    case 'channel.refused':
      return { type: 'channel.refused', channel: 0, what: `dynamic:${event.name}`.slice(0, 1000), reason: event.why };
    case 'clipboard.text':
      return {
        type: 'clipboard.text',
        direction: directionOf(event.way),
        length: event.text.length,
        sha256: event.sha256,
      };
    case 'clipboard.data':
      return {
        type: 'clipboard.data',
        direction: directionOf(event.way),
        format: event.format.slice(0, 1000),
        bytes: event.bytes,
        sha256: event.sha256,
      };
    case 'clipboard.files': {
      const names = event.files.slice(0, 1000).map((file) => file.name.slice(0, 1000));
      return { type: 'clipboard.files', direction: directionOf(event.way), names };
    }
    case 'clipboard.refused':
      return {
        type: 'channel.refused',
        channel: 0,
        what: `clipboard ${event.way}: ${event.what}`.slice(0, 1000),
        reason: event.why.slice(0, 1000),
      };
    case 'file.transferred':
      return {
        type: 'file.transferred',
        channel: 0,
        direction: directionOf(event.way),
        path: pathOf(event.device, event.name).slice(0, 1000),
        size: Number(event.bytes),
        ...(event.sha256 === undefined ? {} : { sha256: event.sha256 }),
        complete: !event.partial,
      };
    case 'file.changed': {
      const what = event.change === 'resized' ? 'written' : event.change;
      const to = event.to === undefined ? {} : { to: event.to.slice(0, 1000) };
      return { type: 'file.changed', what, path: pathOf(event.device, event.name).slice(0, 1000), ...to };
    }
    case 'file.refused':
      return {
        type: 'channel.refused',
        channel: 0,
        what: `${channel}: ${pathOf(event.device, event.name)}`.slice(0, 1000),
        reason: event.why,
      };
    case 'device.announced':
    case 'device.refused':
      return { type: event.type, kind: event.kind.slice(0, 1000), name: event.device.slice(0, 1000) };
    default:
      return undefined;
  }
}

function directionOf(way: 'up' | 'down'): 'upload' | 'download' {
  return way === 'up' ? 'upload' : 'download';
}

function pathOf(device: string, name: string): string {
  return device === '' ? name : `${device}:${name}`;
}

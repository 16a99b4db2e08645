/** Bodies of the events of a desktop (FORMAT.md §5, kinds 80 to bf), both ways. What stands around a body is in codec.ts. */
import { utf8 } from '../../base/bytes.ts';
import type { ClipboardEvent, DesktopDetail, DesktopKind, UpdateEvent } from './desktop-events.ts';
import { type FieldReader, type FieldWriter, writeFields } from './fields.ts';
import { maxBody, maxClipboard, maxClipboardItems, maxText } from './limits.ts';

export const desktopCode = {
  desktop: 0x80,
  picture: 0x81,
  pointer: 0x82,
  keyboard: 0x83,
  'rdp-key': 0x88,
  'keys-masked': 0x89,
  mouse: 0x8a,
  // 0x90 stays unknown for ever: the oldest golden file has it as a kind that nobody knows
  clipboard: 0x91,
  'channel-decision': 0x98,
} as const satisfies Record<DesktopKind, number>;

/** Bytes of a payload that fit into one event, beside its code and its flags. */
export const maxPayload: number = maxBody - 2;

const contents = ['text', 'files', 'other'] as const satisfies ClipboardEvent['content'][];
const continued = 1;

/** The bit or byte of a yes. */
const bit = (value: boolean): number => (value ? 1 : 0);

/** Appends one update of at most `maxPayload` bytes of payload, copying it once. */
export function writeUpdate(out: FieldWriter, delta: number, channel: number, event: UpdateEvent): void {
  const { kind, code, payload, more = false } = event;
  out.u8(desktopCode[kind]).count(delta).count(channel);
  out
    .count(payload.length + 2)
    .u8(code)
    .u8(more ? continued : 0)
    .raw(payload);
}

/** The body of one event of a desktop. */
export function desktopBody(detail: DesktopDetail): Uint8Array {
  const body = writeFields();
  switch (detail.kind) {
    case 'desktop':
      return body.count(detail.width).count(detail.height).count(detail.depth).view();
    case 'picture':
    case 'pointer':
      return body
        .u8(detail.code)
        .u8(detail.more === true ? continued : 0)
        .raw(detail.payload)
        .view();
    case 'rdp-key':
      body.u8(bit(detail.input === 'unicode'));
      return body
        .u8(bit(!detail.down) | (detail.extended << 1))
        .count(detail.code)
        .view();
    case 'keyboard':
      return body.count(detail.layout).view();
    case 'keys-masked':
      return body.count(detail.count).view();
    case 'mouse':
      return body.u8(bit(detail.extended)).u16(detail.flags).count(detail.x).count(detail.y).view();
    case 'clipboard':
      body
        .u8(bit(detail.direction === 'down'))
        .u8(contents.indexOf(detail.content))
        .u8(bit(detail.allowed));
      return writeItems(body.count(detail.size), detail.items).view();
    case 'channel-decision':
      body.u8(bit(detail.transport === 'dynamic')).u8(bit(detail.allowed));
      return body.text(detail.name, 1024).text(detail.reason, 1024).view();
    default:
      return detail satisfies never;
  }
}

/** As many items as there is room for; the last one that fits only in part is cut. */
function writeItems(body: FieldWriter, items: readonly string[]): FieldWriter {
  let room = maxClipboard;
  for (const item of items.slice(0, maxClipboardItems)) {
    if (room <= 0) break;
    body.text(item, Math.min(room, maxText));
    room -= utf8(item).length;
  }
  return body;
}

/** What a body of this kind says, or undefined if the kind is none of a desktop's. What is wrong with it is in `fields`. */
export function readDesktop(kind: number, fields: FieldReader): DesktopDetail | undefined {
  switch (kind) {
    case desktopCode.desktop:
      return { kind: 'desktop', width: fields.count(), height: fields.count(), depth: fields.count() };
    case desktopCode.picture:
      return update('picture', fields);
    case desktopCode.pointer:
      return update('pointer', fields);
    case desktopCode['rdp-key']: {
      const input = flag(fields) ? 'unicode' : 'scancode';
      const flags = fields.u8();
      if (flags > 5) fields.fail('unknown flags of a key');
      const extended = flags >> 1 === 0 ? 0 : flags >> 1 === 1 ? 1 : 2;
      return { kind: 'rdp-key', input, code: fields.count(), down: (flags & 1) === 0, extended };
    }
    case desktopCode.keyboard:
      return { kind: 'keyboard', layout: fields.count() };
    case desktopCode['keys-masked']:
      return { kind: 'keys-masked', count: fields.count() };
    case desktopCode.mouse: {
      const extended = flag(fields);
      return { kind: 'mouse', extended, flags: fields.u16(), x: fields.count(), y: fields.count() };
    }
    case desktopCode.clipboard:
      return clipboard(fields);
    case desktopCode['channel-decision']: {
      const transport = flag(fields) ? 'dynamic' : 'static';
      const allowed = flag(fields);
      return {
        kind: 'channel-decision',
        transport,
        allowed,
        name: fields.text(1024),
        reason: fields.text(1024),
      };
    }
    default:
      return undefined;
  }
}

function update(kind: UpdateEvent['kind'], fields: FieldReader): UpdateEvent {
  const code = fields.u8();
  const more = flag(fields);
  return { kind, code, payload: fields.take(fields.remaining), ...(more && { more }) };
}

function clipboard(fields: FieldReader): ClipboardEvent {
  const direction = flag(fields) ? 'down' : 'up';
  const content = contents[fields.u8()];
  if (content === undefined) fields.fail('unknown content of the clipboard');
  const allowed = flag(fields);
  const size = fields.count();
  const items: string[] = [];
  while (fields.remaining > 0) {
    if (items.length === maxClipboardItems) fields.fail('too many items');
    items.push(fields.text(maxText));
  }
  return { kind: 'clipboard', direction, content: content ?? 'other', items, size, allowed };
}

function flag(fields: FieldReader): boolean {
  const value = fields.u8();
  if (value > 1) fields.fail('neither yes nor no');
  return value === 1;
}

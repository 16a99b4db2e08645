/**
 * Telling a client in words: RDP has numbers for why it ends and each client its own text for them, so the gate activates a
 * desktop of its own (MS-RDPBCGR §1.3.1.1) and writes on it. It stands until a key or a button is pressed, the client
 * leaves or the time is over; then the number follows as ever.
 */
import { deadline } from '../../../base/signals.ts';
import { isViolation } from '../../wire/violation.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Accepted } from '../acceptor.ts';
import { RdpError } from '../errors.ts';
import type { RdpStream } from '../stream.ts';
import { type Capability, capability, encodeActive } from '../wire/capabilities.ts';
import { decodeFastPathInput, decodeSlowInput, type InputEvent } from '../wire/input.ts';
import { decodeMcs, sendDataIndication, serverUser } from '../wire/mcs.ts';
import { validClient } from '../wire/refusal.ts';
import { decodeShareData, shareData, shareDataType, sharePdu, walkShare } from '../wire/share.ts';
import { noticePicture } from './picture.ts';

export const noticeShareId = 0x000103ea;
const activationMs = 10_000;
/** Messages of one client on its way to a picture; more is no client's. */
const mostMessages = 200;

/** Shows it. Resolves when it has been read, or cannot be shown; never throws but for the signal. */
export async function showNotice(
  stream: RdpStream,
  { io, user, core }: Pick<Accepted<unknown>, 'io' | 'user' | 'core'>,
  paragraphs: readonly string[],
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const width = Math.max(200, Math.min(core.width, 4096));
  const height = Math.max(200, Math.min(core.height, 4096));
  const say = (share: Uint8Array): void => stream.write(sendDataIndication(io, share));
  say(validClient());
  say(demandActive(width, height));
  try {
    await activated(stream, io, user, say, signal);
    for (const body of noticePicture(paragraphs, width, height))
      say(shareData(noticeShareId, shareDataType.update, body));
    using read = deadline(signal, ms, () => new RdpError('rdp.too-slow'));
    for (let left = mostMessages * 10; left > 0; left--) {
      const events = inputOf(await stream.frame(read.signal), io);
      if (events === 'over' || events.some(isPressed)) return;
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    // a client that breaks the rules, leaves or reads slowly has been told enough
    if (!(error instanceof RdpError)) throw error;
  }
}

function isPressed(event: InputEvent): boolean {
  const anyButton = 0x7000;
  return (
    ((event.kind === 'key' || event.kind === 'unicode') && event.down) ||
    (event.kind === 'mouse' && (event.flags & 0x8000) !== 0 && (event.flags & anyButton) !== 0)
  );
}

/** Answers what a client says between Confirm Active and its Font List (§1.3.1.1, "connection finalization"). */
async function activated(
  stream: RdpStream,
  io: number,
  user: number,
  say: (share: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  using late = deadline(signal, activationMs, () => new RdpError('rdp.too-slow'));
  for (let left = mostMessages; left > 0; left--) {
    const message = await stream.frame(late.signal);
    if (message[0] !== 3) continue;
    const pdu = decodeMcs(message);
    if (isViolation(pdu)) throw new RdpError('rdp.protocol', pdu.violation);
    if (pdu.kind === 'disconnect') throw new RdpError('rdp.closed');
    if (pdu.kind !== 'data' || pdu.channel !== io) continue;
    const shares = walkShare(pdu.data);
    // a license request that crossed ours
    if (isViolation(shares)) continue;
    for (const share of shares) {
      if (share.type !== sharePdu.data) continue;
      const data = decodeShareData(share.bytes);
      if (isViolation(data)) throw new RdpError('rdp.protocol', data.violation);
      const answer = finalization(data.type, data.body, user);
      if (answer !== undefined) say(answer);
      if (data.type === shareDataType.fontList) return;
    }
  }
  throw new RdpError('rdp.protocol', 'no end of the activation');
}

const control = { request: 1, granted: 2, cooperate: 4 } as const;

function finalization(type: number, body: Uint8Array, user: number): Uint8Array | undefined {
  const answer = (writer: LittleWriter): Uint8Array => shareData(noticeShareId, type, writer.finish());
  switch (type) {
    case shareDataType.synchronize:
      return answer(new LittleWriter(4).u16(1).u16(user));
    case shareDataType.control:
      return (body[0] ?? 0) === control.request
        ? answer(new LittleWriter(8).u16(control.granted).u16(user).u32(serverUser))
        : answer(new LittleWriter(8).u16(control.cooperate).u16(0).u32(0));
    case shareDataType.fontList:
      return shareData(noticeShareId, shareDataType.fontMap, new LittleWriter(8).u16(0).u16(0).u16(3).u16(4).finish());
    default:
      return undefined;
  }
}

/** What was typed or pointed at, or that the client has had enough. */
function inputOf(message: Uint8Array, io: number): readonly InputEvent[] | 'over' {
  if (message[0] !== 3) {
    const events = decodeFastPathInput(message);
    return isViolation(events) ? [] : events;
  }
  const pdu = decodeMcs(message);
  if (isViolation(pdu) || pdu.kind === 'disconnect') return 'over';
  if (pdu.kind !== 'data' || pdu.channel !== io) return [];
  const shares = walkShare(pdu.data);
  if (isViolation(shares)) return [];
  const typed: InputEvent[] = [];
  for (const share of shares) {
    const data = share.type === sharePdu.data ? decodeShareData(share.bytes) : undefined;
    if (data === undefined || isViolation(data)) continue;
    if (data.type === shareDataType.shutdownRequest) return 'over';
    if (data.type !== shareDataType.input) continue;
    const events = decodeSlowInput(data.body);
    if (!isViolation(events)) typed.push(...events);
  }
  return typed;
}

function demandActive(width: number, height: number): Uint8Array {
  const words = (...values: readonly number[]): Uint8Array => {
    const writer = new LittleWriter(2 * values.length);
    for (const value of values) writer.u16(value);
    return writer.finish();
  };
  const capabilities: Capability[] = [
    { type: 9, data: words(serverUser, 0) },
    // Windows, fast-path output, long credentials, bitmaps without a header of compression
    { type: capability.general, data: words(1, 3, 0x0200, 0, 0, 0x0405, 0, 0, 0, 0) },
    { type: capability.bitmap, data: words(16, 1, 1, 1, width, height, 0, 1, 1, 0, 1, 0) },
    {
      type: capability.order,
      data: new LittleWriter(84).zeros(20).u16(1).u16(20).u16(0).u16(1).u16(0).u16(0x0a).zeros(52).finish(),
    },
    { type: capability.pointer, data: words(1, 20, 20) },
    // scancodes, Unicode, both forms of fast-path input
    { type: capability.input, data: new LittleWriter(84).u16(0x39).zeros(82).finish() },
    { type: capability.virtualChannel, data: new LittleWriter(8).u32(0).u32(1600).finish() },
  ];
  return encodeActive({
    kind: 'demand',
    source: serverUser,
    shareId: noticeShareId,
    originator: 0,
    descriptor: Uint8Array.of(0x52, 0x44, 0x50, 0),
    capabilities,
    sessionId: 0,
  });
}

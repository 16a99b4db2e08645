import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, hex } from '../../../../src/base/bytes.ts';
import { encodeClip } from '../../../../src/protocol/rdp/channels/wire/cliprdr.ts';
import { encodeChunks } from '../../../../src/protocol/rdp/channels/wire/static-channel.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { type Channel, channelLimits, nothing, type Passed } from '../../../../src/proxy/rdp/channels/filter.ts';
import { openChannel } from '../../../../src/proxy/rdp/channels/open-channel.ts';
import { rdpPolicy, staticChannels } from '../../../../src/proxy/rdp/policy.ts';
import { bytes, wide } from '../../../protocol/rdp/channels/bytes.ts';
import { passed } from './messages.ts';

function open(name: string, ...subprotocols: string[]): Channel {
  const policy = rdpPolicy(subprotocols);
  const [decision] = staticChannels([name, 'rdpdr'], policy);
  if (decision === undefined) throw new Error('no decision');
  return openChannel(decision, policy);
}

const monitorReady = encodeClip({ type: 'monitor-ready' }, false);

test('a denied channel swallows what the client sends, and the target may not speak on it', () => {
  const channel = open('cliprdr');
  expect(channel.fromClient(bytes('ff'))).toEqual(nothing);
  expect(channel.fromTarget(encodeChunks(monitorReady, false)[0] ?? bytes(''))).toHaveProperty('violation');
});

test('a silent channel lets nothing through either way', () => {
  const channel = open('rdpsnd', 'drives');
  const formats = encodeChunks(bytes('07 00 04 00 00 00 00 00'), false)[0] ?? bytes('');
  expect(channel.fromTarget(formats)).toEqual(nothing);
  expect(channel.fromClient(formats)).toEqual(nothing);
});

test('sound passes chunk by chunk, as it came', () => {
  const channel = open('rdpsnd', 'audio-out');
  for (const pdu of encodeChunks(new Uint8Array(4000).fill(7), false))
    expect(passed(channel.fromTarget(pdu)).toClient.map(hex)).toEqual([hex(pdu)]);
  expect(channel.fromTarget(bytes('01 00 00 00 03 00 20 00 aa'))).toHaveProperty('violation');
});

test('a long message of the clipboard passes when its last chunk came, cut anew', () => {
  const channel = open('cliprdr', 'clipboard-up');
  const send = (from: 'fromClient' | 'fromTarget', message: Uint8Array): Passed[] =>
    encodeChunks(message, true).map((pdu) => passed(channel[from](pdu)));
  send('fromClient', encodeClip({ type: 'format-list', ascii: false, formats: [{ id: 13, name: '' }] }, false));
  send('fromTarget', encodeClip({ type: 'data-request', format: 13 }, false));
  const response = encodeClip({ type: 'data-response', ok: true, data: wide('x'.repeat(3000)) }, false);
  const steps = send('fromClient', response);
  expect(steps.map((step) => step.toTarget.length)).toEqual([0, 0, 0, 4]);
  expect(steps.at(-1)?.toTarget.map(hex)).toEqual(encodeChunks(response, true).map(hex));
  expect(steps.at(-1)?.events).toMatchObject([{ type: 'clipboard.text', bytes: 6000 }]);
});

test('an answer that is too long becomes a failed one', () => {
  const policy = rdpPolicy(['clipboard-up']);
  const [decision] = staticChannels(['cliprdr'], policy);
  if (decision === undefined) throw new Error('no decision');
  const channel = openChannel(decision, policy, { ...channelLimits, messageBytes: 1000 });
  const [request] = encodeChunks(encodeClip({ type: 'data-request', format: 13 }, false), false);
  passed(channel.fromTarget(request ?? bytes('')));
  const long = encodeClip({ type: 'data-response', ok: true, data: new Uint8Array(50_000) }, false);
  const out = encodeChunks(long, false).flatMap((pdu) => passed(channel.fromClient(pdu)).toTarget.map(hex));
  expect(out).toEqual(['08000000' + '03000000' + '0500020000000000']);
});

test('the target may suspend the channels, the client may not', () => {
  const channel = open('cliprdr', 'clipboard-up');
  const suspend = bytes('00 00 00 00 20 00 00 00');
  expect(passed(channel.fromTarget(suspend)).toClient.map(hex)).toEqual([hex(suspend)]);
  expect(channel.fromClient(suspend)).toHaveProperty('violation');
});

test('what passes is never a view of what came', () => {
  for (const [name, grant] of [
    ['rdpsnd', 'audio-out'],
    ['cliprdr', 'clipboard-up'],
    ['rdpdr', 'printers'],
  ] as const) {
    const message = name === 'rdpdr' ? bytes('72 44 6e 49 01 00 0c 00 02 00 00 00') : monitorReady;
    const pdu = Buffer.from(encodeChunks(message, false)[0] ?? bytes(''));
    const [out] = passed(open(name, grant).fromTarget(pdu)).toClient;
    const before = hex(out ?? bytes(''));
    pdu.fill(0xee);
    expect(hex(out ?? bytes(''))).toBe(before);
  }
});

test('a denied name of any channel, with any chunks, never throws', () => {
  const names = fc.constantFrom('cliprdr', 'rdpdr', 'drdynvc', 'rdpsnd', 'rail');
  const grants = fc.subarray([
    'clipboard-up',
    'clipboard-files-down',
    'drives',
    'printers',
    'audio-out',
    'static:rail',
  ]);
  const flags = fc.constantFrom(0, 1, 2, 3, 0x13, 0x20);
  const pdu = fc
    .tuple(fc.nat(60), flags, fc.uint8Array({ maxLength: 60 }))
    .map(([total, flag, data]) => concat([Uint8Array.of(total, 0, 0, 0, flag, 0, 0, 0), data]));
  const sent = fc.array(fc.tuple(fc.boolean(), fc.oneof(pdu, fc.uint8Array({ maxLength: 20 }))), { maxLength: 40 });
  fc.assert(
    fc.property(names, grants, sent, (name, granted, pdus) => {
      const channel = open(name, ...granted);
      for (const [fromClient, input] of pdus)
        if (isViolation(fromClient ? channel.fromClient(input) : channel.fromTarget(input))) break;
      channel.close();
    }),
    { numRuns: 1000 },
  );
});

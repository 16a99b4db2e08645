import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hex } from '../../../../src/base/bytes.ts';
import {
  decodeDynamic,
  type DynamicMessage,
  encodeDynamic,
  encodeDynamicData,
} from '../../../../src/protocol/rdp/channels/wire/drdynvc.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { dynamic } from '../../../../src/proxy/rdp/channels/dynamic.ts';
import { type ChannelEvent, channelLimits, type Side } from '../../../../src/proxy/rdp/channels/filter.ts';
import { rdpPolicy } from '../../../../src/proxy/rdp/policy.ts';
import { bytes, good } from '../../../protocol/rdp/channels/bytes.ts';
import { announce, only, passed } from './messages.ts';

function underGrant(...subprotocols: string[]) {
  const filter = dynamic(rdpPolicy(subprotocols), channelLimits);
  const events: ChannelEvent[] = [];
  const send = (from: Side, message: DynamicMessage): { target: DynamicMessage[]; client: DynamicMessage[] } => {
    const step = passed(filter.message(from, encodeDynamic(message)));
    events.push(...step.events);
    return {
      target: step.toTarget.map((one) => good(decodeDynamic(one, 'client'))),
      client: step.toClient.map((one) => good(decodeDynamic(one, 'target'))),
    };
  };
  const open = (channel: number, name: string): void => {
    send('target', { type: 'create-request', channel, priority: 0, name });
    send('client', { type: 'create-response', channel, status: 0 });
  };
  return { filter, events, send, open };
}

const create = (channel: number, name: string): DynamicMessage => ({
  type: 'create-request',
  channel,
  priority: 0,
  name,
});
const graphics = 'Microsoft::Windows::RDS::Graphics';
const display = 'Microsoft::Windows::RDS::DisplayControl';

test('a version above 2 is not let be agreed', () => {
  const { send } = underGrant();
  const charges = [1, 2, 3, 4];
  expect(send('target', { type: 'caps', version: 3, charges }).client).toEqual([{ type: 'caps', version: 2, charges }]);
  expect(send('client', { type: 'caps', version: 3, charges: [] }).target).toEqual([
    { type: 'caps', version: 2, charges: [] },
  ]);
  expect(send('target', { type: 'caps', version: 1, charges: [] }).client).toMatchObject([{ version: 1 }]);
});

test('a denied channel is refused in the place of the client, with the bytes that mean no', () => {
  const { filter } = underGrant();
  const step = passed(filter.message('target', encodeDynamic(create(3, graphics))));
  expect(step.toClient).toEqual([]);
  expect(step.toTarget.map(hex)).toEqual(['1003' + '010000c0']);
  expect(step.events).toMatchObject([{ type: 'channel.refused', name: graphics }]);
});

test('an allowed channel is asked of the client, and open when the client agrees', () => {
  const { send, events } = underGrant();
  expect(send('target', create(3, display)).client).toEqual([create(3, display)]);
  expect(only(events, 'channel.opened')).toEqual([]);
  expect(send('client', { type: 'create-response', channel: 3, status: 0 }).target).toHaveLength(1);
  expect(only(events, 'channel.opened')).toMatchObject([{ name: display }]);
  const data: DynamicMessage = { type: 'data', channel: 3, data: bytes('0102') };
  expect(send('target', data).client).toEqual([data]);
  expect(send('client', data).target).toEqual([data]);
  expect(send('client', { type: 'close', channel: 3 }).target).toEqual([{ type: 'close', channel: 3 }]);
  expect(only(events, 'channel.closed')).toMatchObject([{ name: display }]);
});

test('data goes nowhere on a channel that was refused, not agreed yet, declined or closed', () => {
  const { send } = underGrant();
  const data = (channel: number): DynamicMessage => ({ type: 'data', channel, data: bytes('aa') });
  const nowhere = { target: [], client: [] };
  send('target', create(1, graphics));
  send('target', create(2, display));
  for (const channel of [1, 2, 99])
    for (const from of ['client', 'target'] as const) expect(send(from, data(channel))).toEqual(nowhere);
  send('client', { type: 'create-response', channel: 2, status: 0x80004005 });
  expect(send('client', data(2))).toEqual(nowhere);
  // a client cannot open what was never asked of it
  expect(send('client', { type: 'create-response', channel: 1, status: 0 })).toEqual(nowhere);
  expect(send('client', data(1))).toEqual(nowhere);
  send('target', create(2, display));
  send('client', { type: 'create-response', channel: 2, status: 0 });
  send('target', { type: 'close', channel: 2 });
  expect(send('client', data(2))).toEqual(nowhere);
});

test('opening an open channel, compressed data and soft sync are violations', () => {
  const { filter, open } = underGrant();
  open(3, display);
  expect(isViolation(filter.message('target', encodeDynamic(create(3, display))))).toBe(true);
  for (const head of ['60', '70', '80', '90'])
    expect(isViolation(filter.message('target', bytes(`${head} 03 00 00 00 00 00 00`))), head).toBe(true);
});

test('devices on a dynamic channel go through the same filter', () => {
  const { send, open, events } = underGrant('printers');
  open(5, 'rdpdr');
  const list = announce([8, 1, 'C'], [4, 2, 'PRN1']);
  const step = send('client', { type: 'data', channel: 5, data: list });
  expect(step.target).toEqual([{ type: 'data', channel: 5, data: announce([4, 2, 'PRN1']) }]);
  expect(step.client).toMatchObject([{ type: 'data', channel: 5 }]);
  expect(only(events, 'device.refused')).toMatchObject([{ device: 'C' }]);
});

test('a message of a filtered channel that comes in parts is read as a whole', () => {
  const { send, filter, open } = underGrant('printers');
  open(5, 'rdpdr');
  const list = announce(...Array.from({ length: 120 }, (_, i): [number, number, string] => [4, i, `PRN${i}`]));
  const parts = encodeDynamicData(5, list);
  expect(parts.length).toBe(2);
  const steps = parts.map((part) => passed(filter.message('client', part)));
  expect(steps.map((step) => step.toTarget.length)).toEqual([0, 2]);
  expect(steps.at(-1)?.toTarget.map(hex)).toEqual(parts.map(hex));
  expect(send('client', { type: 'data', channel: 5, data: announce() }).target).toHaveLength(1);
});

test('too many channels are refused', () => {
  const filter = dynamic(rdpPolicy(['dynamic:ECHO', 'printers']), { ...channelLimits, dynamicChannels: 6 });
  const asked = (channel: number, name: string): number =>
    passed(filter.message('target', encodeDynamic(create(channel, name)))).toClient.length;
  expect([1, 2, 3, 4, 5].map((channel) => asked(channel, 'rdpdr'))).toEqual([1, 1, 1, 1, 0]);
  const rest = dynamic(rdpPolicy(['dynamic:ECHO']), { ...channelLimits, dynamicChannels: 2 });
  const count = [1, 2, 3].map(
    (channel) => passed(rest.message('target', encodeDynamic(create(channel, 'ECHO')))).toClient.length,
  );
  expect(count).toEqual([1, 1, 0]);
});

test('no bytes make the filter throw, and a denied name never reaches the client', () => {
  const names = fc.constantFrom(graphics, display, 'ECHO', 'rdpdr', 'AUDIO_INPUT');
  const message = fc.oneof(
    fc.tuple(fc.constantFrom<Side>('client', 'target'), fc.uint8Array({ maxLength: 40 })),
    fc.tuple(fc.nat(4), names).map(([id, name]): [Side, Uint8Array] => ['target', encodeDynamic(create(id, name))]),
    fc
      .nat(4)
      .map((channel): [Side, Uint8Array] => ['client', encodeDynamic({ type: 'create-response', channel, status: 0 })]),
    fc
      .tuple(fc.constantFrom<Side>('client', 'target'), fc.nat(4), fc.nat(300), fc.uint8Array({ maxLength: 40 }))
      .map(([from, channel, total, data]): [Side, Uint8Array] => [
        from,
        encodeDynamic({ type: 'data-first', channel, total, data }),
      ]),
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 50 }), (messages) => {
      const filter = dynamic(rdpPolicy(['printers']), { ...channelLimits, messageBytes: 200 });
      for (const [from, input] of messages) {
        const step = filter.message(from, input);
        if (isViolation(step)) break;
        for (const out of step.toClient) {
          const read = decodeDynamic(out, 'target');
          if (!isViolation(read) && read.type === 'create-request') expect([display, 'rdpdr']).toContain(read.name);
        }
      }
      filter.close();
    }),
    { numRuns: 1000 },
  );
});

import { duplexPair } from 'node:stream';
import { expect, test } from 'vitest';
import { hex } from '../../../src/base/bytes.ts';
import { encodeOutput, errorInfo, farewell, RdpStream } from '../../../src/protocol/rdp/rdp.ts';
import type { RdpBack } from '../../../src/proxy/rdp/back.ts';
import type { RdpFront } from '../../../src/proxy/rdp/front.ts';
import { spliceRdp } from '../../../src/proxy/rdp/splice.ts';
import type { Session } from '../../../src/proxy/open-session.ts';
import type { Outcome } from '../../../src/proxy/session.ts';
import { ListRecorder, quietSession, stage } from '../stage.ts';

const accepted = { io: 1003, user: 1012, channels: [], core: { keyboardLayout: 0x409 } };

/** A splice between two ends in memory, whose clock stands still. */
function begin(idleMinutes?: number) {
  const around = stage();
  let now = 1_700_000_000_000;
  const [clientSide, person] = duplexPair();
  const [targetSide, machine] = duplexPair();
  const said: Buffer[] = [];
  person.on('error', () => {});
  machine.on('error', () => {});
  const stop = new AbortController();
  const asked = Promise.withResolvers<Error>();
  const terms = {
    security: 'tls',
    depth: 24,
    keys: 'all',
    ...(idleMinutes === undefined ? {} : { idleMinutes }),
  } as const;
  const session: Session = {
    ...quietSession({ protocol: 'rdp', rdp: terms }),
    signal: stop.signal,
    end: (reason) => {
      asked.resolve(reason);
      stop.abort(reason);
    },
  };
  const front = { stream: new RdpStream(clientSide), accepted, spliced: false } as unknown as RdpFront;
  const joined = { io: 1003, user: 1009, channels: [] };
  const back = { stream: new RdpStream(targetSide), decisions: [], joined } as unknown as RdpBack;
  const place = { ...around.place, clock: { ...around.place.clock, now: () => now } };
  const outcome: Promise<Outcome> = spliceRdp(front, back, session, new ListRecorder(), place, stop.signal);
  return {
    person,
    machine,
    outcome,
    asked: asked.promise,
    hears: () => void person.on('data', (chunk: Buffer) => said.push(chunk)),
    said: () => Buffer.concat(said),
    pass: (ms: number) => {
      now += ms;
    },
    [Symbol.dispose]: () => around[Symbol.dispose](),
  };
}

test('who types nothing for as long as the grant allows is let go, and told by the number for that', async () => {
  using it = begin(1);
  it.hears();
  it.pass(59_000);
  it.person.write(Uint8Array.of(4, 4, 0, 0x1e));
  const typed = new Promise((resolve) => it.machine.once('data', resolve));
  await typed;
  it.pass(59_000);
  it.pass(1_000);
  expect(await it.asked).toMatchObject({ code: 'proxy.idle' });
  expect(await it.outcome).toMatchObject({ by: 'signal' });
  const told = farewell(1003, errorInfo.idleTimeout, false);
  expect(hex(it.said())).toContain(hex(told));
});

test('a client that takes nothing for five minutes ends its session; a shorter pause does not', async () => {
  using it = begin();
  const update = encodeOutput(8, new Uint8Array(16_000));
  const full = (): boolean => it.machine.writableLength > 256 * 1024;
  while (!full()) {
    it.machine.write(update);
    await new Promise((resolve) => setImmediate(resolve));
  }
  it.pass(299_000);
  it.pass(1_000);
  expect(await it.outcome).toMatchObject({ by: 'broken', words: 'one side took nothing for five minutes' });
});

test('a target that leaves ends the session, and what it said last still reaches the client', async () => {
  using it = begin();
  it.hears();
  const update = encodeOutput(8, Uint8Array.of(1, 0, 2, 0));
  it.machine.end(update);
  expect(await it.outcome).toMatchObject({ by: 'target' });
  expect(hex(it.said())).toContain(hex(update));
});

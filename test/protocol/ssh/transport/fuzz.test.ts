/** Hostile bytes: whatever arrives, the machine either goes on or throws an SshError, and it never holds much. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { utf8 } from '../../../../src/base/bytes.ts';
import { SshError } from '../../../../src/protocol/ssh/errors.ts';
import { connected, Side, settle } from './machines.ts';

/** Feeds bytes and lets only SshError be thrown. */
function feed(side: Side, bytes: Uint8Array): void {
  try {
    side.receive(bytes);
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
  }
}

function byteByByte(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

describe('every split', () => {
  test('an exchange, data and a rekey in pieces of one byte come out the same', () => {
    for (const cipher of ['aes128-gcm@openssh.com', 'aes128-ctr', 'chacha20-poly1305@openssh.com']) {
      const client = new Side('client', { lists: { cipher: [cipher] } }).start();
      const server = new Side('server', { lists: { cipher: [cipher] } }).start();
      settle(client, server, byteByByte);
      for (let i = 1; i < 40; i++) client.machine.send(new Uint8Array(i).fill(94));
      client.machine.rekey();
      client.machine.send(Uint8Array.of(95));
      settle(client, server, byteByByte);
      expect(server.payloads.map((payload) => payload.length)).toEqual([
        ...Array.from({ length: 39 }, (_, i) => i + 1),
        1,
      ]);
    }
  });

  test('two packets cut at every place come out the same', () => {
    for (const cipher of ['aes128-gcm@openssh.com', 'aes128-ctr', 'chacha20-poly1305@openssh.com']) {
      const { client, server } = connected({ lists: { cipher: [cipher] } });
      for (let at = 0; at < 200; at++) {
        client.machine.send(new Uint8Array(20).fill(94));
        client.machine.send(new Uint8Array(70).fill(95));
        const bytes = client.output();
        // a buffer that is used again after the call, as a reader of sockets may do
        const first = bytes.slice(0, at);
        server.receive(first);
        first.fill(0);
        server.receive(bytes.subarray(at));
        expect(server.payloads.splice(0).map((payload) => [payload.length, payload[0], payload.at(-1)])).toEqual([
          [20, 94, 94],
          [70, 95, 95],
        ]);
      }
    }
  });
});

describe('random and mutated bytes', () => {
  test('random bytes instead of a version', () => {
    fc.assert(
      fc.property(fc.constantFrom('client', 'server'), fc.uint8Array({ maxLength: 3000 }), (role, bytes) => {
        feed(new Side(role).start(), bytes);
      }),
    );
  });

  test('random bytes after the version', () => {
    fc.assert(
      fc.property(fc.constantFrom('client', 'server'), fc.uint8Array({ maxLength: 3000 }), (role, bytes) => {
        const side = new Side(role).start();
        side.receive(utf8('SSH-2.0-x\r\n'));
        feed(side, bytes);
      }),
    );
  });

  test('a captured exchange with changed, missing and doubled bytes', () => {
    const edit = fc.record({
      at: fc.nat(6000),
      kind: fc.constantFrom('flip', 'cut', 'double', 'zero', 'high'),
      bit: fc.nat(7),
    });
    fc.assert(
      fc.property(fc.boolean(), fc.array(edit, { minLength: 1, maxLength: 4 }), (toServer, edits) => {
        const client = new Side('client').start();
        const server = new Side('server').start();
        const [victim, other] = toServer ? [server, client] : [client, server];
        let seen = 0;
        for (let round = 0; round < 6; round++) {
          let bytes = other.output();
          for (const { at, kind, bit } of edits) {
            const place = at - seen;
            if (place < 0 || place >= bytes.length) continue;
            const changed = kind === 'flip' ? (bytes[place] ?? 0) ^ (1 << bit) : kind === 'zero' ? 0 : 255;
            if (kind === 'cut') bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1)]);
            else if (kind === 'double') bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place - 1)]);
            else bytes[place] = changed;
          }
          seen += bytes.length;
          feed(victim, bytes);
          feed(other, victim.output());
        }
      }),
      { numRuns: 150 },
    );
  });

  test('random payloads under good keys', () => {
    const { client, server } = connected();
    let pair = { client, server };
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (payload) => {
        pair.client.machine.send(payload);
        try {
          pair.server.receive(pair.client.output());
          pair.server.output();
        } catch (error) {
          if (!(error instanceof SshError)) throw error;
          pair = connected();
        }
        if (pair.server.disconnected !== undefined) pair = connected();
      }),
      { numRuns: 1000 },
    );
  });

  test('random bodies of every transport message under good keys', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 7, 20, 21, 30, 31, 192, 193),
        fc.uint8Array({ maxLength: 120 }),
        (number, body) => {
          const { client, server } = connected();
          client.machine.send(Uint8Array.of(number, ...body));
          feed(server, client.output());
        },
      ),
      { numRuns: 150 },
    );
  });
});

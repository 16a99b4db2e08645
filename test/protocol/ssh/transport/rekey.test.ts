/** Key re-exchange as the machine does it: by bytes, by time, by either side, with data under way (RFC 4253 §9). */
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { codeThrown, connected, Side, settle } from './machines.ts';

const data = (length: number, fill = 94): Uint8Array => new Uint8Array(length).fill(fill);

test('both sides may start one, again and again, and nothing is lost or reordered', () => {
  const { client, server } = connected();
  let sent = 0;
  for (let round = 0; round < 6; round++) {
    (round % 2 === 0 ? client : server).machine.rekey();
    for (let i = 0; i < 10; i++) {
      client.machine.send(Uint8Array.of(94, sent));
      server.machine.send(Uint8Array.of(94, sent++));
    }
    settle(client, server);
  }
  expect(client.machine.rekeys).toEqual({ ours: 3, theirs: 3 });
  expect(server.machine.rekeys).toEqual({ ours: 3, theirs: 3 });
  const expected = Array.from({ length: sent }, (_, i) => i);
  expect(client.payloads.map((payload) => payload[1])).toEqual(expected);
  expect(server.payloads.map((payload) => payload[1])).toEqual(expected);
});

test('both may start one at the same moment', () => {
  const { client, server } = connected();
  client.machine.rekey();
  server.machine.rekey();
  client.machine.send(Uint8Array.of(94, 1));
  settle(client, server);
  expect(client.machine.keying.running || server.machine.keying.running).toBe(false);
  expect(server.payloads).toEqual([Uint8Array.of(94, 1)]);
});

test('the session id stays, and the keys change', () => {
  const { client, server } = connected();
  const id = client.machine.keying.sessionId;
  client.machine.rekey();
  settle(client, server);
  expect(client.machine.keying.sessionId).toEqual(id);
  expect(server.machine.keying.sessionId).toEqual(id);
});

test('data that the peer sent before it saw our KEXINIT is delivered', () => {
  const { client, server } = connected();
  server.machine.send(Uint8Array.of(94, 1));
  server.machine.send(Uint8Array.of(94, 2));
  client.machine.rekey();
  settle(client, server);
  expect(client.payloads.map((payload) => payload[1])).toEqual([1, 2]);
});

test('payloads sent within an exchange are held back, copied, and counted', () => {
  const { client, server } = connected();
  client.machine.rekey();
  const before = client.output();
  const payload = Buffer.from(data(1000, 99));
  client.machine.send(payload);
  payload.fill(0);
  expect(client.output().length).toBe(0);
  expect(client.machine.pendingBytes).toBe(1000);
  server.receive(before);
  settle(client, server);
  expect(server.payloads).toEqual([data(1000, 99)]);
  expect(client.machine.pendingBytes).toBe(0);
});

test('data between the KEXINIT and the NEWKEYS of the peer is refused', () => {
  const { client, server } = connected();
  client.machine.rekey();
  server.receive(client.output());
  // a peer that breaks the rule: it goes on sealing as if it had proposed nothing
  Object.defineProperty(client.machine.keying, 'holding', { value: false });
  client.machine.send(Uint8Array.of(94, 1));
  expect(codeThrown(() => server.receive(client.output()))).toBe('ssh.protocol');
});

test('a second KEXINIT within a re-exchange is refused', () => {
  const { client, server } = connected();
  client.machine.rekey();
  server.receive(client.output());
  Object.defineProperty(client.machine.keying, 'running', { value: false });
  client.machine.keying.propose('us');
  expect(codeThrown(() => server.receive(client.output()))).toBe('ssh.protocol');
});

test('so many bytes in one direction start one, whichever side counts them', () => {
  for (const side of ['client', 'server'] as const) {
    const pair = { client: new Side('client'), server: new Side('server') };
    pair[side] = new Side(side, { limits: { rekeyBytes: 100_000 } });
    pair.client.start();
    pair.server.start();
    settle(pair.client, pair.server);
    for (let i = 0; i < 40; i++) {
      pair.client.machine.send(data(10_000));
      settle(pair.client, pair.server);
    }
    expect(pair[side].machine.rekeys).toEqual({ ours: 4, theirs: 0 });
    expect(pair.server.payloads.length).toBe(40);
  }
});

test('time starts one, and a peer that does not finish it is broken with', () => {
  const { client, server } = connected({ limits: { rekeyMs: 60_000, rekeyAnswerMs: 5000 } });
  client.clock = client.machine.wakeAt - 1;
  client.machine.tick();
  expect(client.output().length).toBe(0);
  client.clock++;
  client.machine.tick();
  settle(client, server);
  expect(client.machine.rekeys.ours).toBe(1);
  expect(client.machine.wakeAt).toBe(client.clock + 60_000);

  client.clock = client.machine.wakeAt;
  client.machine.tick();
  client.clock += 5000;
  expect(codeThrown(() => client.machine.tick())).toBe('ssh.rekey-timeout');
});

test('another host key in a rekey is refused without asking anybody', () => {
  const { client, server } = connected();
  server.showHostKey(generateKeyPairSync('ed25519').privateKey);
  client.machine.rekey();
  expect(codeThrown(() => settle(client, server))).toBe('ssh.host-key-refused');
  expect(client.questions).toEqual([]);
});

test('a client that chose a slow cipher is moved to AES-GCM once it carries much, if it knows it', () => {
  const slowFirst = ['aes128-ctr', 'aes128-gcm@openssh.com'];
  const client = new Side('client', { lists: { cipher: slowFirst } }).start();
  const server = new Side('server', { limits: { upgradeBytes: 50_000 } }).start();
  settle(client, server);
  expect(server.machine.keying.negotiated?.cipherIn).toBe('aes128-ctr');
  for (let i = 0; i < 20; i++) {
    server.machine.send(data(10_000));
    settle(client, server);
  }
  expect(server.machine.rekeys).toEqual({ ours: 1, theirs: 0 });
  expect(client.machine.keying.negotiated?.cipherIn).toBe('aes128-gcm@openssh.com');
  expect(client.payloads.length).toBe(20);

  const old = new Side('client', { lists: { cipher: ['aes128-ctr'] } }).start();
  const same = new Side('server', { limits: { upgradeBytes: 50_000 } }).start();
  settle(old, same);
  for (let i = 0; i < 20; i++) same.machine.send(data(10_000));
  settle(old, same);
  expect(same.machine.rekeys).toEqual({ ours: 0, theirs: 0 });
});

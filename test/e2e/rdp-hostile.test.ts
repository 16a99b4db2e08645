/** Those who come to the door for desktops with bad intentions: what each gets, and that it costs nobody else anything. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeConnectionRequest, security, tpkt } from '../../src/protocol/rdp/wire/x224.ts';
import { startBetween } from '../lab/rdp/between.ts';
import { startDisplay } from '../lab/rdp/display.ts';
import { tryXfreerdp } from '../lab/rdp/xfreerdp.ts';
import { fullMachines } from '../lab/machine.ts';
import { canary, searchBytes } from '../support/canary.ts';
import { accountName, openStreet, type Street } from './rdp-hostile-stage.ts';
import { dialGate, negotiate, secured } from './rdp-wire-client.ts';

describe.runIf(fullMachines)('at the door for desktops', { timeout: 60_000 }, () => {
  let street: Street;
  beforeAll(async () => {
    street = await openStreet();
  }, 120_000);
  afterAll(async () => await street?.[Symbol.asyncDispose]());

  const logins = async (from: number) =>
    (await street.house.trail(from)).filter(({ type }) => type.startsWith('identity.login'));

  test('a target that shows another certificate than the pinned one hears neither name nor password, and it is told', async () => {
    for (const kind of ['tls', 'nla'] as const) {
      const from = await street.house.mark();
      const minted = await street.token(`${accountName}@false-${kind}`);
      await using client = await street.enter({ user: minted.user, password: minted.token });
      await client.closed;
      expect(client.errors).toEqual([7]);
      const there = street.false[kind];
      await there.over(1, AbortSignal.timeout(10_000));
      expect(there.visits.map(({ tls, inside }) => [tls, inside.length])).toEqual([[true, 0]]);
      const secrets = [canary('name', accountName), canary('password', street.secret)];
      for (const { request, inside } of there.visits)
        expect(searchBytes(secrets, kind, Buffer.concat([request, inside]))).toEqual([]);
      const { details } = await street.house.event(({ type }) => type === 'estate.hostkey.mismatched', from);
      expect(details).toMatchObject({ target: `false-${kind}` });
      expect(String(details['presented']).replaceAll(':', '').toLowerCase()).toBe(there.fingerprint);
      const ended = await street.house.event(({ type }) => type === 'session.ended', from);
      expect(JSON.stringify(ended.details)).toContain('another certificate');
      expect((await street.house.trail(from)).map(({ type }) => type)).not.toContain('credential.opened');
    }
  });

  test('somebody between is found out by CredSSP, with a client that binds its login to the channel and with one that does not', async () => {
    await using between = await startBetween(street.house.product.rdp);
    await using display = await startDisplay({ width: 640, height: 480 });
    const minted = await street.token();
    const from = await street.house.mark();
    const ours = street.enter({ user: minted.user, password: minted.token, gate: between });
    await expect(ours).rejects.toThrow('ntlm.bad-password');
    const stock = { address: between.address, port: between.port, user: minted.user, password: minted.token };
    const { log } = await tryXfreerdp(display, { ...stock, security: 'nla' });
    expect(log).toContain('ERRCONNECT_LOGON_FAILURE');
    await street.house.event((row) => row.details['code'] === 'identity.intercepted', from);
    const rows = await logins(from);
    expect(rows.map(({ details }) => [details['user'], details['code']])).toEqual([
      ['(unknown)', 'identity.intercepted'],
      ['alice', 'identity.intercepted'],
    ]);
    expect(between.terminated).toBe(2);
    expect(searchBytes([canary('token', minted.token)], 'between', between.seen.up)).toEqual([]);

    // It has cost nothing: the token still opens its desktop.
    await using client = await street.enter({ user: minted.user, password: minted.token });
    await client.active;
  });

  test('a token that was used is worth nothing from another address', async () => {
    const minted = await street.token();
    await using client = await street.enter({ user: minted.user, password: minted.token, from: '127.0.0.1' });
    await client.active;
    const from = await street.house.mark();
    const again = { user: minted.user, password: minted.token, from: '127.0.0.2' };
    await expect(street.enter(again)).rejects.toThrow('ntlm.bad-password');
    await using third = await street.enter({ ...again, security: 'tls' });
    await third.closed;
    expect(third.errors).toEqual([9]);
    expect((await logins(from)).map(({ details }) => details['code'])).toEqual([
      'identity.token-wrong',
      'identity.token-wrong',
    ]);
  });

  test.each(['nla', 'tls'] as const)(
    'of clients that race with one token over %s, exactly one gets a session',
    async (kind) => {
      const from = await street.house.mark();
      const minted = await street.token();
      await using stack = new AsyncDisposableStack();
      const runs = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'].map(async (address) => {
        const client = stack.use(
          await street.enter({ user: minted.user, password: minted.token, from: address, security: kind }),
        );
        // the others are shown a desktop too: the one with the words that they were not let in
        await client.active;
      });
      await Promise.all(runs);
      const rows = await street.house.trail(from);
      expect(rows.filter(({ type }) => type === 'identity.token.used')).toHaveLength(1);
      expect(rows.filter(({ type }) => type === 'session.started')).toHaveLength(1);
    },
  );

  test('whoever offers no security that the gate takes is told so, and nobody else hears of it', async () => {
    const from = await street.house.mark();
    const withFlag = (flag: number): Uint8Array => {
      const request = encodeConnectionRequest(security.tls | security.nla);
      request[12] = flag;
      return request;
    };
    const bare = tpkt(Uint8Array.of(6, 0xe0, 0, 0, 0, 0, 0));
    const asked: readonly (readonly [string, Uint8Array, number])[] = [
      ['only the security of RDP', encodeConnectionRequest(security.rdp), 1],
      ['no negotiation', bare, 1],
      ['only early authorization', encodeConnectionRequest(security.nlaEx), 1],
      ['only RDSTLS and AAD', encodeConnectionRequest(security.rdstls | security.aad), 1],
      ['restricted administration', withFlag(1), 4],
      ['remote guard', withFlag(2), 4],
      ['both', withFlag(3), 4],
    ];
    for (const [what, request, code] of asked) {
      const socket = await dialGate(street.house.product.rdp);
      const closed = once(socket, 'close');
      expect(await negotiate(socket, request), what).toEqual({ kind: 'failure', code });
      socket.resume();
      await closed;
    }
    expect(await logins(from)).toEqual([]);
  });

  test('a client that says nothing, half a message, a byte a second or rubbish is let go of, and others get in meanwhile', async () => {
    const gate = street.house.product.rdp;
    const letGo = async (name: string, socket: Socket): Promise<readonly [string, number]> => {
      const since = Date.now();
      socket.resume();
      if (!socket.closed) await once(socket, 'close');
      return [name, Date.now() - since];
    };
    const [silent, half, trickling, rubbish, long] = await Promise.all(Array.from({ length: 5 }, () => dialGate(gate)));
    if (!silent || !half || !trickling || !rubbish || !long) throw new Error('five connections are needed');
    const request = encodeConnectionRequest(3);
    half.write(request.subarray(0, 9));
    let at = 0;
    const drip = setInterval(() => trickling.write(request.subarray(at, ++at)), 1000);
    const noise = Buffer.alloc(64 * 1024, 0xa7);
    rubbish.write(noise);
    // a header that promises as much as it can, and then less
    long.write(Buffer.concat([Buffer.of(3, 0, 0xff, 0xff), noise.subarray(0, 32 * 1024)]));
    const insteadOfTls = await dialGate(gate);
    await negotiate(insteadOfTls, request);
    insteadOfTls.write(noise);
    const insideTls = await secured(gate, security.nla | security.tls);
    insideTls.write(noise);
    const longDer = await secured(gate, security.nla | security.tls);
    longDer.write(Buffer.of(0x30, 0x84, 0x7f, 0xff, 0xff, 0xff));

    const ends = [
      letGo('silent', silent),
      letGo('half a message', half),
      letGo('trickling', trickling),
      letGo('rubbish', rubbish),
      letGo('a message that never ends', long),
      letGo('rubbish instead of TLS', insteadOfTls),
      letGo('rubbish instead of CredSSP', insideTls),
      letGo('a CredSSP message of two gigabytes', longDer),
    ];
    {
      await using client = await street.enter();
      await client.active;
    }
    const waited = await Promise.all(ends);
    clearInterval(drip);
    for (const [name, ms] of waited) expect(ms, name).toBeLessThan(15_000);
  });
});

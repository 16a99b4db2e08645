/** Targets that break the rules, or keep them and give away what is not theirs to give: none of it reaches a client. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeClientInfo } from '../../src/protocol/rdp/wire/client-info.ts';
import { sendDataIndication, sendDataRequest } from '../../src/protocol/rdp/wire/mcs.ts';
import { shareData, shareDataType } from '../../src/protocol/rdp/wire/share.ts';
import { LittleWriter } from '../../src/protocol/wire/little-writer.ts';
import { fullMachines } from '../lab/machine.ts';
import { canary, searchBytes } from '../support/canary.ts';
import { accountName, openStreet, type Street } from './rdp-hostile-stage.ts';
import { machine, type WireClient } from './rdp-wire-client.ts';
import { quiet, type Script, type Stage, stages } from './rdp-wire-target.ts';

const io = 1003;
/** So many logins of one person at once are taken for no guessing. */
const atOnce = 4;
const cookie = Buffer.from('5a'.repeat(8) + 'c00c1e'.repeat(4), 'hex');

describe.runIf(fullMachines)('a target without manners', { timeout: 60_000 }, () => {
  let street: Street;
  beforeAll(async () => {
    street = await openStreet();
  }, 120_000);
  afterAll(async () => await street?.[Symbol.asyncDispose]());
  afterEach(() => {
    street.target.script = quiet;
  });

  /** One visitor for each script, a few at a time. What each client was told, in no order. */
  async function all(scripts: readonly Script[]): Promise<readonly WireClient[]> {
    let next = 0;
    street.target.script = (visit) => (scripts[next++] ?? quiet)(visit);
    await using stack = new AsyncDisposableStack();
    const clients: WireClient[] = [];
    const visit = async (): Promise<void> => {
      const client = stack.use(await street.enter());
      await client.closed;
      clients.push(client);
    };
    for (let at = 0; at < scripts.length; at += atOnce) await Promise.all(scripts.slice(at, at + atOnce).map(visit));
    return clients;
  }

  const ends = async (from: number, count: number): Promise<readonly string[]> => {
    for (let seen = from; ; ) {
      const rows = (await street.house.trail(from)).filter(({ type }) => type === 'session.ended');
      if (rows.length >= count) return rows.map(({ details }) => JSON.stringify(details));
      seen = (await street.house.event(({ type }) => type === 'session.ended', Math.max(seen, rows.at(-1)?.seq ?? 0)))
        .seq;
    }
  };

  /** The client's bytes hold neither name nor password, nor whatever else is given. */
  function clean(client: WireClient, more: readonly (readonly [string, Uint8Array])[] = []): void {
    const secrets = [canary('name', accountName), canary('password', street.secret)];
    secrets.push(...more.map(([name, bytes]) => canary(name, bytes)));
    expect(client.received().length).toBeGreaterThan(100);
    expect(searchBytes(secrets, 'the client', client.received())).toEqual([]);
  }

  test('that leaves, at whatever stage, ends that session and tells its client', async () => {
    const from = await street.house.mark();
    const leave =
      (stage: Stage): Script =>
      async (visit) => {
        await visit.reach(stage);
        visit.socket.destroy();
      };
    const clients = await all(stages.map(leave));
    for (const client of clients) clean(client);
    const told = clients.flatMap(({ errors }) => errors);
    // Before the splice the gate says why; afterwards the client is told by the end itself.
    expect(told).toEqual(Array.from({ length: told.length }, () => 7));
    expect(told.length).toBeGreaterThanOrEqual(stages.indexOf('joined'));
    expect(await ends(from, stages.length)).toHaveLength(stages.length);
  });

  test('that sends what is too long, cut short or no message at all ends that session and no other', async () => {
    const from = await street.house.mark();
    await using other = await street.enter();
    await other.shown(64 * 1024);
    const broken: readonly (readonly [string, Uint8Array])[] = [
      ['a message that is none', Buffer.of(0x16, 3, 1, 0)],
      ['a TPKT shorter than its header', Buffer.of(3, 0, 0, 3)],
      ['fast-path of no bytes', Buffer.of(0, 0x80, 0)],
      ['fast-path with an update longer than the message', Buffer.of(0, 8, 1, 0xff, 0x7f, 0, 0, 0)],
      ['an MCS message of no known kind', Buffer.of(3, 0, 0, 9, 2, 0xf0, 0x80, 0xff, 0)],
      ['data that ends before its length', Buffer.of(3, 0, 0, 15, 2, 0xf0, 0x80, 0x68, 0, 1, 3, 0xeb, 0x70, 0x40, 0)],
      ['a share longer than its data', sendDataIndication(io, Buffer.of(0xff, 0x7f, 0x17, 0, 0xea, 3))],
      ['a share shorter than its header', sendDataIndication(io, Buffer.of(2, 0, 0x17, 0, 0xea, 3))],
      [
        'an activation that ends early',
        sendDataIndication(io, Buffer.of(14, 0, 0x11, 0, 0xea, 3, 1, 0, 0, 0, 9, 0, 9, 0)),
      ],
      ['drawing orders', Buffer.of(0, 10, 0, 5, 0, 1, 0, 9, 9, 9)],
    ];
    const clients = await all(
      broken.map(
        ([, bytes]): Script =>
          async (visit) => {
            await visit.reach('active');
            visit.send(bytes);
            await visit.over;
          },
      ),
    );
    for (const client of clients) {
      expect(client.errors).toEqual([7]);
      clean(client);
    }
    expect((await ends(from, broken.length)).filter((row) => row.includes('broken'))).toHaveLength(broken.length);
    const before = other.pictures;
    street.target.script = quiet;
    expect(before).toBeGreaterThan(0);
    {
      await using another = await street.enter();
      await another.shown(64 * 1024);
    }
    await ends(from, broken.length + 1);
  });

  test('that never ends a message is let go with its client', async () => {
    street.target.script = async (visit) => {
      await visit.reach('active');
      visit.send(Buffer.concat([Buffer.of(3, 0, 0xff, 0xff, 2, 0xf0, 0x80, 0x68), Buffer.alloc(20_000, 1)]));
      await visit.over;
    };
    const from = await street.house.mark();
    {
      await using client = await street.enter();
      await client.active;
    }
    expect(await ends(from, 1)).toHaveLength(1);
  });

  test('its words about who has logged in, and the cookie that logs in again, stay at the gate', async () => {
    const name = new LittleWriter().utf16(accountName).finish();
    // TS_LOGON_INFO: domain and user in fields of fixed size
    const plain = new LittleWriter().u32(0).u32(8).utf16('CORP').zeros(44).u32(name.length).raw(name);
    plain.zeros(512 - name.length).u32(7);
    // TS_LOGON_INFO_EXTENDED with ARC_SC_PRIVATE_PACKET
    const extended = new LittleWriter()
      .u32(3)
      .u16(600)
      .u32(1)
      .u32(28)
      .u32(28)
      .u32(1)
      .u32(7)
      .raw(new Uint8Array(cookie))
      .zeros(570);
    street.target.script = async (visit) => {
      await visit.reach('active');
      visit.share(shareDataType.saveSessionInfo, plain.finish());
      visit.share(shareDataType.saveSessionInfo, extended.finish());
      await visit.paint(64 * 1024);
      await visit.over;
    };
    await using client = await street.enter();
    await client.shown(64 * 1024);
    clean(client, [['cookie', cookie]]);
  });

  test('its order to go to another machine, with a login for that, ends the session before a byte of it passes', async () => {
    const secret = Buffer.from(street.secret, 'utf16le');
    const inside = Buffer.concat([Buffer.from(accountName, 'utf16le'), secret, cookie]);
    const redirect = (type: number): Uint8Array =>
      new LittleWriter()
        .u16(inside.length + 6)
        .u16(type)
        .u16(1002)
        .raw(inside)
        .finish();
    const enhanced = new LittleWriter().u16(0x400).u16(0).raw(inside).finish();
    const from = await street.house.mark();
    const clients = await all([
      async (visit) => {
        await visit.reach('active');
        visit.send(sendDataIndication(io, redirect(0x1a)));
        await visit.over;
      },
      async (visit) => {
        await visit.reach('informed');
        visit.send(sendDataIndication(io, enhanced));
        await visit.over;
      },
      // behind a picture's worth of good shares in one piece of data
      async (visit) => {
        await visit.reach('active');
        const good = shareData(0x103ea, shareDataType.setErrorInfo, new Uint8Array(4));
        visit.send(sendDataIndication(io, Buffer.concat([good, redirect(0x0a)])));
        await visit.over;
      },
    ]);
    for (const client of clients) {
      clean(client, [['cookie', cookie]]);
      expect(client.errors.at(-1)).toBe(7);
    }
    expect((await ends(from, 3)).filter((row) => row.includes('another machine'))).toHaveLength(3);
  });

  test('its client cannot log in a second time, as somebody else, while the target waits', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    street.target.script = async (visit) => {
      await visit.reach('informed');
      resolve();
      const next = await visit.stream.frame(AbortSignal.timeout(10_000));
      if (Buffer.from(next).includes(Buffer.from('intruder', 'utf16le')))
        throw new Error('the second login came through');
      await visit.over;
    };
    const before = street.target.infos.length;
    await using client = await street.enter();
    await promise;
    const password = Buffer.from('of my own', 'utf16le');
    const info = encodeClientInfo(machine, { domain: '', user: 'intruder', password, shell: '' });
    client.say(sendDataRequest(client.joined.user, client.joined.io, info));
    await client.closed;
    expect(client.errors).toEqual([7]);
    const infos = street.target.infos.slice(before);
    expect(infos.map(({ user }) => user)).toEqual([accountName]);
    expect(Buffer.from(infos[0]?.password ?? []).toString('utf16le')).toBe(street.secret);
  });
});

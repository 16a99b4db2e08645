/**
 * Targets that do not keep to the rules. Whatever they do, their user sees one line why, the session's row is ended and
 * its recording sealed, the sessions of others go on, and the secret goes to nobody but the one who has the trusted key
 * and asks for it in the one way that is answered.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeRequest } from '../../src/protocol/ssh/ssh.ts';
import type { Ran } from '../lab/run.ts';
import { afterStart, cases, endless } from './hostile-cases.ts';
import {
  admit,
  type Behaviour,
  type Bystander,
  bystander,
  channel,
  exec,
  gateMemory,
  grant,
  honest,
  hostileTarget,
  type HostileTarget,
  intruder,
  type Reading,
} from './hostile-stage.ts';
import { type AuditRow, type House, openHouse, word } from './house.ts';

const none = new Uint8Array();
const secret = word();
const packed = (text: string) => Buffer.from(text);

describe('hostile targets', () => {
  const undo = new AsyncDisposableStack();
  let house: House;
  let good: HostileTarget;
  /** The one that shows all its sides, one after the other; `patient` waits for the end of one of them meanwhile. */
  let bad: HostileTarget;
  let patient: HostileTarget;
  let slow: Promise<Ran>;
  let other: Bystander;

  beforeAll(async () => {
    good = undo.use(await hostileTarget());
    bad = undo.use(await hostileTarget());
    patient = undo.use(await hostileTarget());
    const all = { good, bad, patient };
    const list = Object.entries(all);
    house = undo.use(
      await openHouse(
        () => `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets:
${list.map(([name, { port }]) => `  - { name: ${name}, address: 127.0.0.1, services: [{ port: ${port} }] }`).join('\n')}
accounts:
${list.map(([name]) => `  - { name: deploy@${name} }`).join('\n')}
grants: [{ name: all, group: ops, targets: [${list.map(([name]) => name).join(', ')}] }]
`,
      ),
    );
    for (const [name, { signer }] of list) {
      await house.call('target.trust', { name, keys: [{ algorithm: 'ssh-ed25519', publicKey: signer.publicKey }] });
      const value = name === 'good' ? word() : secret;
      await house.call('account.store', { account: `deploy@${name}`, secret: Buffer.from(value), unverified: false });
    }
    for (const target of [bad, patient]) target.secrets.length = 0;
    other = undo.use(await bystander(house.gate, 'alice@deploy@good', house.key.file));
    // This one takes as long as a handshake may, so it goes on while the others are tested.
    patient.behave = cases[endless]?.behave ?? honest;
    slow = house.visit('deploy@patient', { command: 'do' });
    slow.catch(() => {});
  });
  afterAll(async () => {
    await undo.disposeAsync();
  });

  /** Row ended, recording sealed; nothing of it is left. */
  async function ended(account: string, from: number): Promise<string> {
    const opened = await house.event((row) => row.type === 'session.opened' && about(row.details, account), from);
    const session = opened.details['session'];
    const row = await house.event((one) => one.type === 'session.ended' && one.details['session'] === session, from);
    await house.event((one) => one.type === 'recording.sealed' && one.details['session'] === session, from);
    return String(row.details['reason']);
  }

  function about(details: AuditRow['details'], account: string): boolean {
    return JSON.stringify(details).includes(`"${account}"`);
  }

  test.each(Object.keys(cases))('a target that %s', async (name) => {
    const { behave, line, told } = cases[name] ?? { behave: honest, line: /^$/ };
    const target = name === endless ? patient : bad;
    const label = name === endless ? 'deploy@patient' : 'deploy@bad';
    const from = name === endless ? 0 : await house.mark();
    bad.behave = behave;
    bad.secrets.length = 0;
    const ran = await (name === endless ? slow : house.visit(label, { command: 'do' }));
    expect(ran.code).toBe(255);
    const lines = ran.stderr.split(/\r?\n/).filter((one) => one.includes('sallyport:'));
    expect(lines, ran.stderr).toHaveLength(1);
    expect(lines[0]).toMatch(line);
    expect(lines[0]).toMatch(/\(session [0-9a-f-]{36}\)/);
    // oxlint-disable-next-line no-control-regex
    expect(ran.stderr).not.toMatch(/[\u0000-\u0008\u001b\u007f-\u009f\u202e]/);
    expect(await ended(label, from)).toMatch(line);
    expect(target.secrets.join(' ').includes(secret)).toBe(told === true);
    await other.echo();
  });

  const answers: string[] = [];
  const flood = Promise.withResolvers<Reading>();
  const comesTheOtherWay: Behaviour = async (socket, target) => {
    const one = await admit(socket, target);
    const recipient = await grant(one);
    for (const [at, type] of [
      'x11',
      'forwarded-tcpip',
      'auth-agent@openssh.com',
      'session',
      'tun@openssh.com',
    ].entries()) {
      one.send({ kind: 'open', type, sender: 100 + at, window: 2 ** 21, maxPacket: 32_768, body: none });
      const refused = await one.next('open-failure');
      answers.push(`${type} ${refused.recipient} ${refused.reason}`);
    }
    for (const name of ['hostkeys-00@openssh.com', 'tcpip-forward', 'anything']) {
      one.send({ kind: 'global-request', name, wantReply: true, body: none });
      answers.push(`${name} ${(await one.next('request-failure')).kind}`);
    }
    one.transport.send(encodeRequest(recipient, { type: 'exec', command: packed('rm -rf ~') }, true));
    answers.push(`exec ${(await one.next('failure')).kind}`);
    one.send({ kind: 'data', recipient, data: packed('done\n') });
    one.transport.send(encodeRequest(recipient, { type: 'exit-status', status: 3 }, false));
    one.send({ kind: 'close', recipient });
    await one.end();
  };
  const ignoresTheWindow: Behaviour = async (socket, target) => {
    const one = await admit(socket, target);
    const recipient = await grant(one);
    const data = Buffer.alloc(32_000, 'e');
    let over = false;
    void one.transport.ended.then(() => {
      over = true;
    });
    const go = (): void => {
      for (let burst = 0; burst < 20 && !one.transport.congested && !over; burst++)
        one.send({ kind: 'extended-data', recipient, type: 1, data });
      if (!one.transport.congested && !over) setImmediate(go);
    };
    one.transport.onDrain(go);
    go();
    flood.resolve(one);
    await one.end();
  };

  test('what a target opens or asks reaches no client, and the session goes on', async () => {
    const from = await house.mark();
    bad.behave = comesTheOtherWay;
    await using one = await intruder(house.gate, 'alice@deploy@bad', house.key.file);
    const there = await channel(one);
    exec(one, there, 'do');
    await one.next('close');
    expect(one.seen.map(({ kind }) => kind)).toEqual(['open-confirmation', 'success', 'data', 'request', 'close']);
    expect(answers).toEqual([
      'x11 100 1',
      'forwarded-tcpip 101 1',
      'auth-agent@openssh.com 102 1',
      'session 103 1',
      'tun@openssh.com 104 1',
      'hostkeys-00@openssh.com request-failure',
      'tcpip-forward request-failure',
      'anything request-failure',
      'exec failure',
    ]);
    one.send({ kind: 'close', recipient: there });
    await one.transport.disconnect(11, 'bye');
    await ended('deploy@bad', from);
    await other.echo();
  });

  test('an exit status after the close ends the connection', async () => {
    const from = await house.mark();
    bad.behave = afterStart((one, recipient) => {
      one.send({ kind: 'close', recipient });
      one.transport.send(encodeRequest(recipient, { type: 'exit-status', status: 0 }, false));
    });
    await using one = await intruder(house.gate, 'alice@deploy@bad', house.key.file);
    exec(one, await channel(one), 'do');
    expect(await one.end()).toMatch(/sallyport: .*target: a message for a channel that is not open/);
    expect(one.seen.map(({ kind }) => kind)).toEqual(['open-confirmation', 'success', 'close']);
    expect(await ended('deploy@bad', from)).toMatch(/not open/);
    await other.echo();
  });

  test('a flood of standard error beyond every window fills no memory, and the session can be killed', async () => {
    const from = await house.mark();
    bad.behave = ignoresTheWindow;
    const before = gateMemory(house.product);
    await using one = await intruder(house.gate, 'alice@deploy@bad', house.key.file);
    exec(one, await channel(one, 0, 1024), 'do');
    const sender = await flood.promise;
    let most = 0;
    // The client takes a little now and then; a gate that did not hold the target back would take all that it sends.
    for (let round = 0; round < 30; round++) {
      for (let taken = 0; taken < 20; taken++) await one.next('extended-data');
      await other.echo();
      most = Math.max(most, gateMemory(house.product));
    }
    const opened = await house.event((row) => row.type === 'session.opened' && about(row.details, 'deploy@bad'), from);
    await house.call('session.kill', { session: String(opened.details['session']), reason: 'too loud' });
    expect(await one.end()).toMatch(/too loud/);
    expect(await ended('deploy@bad', from)).toMatch(/too loud/);
    await sender.transport.ended;
    await other.echo();
    console.log(
      `gate: ${before} MB before the flood, ${most} MB at most in it; sent ${sender.transport.bytesOut} bytes`,
    );
    expect(most - before).toBeLessThan(150);
  });

  test('after all of that nothing runs but the bystander', async () => {
    await other.echo();
    const { sessions } = await house.call('session.list', { live: true });
    expect(sessions.map(({ account }) => account)).toEqual(['deploy@good']);
    expect(good.secrets.join(' ')).not.toContain(secret);
  });
});

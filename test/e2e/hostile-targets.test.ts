/**
 * Targets that do not keep to the rules. Whatever they do, their user sees one line why, the session's row is ended and
 * its recording sealed, the sessions of others go on, and the secret goes to nobody but the one who has the trusted key
 * and asks for it in the one way that is answered.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeRequest } from '../../src/protocol/ssh/ssh.ts';
import { authMsg, encodeBanner, encodeInfoRequest } from '../../src/protocol/ssh/wire/auth.ts';
import { Writer } from '../../src/protocol/ssh/wire/writer.ts';
import type { Ran } from '../lab/run.ts';
import {
  admit,
  authRequest,
  type Behaviour,
  type Bystander,
  bystander,
  channel,
  exec,
  freshSigner,
  gateMemory,
  grant,
  greet,
  honest,
  hostileTarget,
  type HostileTarget,
  intruder,
  type Reading,
  until,
} from './hostile-stage.ts';
import { type AuditRow, type House, openHouse, word } from './house.ts';

const none = new Uint8Array();
const secret = word();
const endless = 'never finishes the key exchange';

interface Case {
  readonly behave: Behaviour;
  /** In the one line that the user sees. */
  readonly line: RegExp;
  /** Whether this target may know the secret at the end. */
  readonly told?: boolean;
}

/** After a login that it lets succeed, and a program that it starts. */
function afterStart(act: (one: Reading, recipient: number) => void): Behaviour {
  return async (socket, target) => {
    const one = await admit(socket, target);
    act(one, await grant(one));
    await one.end();
  };
}

/** After a login that it lets succeed, at the first channel. */
function atOpen(act: (one: Reading, recipient: number) => void): Behaviour {
  return async (socket, target) => {
    const one = await admit(socket, target);
    act(one, (await one.next('open')).sender);
    await one.end();
  };
}

/** Asks by keyboard-interactive. */
function asking(question: Uint8Array): Behaviour {
  return async (socket, target) => {
    const transport = await greet(socket, target);
    await until('keyboard-interactive', transport, target);
    // Who has the trusted key was offered the password as one; here it is about the question.
    target.secrets.length = 0;
    transport.send(question);
    const answer = await transport.next(new AbortController().signal);
    if (answer !== undefined) target.secrets.push(Buffer.from(answer).toString('latin1'));
  };
}

const confirmation = { kind: 'open-confirmation', sender: 7, window: 2 ** 21, maxPacket: 32_768, body: none } as const;
const packed = (text: string) => Buffer.from(text);

const cases: Readonly<Record<string, Case>> = {
  [endless]: {
    behave: async (socket) => void socket.write('SSH-2.0-Hostile\r\n'),
    line: /did not finish the handshake in time/,
  },
  'closes at once': { behave: async (socket) => void socket.end(), line: /closed before it was established/ },
  'speaks something else': {
    behave: async (socket) => void socket.write(`${'x'.repeat(5000)}\r\n`),
    line: /does not speak SSH 2\.0/,
  },
  'sends a packet without end': {
    behave: async (socket) => void socket.write(Buffer.concat([packed('SSH-2.0-H\r\n'), Buffer.alloc(64, 0xff)])),
    line: /not well-formed SSH/,
  },
  'shows another key': {
    behave: async (socket, target) => void (await greet(socket, target, await freshSigner())),
    line: /another host key than the trusted one, so nothing was sent/,
  },
  'shows the trusted key without having it': {
    behave: async (socket, target) => {
      const other = await freshSigner();
      await greet(socket, target, { ...other, publicKey: target.signer.publicKey });
    },
    line: /could not prove that it owns its host key/,
  },
  'answers the login with junk': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await authRequest(transport, target);
      transport.send(Uint8Array.of(authMsg.failure, 0xff, 0xff, 0xff, 0xff, 1));
    },
    line: /not well-formed SSH/,
    told: true,
  },
  'answers the login with a message of another layer': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await authRequest(transport, target);
      transport.send(Uint8Array.of(99, 0, 0, 0, 0));
    },
    line: /message 99 during authentication/,
    told: true,
  },
  'says no': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await until('nothing', transport, target);
    },
    line: /the server takes nothing|offered/,
    told: true,
  },
  'wants a new password': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await authRequest(transport, target);
      transport.send(new Writer().u8(authMsg.methodSpecific).text('Give me a new one: ').text('').finish());
      await authRequest(transport, target);
    },
    line: /PASSWD_CHANGEREQ/,
    told: true,
  },
  'asks for the password where it would be seen': {
    behave: asking(encodeInfoRequest({ name: '', instruction: '', prompts: [{ text: 'Password: ', echo: true }] })),
    line: /the server asks/,
  },
  'asks two hidden questions': {
    behave: asking(
      encodeInfoRequest({
        name: '',
        instruction: '',
        prompts: [
          { text: 'Password: ', echo: false },
          { text: 'Again: ', echo: false },
        ],
      }),
    ),
    line: /the server asks/,
  },
  'asks in control characters': {
    behave: asking(
      encodeInfoRequest({
        name: '',
        instruction: '',
        prompts: [{ text: '\u001b[2J\u009b31m\u202ehello', echo: true }],
      }),
    ),
    line: /the server asks .*\?\[2J\?31m\?hello/,
  },
  'asks 2147483648 questions': {
    behave: asking(
      new Writer()
        .u8(authMsg.methodSpecific)
        .text('')
        .text('')
        .text('')
        .u32(2 ** 31)
        .finish(),
    ),
    line: /not well-formed SSH: 2147483648 prompts/,
  },
  'says goodbye in control characters': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await authRequest(transport, target);
      transport.send(encodeBanner('\u001b]0;owned\u0007\r\nsallyport: all is well\r\n'));
      await transport.disconnect(2, '\u001b[2J\u009b31m\u202egoodbye');
    },
    line: /the peer said goodbye: "\?\[2J\?31m\?goodbye"/,
    told: true,
  },
  'confirms a channel for packets of no bytes': {
    behave: atOpen((one, recipient) => one.send({ ...confirmation, recipient, maxPacket: 0 })),
    line: /maximum packet size 0/,
    told: true,
  },
  'confirms a channel twice': {
    behave: atOpen((one, recipient) => {
      one.send({ ...confirmation, recipient });
      one.send({ ...confirmation, recipient, sender: 8 });
    }),
    line: /target: /,
    told: true,
  },
  'confirms a channel that nobody asked for': {
    behave: atOpen((one) => one.send({ ...confirmation, recipient: 99 })),
    line: /target: an answer about a channel that nobody asked for/,
    told: true,
  },
  'sends data for a channel that nobody has': {
    behave: afterStart((one) => one.send({ kind: 'data', recipient: 99, data: packed('x') })),
    line: /target: data for a channel that is not open/,
    told: true,
  },
  'answers what nobody asked': {
    behave: afterStart((one, recipient) => one.send({ kind: 'success', recipient })),
    line: /an answer without a question/,
    told: true,
  },
  'answers a global request that nobody made': {
    behave: afterStart((one) => one.send({ kind: 'request-success', body: none })),
    line: /an answer without a question/,
    told: true,
  },
  'lies about a length': {
    behave: afterStart((one, recipient) =>
      one.transport.send(new Writer().u8(94).u32(recipient).u32(1000).raw(packed('x')).finish()),
    ),
    line: /a length that lies/,
    told: true,
  },
  'sends half a message': {
    behave: afterStart((one) => one.transport.send(Uint8Array.of(95, 0, 0))),
    line: /the peer broke the rules of the protocol: target/,
    told: true,
  },
  'leaves in the middle': {
    behave: afterStart((one) => void one.transport.disconnect(11, 'bye')),
    line: /closed the connection/,
    told: true,
  },
};

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

  // -- What a target sends on its own account -------------------------------------------------------------------------

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

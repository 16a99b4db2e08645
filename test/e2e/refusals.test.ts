/**
 * Who is refused, and what he learns from it: nothing. A stock client gets the same words, the same prompts and the same
 * status whatever the reason; the reason is in the audit trail.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ssh } from '../lab/client.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { type House, openHouse, word } from './house.ts';

const right = word();
const people = ['bobby', 'carol', 'daisy', 'erica', 'frank', 'ginny', 'henry'];

function estate(machine: Machine): (key: string) => string {
  return (key) => `
groups: [{ name: ops }, { name: web }, { name: none }, { name: past }, { name: night }]
users:
  - { name: alice, roles: [administrator], groups: [ops] }
  - { name: bobby, groups: [web], keys: ['${key}'] }
  - { name: carol, groups: [web], keys: ['${key}'], expires: 2020-01-01 }
  - { name: daisy, groups: [web], keys: ['${key}'], disabled: true }
  - { name: erica, groups: [web] }
  - { name: frank, groups: [none], keys: ['${key}'] }
  - { name: ginny, groups: [past], keys: ['${key}'] }
  - { name: henry, groups: [night], keys: ['${key}'] }
targets:
  - { name: web-01, address: ${machine.address}, services: [{ port: ${machine.port} }] }
  - { name: web-02, address: ${machine.address}, services: [{ port: ${machine.port} }] }
accounts:
  - { name: deploy@web-01 }
  - { name: oracle@web-01 }
  - { name: unused@web-01 }
  - { name: deploy@web-02 }
grants:
  - { name: everything, group: ops, targets: [web-01, web-02] }
  - { name: deploying, group: web, accounts: [deploy@web-01] }
  - { name: last year, group: past, accounts: [deploy@web-01], expires: 2020-01-01 }
  - name: nights of 2020
    group: night
    accounts: [deploy@web-01]
    frames: [{ zone: Europe/Paris, periods: [{ from: '2020-01-01', to: '2020-12-31', start: '22:00', end: '04:00' }] }]
`;
}

/** What a client says, without what differs between two connections of anybody. */
function plain(stderr: string, login: string): string {
  return stderr
    .split('\n')
    .filter((line) => !/^debug1: (Local version|Remote protocol|Connecting|Connection established|pledge)/.test(line))
    .map((line) =>
      line
        .replaceAll(login, 'LOGIN')
        .replaceAll(/port \d+/g, 'port N')
        .trimEnd(),
    )
    .join('\n')
    .replaceAll(/lab-client-\w+/g, 'FOLDER');
}

describe.runIf(fullMachines)('refusals', () => {
  let house: House;
  let machine: Machine;
  const password = word();
  beforeAll(async () => {
    machine = await startMachine({
      name: 'web-01',
      users: [
        { name: 'deploy', password },
        { name: 'oracle', password },
      ],
    });
    house = await openHouse(estate(machine));
    await house.product.ask(['target', 'trust', 'web-01', '--yes']);
    await house.call('account.store', {
      account: 'deploy@web-01',
      secret: Buffer.from(password),
      unverified: false,
    });
    for (const name of people) await house.call('user.password', { name, password: Buffer.from(right) });
  });
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]();
    await machine?.[Symbol.asyncDispose]();
  });

  interface Answer {
    readonly code: number | null;
    readonly stdout: string;
    readonly said: string;
    readonly prompts: readonly string[];
  }

  async function come(user: string, at: string, how: { answers?: string[]; key?: boolean; methods?: string }) {
    const login = `${user}@${at}`;
    const ran = await ssh(house.gate, {
      user: login,
      ...(how.key === true ? { keyFile: house.key.file } : {}),
      ...(how.answers === undefined ? {} : { answers: how.answers }),
      options: ['NumberOfPasswordPrompts=2', `PreferredAuthentications=${how.methods ?? 'publickey,password'}`],
      flags: ['-v'],
      command: 'true',
    });
    return {
      code: ran.code,
      stdout: ran.stdout,
      said: plain(ran.stderr, login),
      prompts: ran.prompts.map((prompt) => prompt.replaceAll(login, 'LOGIN')),
    } satisfies Answer;
  }

  test('bobby comes in with his password and with his key', async () => {
    expect(await come('bobby', 'deploy@web-01', { answers: [right] })).toMatchObject({ code: 0 });
    expect(await come('bobby', 'deploy@web-01', { key: true })).toMatchObject({ code: 0 });
  });

  test.each(['password', 'keyboard-interactive'])(
    'by %s: wrong, unknown, expired, disabled and locked look alike; the trail tells them apart',
    async (methods) => {
      await house.call('user.unlock', { name: 'erica' });
      // A user is locked after five wrong ones, whatever connection they come by; the right one is then refused too.
      for (let wrong = 0; wrong < 5; wrong += 2)
        await come('erica', 'deploy@web-01', { answers: ['wrong', 'wrong'], methods });
      const from = await house.mark();
      const two = { answers: ['wrong', right], methods };
      const wrong = await come('bobby', 'deploy@web-01', { answers: ['wrong', 'wrong'], methods });
      const others = [
        await come('nobod', 'deploy@web-01', two),
        await come('carol', 'deploy@web-01', two),
        await come('daisy', 'deploy@web-01', two),
        await come('erica', 'deploy@web-01', two),
        await come('bobby', 'deploy@no-such', { answers: ['wrong', 'wrong'], methods }),
      ];
      expect(wrong).toMatchObject({ code: 255, stdout: '' });
      expect(wrong.said).toContain('Permission denied');
      expect(wrong.prompts).toHaveLength(2);
      for (const other of others) expect(other).toEqual(wrong);
      expect(await come('bobby', 'deploy@web-01', { answers: [right], methods })).toMatchObject({ code: 0 });
      const told = (await house.trail(from)).filter((row) => row.type === 'identity.login.refused');
      expect(told.map(({ details }) => [details['user'], details['code'], details['factor']])).toEqual(
        [
          ['bobby', 'identity.password-wrong'],
          ['(unknown)', 'identity.user-unknown'],
          ['carol', 'identity.user-expired'],
          ['daisy', 'identity.user-disabled'],
          ['erica', 'identity.user-locked'],
          ['bobby', 'identity.password-wrong'],
        ].flatMap(([user, code]) => [
          [user, code, 'password'],
          [user, code, 'password'],
        ]),
      );
    },
  );

  test('by key: a stranger’s, an expired user’s, a disabled user’s and nobody’s look alike', async () => {
    const wrong = await come('erica', 'deploy@web-01', { key: true, methods: 'publickey' });
    expect(wrong).toMatchObject({ code: 255, stdout: '' });
    for (const user of ['nobod', 'carol', 'daisy'])
      expect(await come(user, 'deploy@web-01', { key: true, methods: 'publickey' })).toEqual(wrong);
  });

  test('unknown and forbidden places look alike to whoever is logged in; the trail tells them apart', async () => {
    const from = await house.mark();
    const wishes: [string, string, string][] = [
      ['bobby', 'deploy@no-such', 'no such target'],
      ['bobby', 'nosuch@web-01', 'no such account'],
      ['bobby', 'oracle@web-01', 'no grant allows it now'],
      ['bobby', 'deploy@web-02', 'no grant allows it now'],
      ['bobby', 'deploy@web-01,no-such', 'no such service'],
      ['bobby', 'no-such', 'no such target'],
      ['bobby', 'web-02', 'no grant allows it now'],
      ['frank', 'deploy@web-01', 'no grant allows it now'],
      ['ginny', 'deploy@web-01', 'no grant allows it now (last year: expired)'],
      ['henry', 'deploy@web-01', 'no grant allows it now (nights of 2020: outside its time frame)'],
    ];
    const answers: Answer[] = [];
    for (const [user, at] of wishes) answers.push(await come(user, at, { key: true }));
    expect(answers[0]).toMatchObject({ code: 255, stdout: '', prompts: [] });
    expect(answers[0]?.said).toContain('sallyport: there is no such place, or you may not go there');
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    const byPassword = await come('bobby', 'oracle@web-01', { answers: [right] });
    expect(await come('bobby', 'deploy@no-such', { answers: [right] })).toEqual(byPassword);
    expect(byPassword.prompts).toHaveLength(1);
    const trail = await house.trail(from);
    const told = trail.filter((row) => row.type === 'access.refused');
    expect(told.slice(0, wishes.length).map(({ details }) => [details['selector'], details['reason']])).toEqual(
      wishes.map(([, selector, reason]) => [selector, reason]),
    );
    expect(trail.filter((row) => /^(session\.opened|vault\.credential\.opened)$/.test(row.type))).toEqual([]);
  });

  test('an account without a recorded password is said to be one, with the session to ask about', async () => {
    const from = await house.mark();
    const ran = await house.visit('unused@web-01', { command: 'true' });
    const { details } = await house.event((row) => row.type === 'vault.credential.refused', from);
    expect(details).toMatchObject({ code: 'vault.no-password-recorded', reason: 'No password recorded yet' });
    const session = String(details['session']);
    expect(ran).toMatchObject({ code: 255, stdout: '' });
    const said = ran.stderr.split('\n').filter((line) => line.includes('sallyport:'));
    expect(said).toHaveLength(1);
    expect(said[0]).toContain('No password recorded yet');
    expect(said[0]).toContain(`(session ${session})`);
    const ended = await house.event((row) => row.type === 'session.ended', from);
    expect(ended.details).toMatchObject({ session });
    expect(JSON.stringify(ended.details)).toContain('No password recorded yet');
    const list = await house.product.cli(['account', 'ls']);
    expect(list.stdout).toMatch(/unused@web-01 .*No password recorded yet/);
    expect(machine.sshdLog()).not.toContain('unused');
  });
});

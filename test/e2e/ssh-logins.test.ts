/** Coming in and getting on: the factors of people, the spellings of a destination, the ways into a target, its host key. */
import { generate } from 'otplib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SshOptions, ssh } from '../lab/client.ts';
import { fullMachines } from '../lab/machine.ts';
import { canary, searchBytes } from '../support/canary.ts';
import { openStage, type Stage, target } from './ssh-stage.ts';

describe.runIf(fullMachines)('logins', () => {
  let stage: Stage;
  beforeAll(async () => {
    // At this level sshd tells of every request for authentication.
    stage = await openStage({ sshd: ['LogLevel DEBUG2'], product: { logLevel: 'debug' } });
  });
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]();
  });

  /** Says who one is there, so that a login is seen to have ended where it should. */
  const who = 'id -un';
  const as = (user: string, options: Omit<SshOptions, 'user'> = {}) =>
    ssh(stage.gate, { user, command: who, ...options });
  const withKey = (user: string, options: Partial<SshOptions> = {}) => stage.ssh(who, { user, ...options });

  describe('people', () => {
    test('a key', async () => {
      const from = await stage.mark();
      const ran = await withKey('alice@deploy@web-01');
      expect([ran.code, ran.stdout], ran.stderr).toEqual([0, 'deploy\n']);
      const row = await stage.event((one) => one.type === 'identity.login.succeeded', from);
      expect(row.details['factors']).toEqual(['key']);
    });

    test.each([
      ['a password', 'password', /password: $/],
      ['a password by keyboard-interactive', 'keyboard-interactive', /Password: $/],
    ])('%s', async (_, method, prompt) => {
      const options = [`PreferredAuthentications=${method}`];
      const ran = await as('bob@deploy@web-01', { answers: [stage.passwords.bob], options });
      expect([ran.code, ran.stdout], ran.stderr).toEqual([0, 'deploy\n']);
      expect(ran.prompts).toEqual([expect.stringMatching(prompt)]);
    });

    test('a wrong password, an unknown person and a wrong key are refused in the same words, and audited apart', async () => {
      const from = await stage.mark();
      const wrong = await as('bob@deploy@web-01', {
        answers: ['Wrong-password-1!'],
        options: ['PreferredAuthentications=password'],
      });
      const unknown = await as('nobody@deploy@web-01', {
        answers: ['Wrong-password-1!'],
        options: ['PreferredAuthentications=password'],
      });
      const key = await withKey('bob@deploy@web-01');
      for (const ran of [wrong, unknown, key]) expect([ran.code, ran.stdout]).toEqual([255, '']);
      const words = (text: string) =>
        text
          .split('\n')
          .find((line) => line.includes('Permission denied'))
          ?.trimEnd()
          ?.replace(/^.*: Permission/, 'Permission');
      expect(words(wrong.stderr)).toBe('Permission denied (publickey,password,keyboard-interactive).');
      expect([words(unknown.stderr), words(key.stderr)]).toEqual([words(wrong.stderr), words(wrong.stderr)]);
      const refused = (user: string) => (row: { type: string; details: Readonly<Record<string, unknown>> }) =>
        row.type === 'identity.login.refused' && row.details['user'] === user;
      expect((await stage.event(refused('bob'), from)).details['code']).toBe('identity.password-wrong');
      expect((await stage.event(refused('(unknown)'), from)).details['code']).toBe('identity.user-unknown');
      expect(stage.trail.filter((row) => row.seq > from && row.type === 'session.opened')).toEqual([]);
    });

    describe('with a one-time code', () => {
      async function seedOf(name: string): Promise<string> {
        const { uri } = await stage.product.ask<{ uri: string }>(['user', 'totp', name]);
        return new URL(uri).searchParams.get('secret') ?? '';
      }
      /** Codes are taken once: of this half minute, and of the next, which is taken early. */
      const code = (secret: string, step = 0): Promise<string> =>
        generate({ secret, epoch: Math.floor(Date.now() / 1000) + 30 * step });
      const wrongOf = (right: string): string => right.replace(/\d/g, (digit) => String((Number(digit) + 5) % 10));

      test('a key and a code; not without it, not with a wrong one, not with the same one again', async () => {
        const secret = await seedOf('dave');
        const user = 'dave@deploy@web-01';
        const without = await withKey(user);
        expect([without.code, without.stdout]).toEqual([255, '']);
        const now = await code(secret);
        const wrong = await withKey(user, { answers: [wrongOf(now)] });
        expect([wrong.code, wrong.stdout]).toEqual([255, '']);
        const from = await stage.mark();
        const good = await ssh(stage.gate, { user, keyFile: stage.aliceKey, answers: [now], command: who });
        expect([good.code, good.stdout], good.stderr).toEqual([0, 'deploy\n']);
        expect(good.prompts).toEqual([expect.stringMatching(/One-time code: $/)]);
        const row = await stage.event((one) => one.type === 'identity.login.succeeded', from);
        expect(row.details['factors']).toEqual(['key', 'totp']);
        const again = await withKey(user, { answers: [now] });
        expect([again.code, again.stdout]).toEqual([255, '']);
        await stage.event((one) => one.details['code'] === 'identity.totp-replayed', from);
      });

      test('a password and a code, in one conversation and in two; not with half of it', async () => {
        const secret = await seedOf('erin');
        const user = 'erin@deploy@web-01';
        const password = stage.passwords.erin;
        const now = await code(secret);
        const half = await as(user, { answers: [password] });
        expect([half.code, half.stdout]).toEqual([255, '']);
        const wrong = await as(user, { answers: [password, wrongOf(now)] });
        expect([wrong.code, wrong.stdout]).toEqual([255, '']);
        const one = await as(user, {
          answers: [password, now],
          options: ['PreferredAuthentications=keyboard-interactive'],
        });
        expect([one.code, one.stdout], one.stderr).toEqual([0, 'deploy\n']);
        const from = await stage.mark();
        const two = await as(user, {
          answers: [password, await code(secret, 1)],
          options: ['PreferredAuthentications=password,keyboard-interactive'],
        });
        expect([two.code, two.stdout], two.stderr).toEqual([0, 'deploy\n']);
        const row = await stage.event((event) => event.type === 'identity.login.succeeded', from);
        expect(row.details['factors']).toEqual(['password', 'totp']);
      });

      test('a key alone does not come in after the wrong code by another method', async () => {
        const ran = await withKey('dave@deploy@web-01', {
          answers: [stage.passwords.alice],
          options: ['PreferredAuthentications=publickey,password'],
        });
        expect([ran.code, ran.stdout]).toEqual([255, '']);
      });
    });
  });

  describe('destinations', () => {
    test.each([
      ['one account that is allowed needs no name', 'bob@web-01', 'deploy'],
      ['plus signs', 'bob+deploy+web-01', 'deploy'],
      ['case', 'Bob@deploy@WEB-01', 'deploy'],
      ['a service by name', 'bob@deploy@web-01,ssh', 'deploy'],
    ])('%s: %s', async (_, user, account) => {
      const ran = await as(user, { answers: [stage.passwords.bob] });
      expect([ran.code, ran.stdout], ran.stderr).toEqual([0, `${account}\n`]);
    });

    test.each(['carol@corp.example@kbd@web-01', 'carol%40corp.example@kbd@web-01', 'carol%40corp.example+kbd+web-01'])(
      'a user who is an e-mail address: %s',
      async (user) => {
        const from = await stage.mark();
        const ran = await withKey(user);
        expect([ran.code, ran.stdout], ran.stderr).toEqual([0, 'kbd\n']);
        const row = await stage.event((one) => one.type === 'session.opened', from);
        expect(row.details['selector']).toBe('kbd@web-01');
      },
    );

    test('several accounts are allowed and none is named: the client is told which', async () => {
      const ran = await withKey('alice@web-01');
      expect([ran.code, ran.stdout]).toEqual([255, '']);
      expect(ran.stderr).toContain('name one of these accounts: deploy, kbd, keyed');
    });

    test('what does not exist and what is forbidden end in the same words', async () => {
      const users = ['bob@kbd@web-01', 'bob@none@web-01', 'bob@deploy@none', 'bob@deploy@web-01,none', 'bob'];
      const words = new Set<string>();
      for (const user of users) {
        const ran = await as(user, { answers: [stage.passwords.bob] });
        expect([ran.code, ran.stdout]).toEqual([255, '']);
        words.add(ran.stderr.split('\n').find((line) => line.includes('sallyport:')) ?? ran.stderr);
      }
      expect([...words]).toHaveLength(1);
    });
  });

  describe('targets', () => {
    test.each([
      ['a password', 'deploy', 'password'],
      ['keyboard-interactive and nothing else', 'kbd', 'keyboard-interactive/pam'],
      ['a key and nothing else', 'keyed', 'publickey'],
    ])('that take %s', async (_, account, method) => {
      const ran = await withKey(`alice@${account}@web-01`);
      expect([ran.code, ran.stdout], ran.stderr).toEqual([0, `${account}\n`]);
      await stage.machine.logged(new RegExp(`Accepted ${method} for ${account} from`));
    });

    test('the injected secret is not in anything that the client gets, says or logs, nor in the log', async () => {
      const ran = await withKey('alice@deploy@web-01', { flags: ['-vvv'] });
      expect(ran.code, ran.stderr).toBe(0);
      const secrets = Object.entries(stage.secrets).map(([name, value]) => canary(name, value));
      expect(searchBytes(secrets, 'the client', Buffer.concat([ran.output, Buffer.from(ran.stderr)]))).toEqual([]);
      expect(searchBytes(secrets, 'the log', stage.product.log())).toEqual([]);
      expect(searchBytes(secrets, 'the trail', JSON.stringify(stage.trail))).toEqual([]);
    });

    test('a target that takes the vaulted password no longer: a clean end, audited, and the account is free again', async () => {
      await stage.machine.exec(['chpasswd'], { input: `kbd:Changed-behind-the-back-1\n` });
      const from = await stage.mark();
      const ran = await withKey('alice@kbd@web-01');
      expect([ran.code, ran.stdout]).toEqual([255, '']);
      expect(ran.stderr).toMatch(/sallyport: .*\(session [0-9a-f-]{36}\)/);
      const row = await stage.event((one) => one.type === 'session.ended', from);
      expect(row.details['outcome']).toBe('broken');
      await stage.machine.exec(['chpasswd'], { input: `kbd:${stage.secrets.kbd}\n` });
      const after = await withKey('alice@kbd@web-01');
      expect([after.code, after.stdout], after.stderr).toEqual([0, 'kbd\n']);
    });

    test('a target that is away: a clean end in seconds, audited', async () => {
      await stage.machine.stopSshd();
      const from = await stage.mark();
      const ran = await withKey('alice@deploy@web-01');
      expect([ran.code, ran.stdout]).toEqual([255, '']);
      expect(ran.stderr).toContain('ECONNREFUSED');
      await stage.event((one) => one.type === 'session.ended', from);
      await stage.machine.restartSshd();
    });
  });

  describe('host keys', () => {
    /** Another name for the machine, of whose keys nothing is known. */
    async function declare(name: string, policy: 'strict' | 'first-use'): Promise<void> {
      const { address, port } = stage.machine;
      await stage.product.ask(
        ['apply', '-f', '-'],
        `
targets:
  - { name: ${name}, address: ${address}, services: [{ protocol: ssh, port: ${port}, hostKeyPolicy: ${policy} }] }
accounts: [{ name: deploy@${name}, policy: Standard }]
grants: [{ name: ${name}, group: ops, targets: [${name}] }]
`,
      );
    }

    test('strict, and no key is trusted: refused, and nothing is sent', async () => {
      await declare('web-02', 'strict');
      const before = stage.machine.sshdLog().length;
      const from = await stage.mark();
      const ran = await withKey('alice@deploy@web-02');
      expect([ran.code, ran.stdout]).toEqual([255, '']);
      expect(ran.stderr).toMatch(/host key/);
      await stage.event((one) => one.type === 'session.ended', from);
      expect(stage.trail.filter((one) => one.seq > from && one.type === 'vault.credential.opened')).toEqual([]);
      expect(stage.machine.sshdLog().slice(before)).not.toMatch(/userauth|deploy/);
    });

    test('first use: the first key is trusted and audited, and every other one is refused afterwards', async () => {
      await declare('web-03', 'first-use');
      const from = await stage.mark();
      // The key is looked at before the credential, of which there is none yet: it is tried at the target when it is stored.
      const first = await withKey('alice@deploy@web-03');
      expect(first.stderr).toContain('no credential is stored');
      const trusted = await stage.event((one) => one.type === 'estate.hostkey.trusted', from);
      expect(trusted.details).toMatchObject({ target: 'web-03', how: 'first-use' });
      await stage.product.ask(['account', 'set', 'deploy@web-03', '--stdin'], stage.secrets.deploy);
      const again = await withKey('alice@deploy@web-03');
      expect([again.code, again.stdout], again.stderr).toEqual([0, 'deploy\n']);
      expect(stage.trail.filter((one) => one.seq > from && one.type === 'estate.hostkey.trusted')).toHaveLength(1);
      await stage.machine.restartSshd({ hostKeyTypes: ['ed25519', 'ecdsa-256'] });
      const changed = await withKey('alice@deploy@web-03');
      expect([changed.code, changed.stdout]).toEqual([255, '']);
      const row = await stage.event((one) => one.type === 'estate.hostkey.mismatched', from);
      expect(row.details).toMatchObject({ target: 'web-03' });
    });

    test.each([
      ['another key of the same type', ['ed25519', 'ecdsa-256']],
      ['only a key of another type', ['rsa-3072']],
    ] as const)('%s: refused before anything is said of who and with what; after trust it works', async (_, types) => {
      await stage.machine.restartSshd({ hostKeyTypes: types });
      const before = stage.machine.sshdLog().length;
      const from = await stage.mark();
      const ran = await withKey('alice@deploy@web-01');
      expect([ran.code, ran.stdout]).toEqual([255, '']);
      expect(ran.stderr).toMatch(/host key/);
      const row = await stage.event((one) => one.type === 'estate.hostkey.mismatched', from);
      expect(row.details).toMatchObject({ target, presented: expect.stringMatching(/^SHA256:/) });
      await stage.event((one) => one.type === 'session.ended', from);
      expect(stage.trail.filter((one) => one.seq > from && one.type === 'vault.credential.opened')).toEqual([]);
      const said = stage.machine.sshdLog().slice(before);
      expect(said).toContain('Connection from');
      expect(said).not.toMatch(/userauth|deploy/);

      await stage.product.ask(['target', 'trust', target, '--yes']);
      const after = await withKey('alice@deploy@web-01');
      expect([after.code, after.stdout], after.stderr).toEqual([0, 'deploy\n']);
      expect(stage.machine.sshdLog().slice(before)).toMatch(/userauth-request for user deploy/);
    });
  });
});

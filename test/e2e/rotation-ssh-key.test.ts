/** ssh-key on a machine with a real sshd. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginCredential } from '../../src/rotation/connectors/connector.ts';
import { fullMachines, type Machine } from '../lab/machine.ts';
import { conformance } from '../rotation/connectors/conformance.ts';
import {
  accountsMachine,
  ask,
  pair,
  password,
  passwords,
  placeOf,
  sh,
  sshBench,
  work,
} from '../rotation/connectors/machine.ts';

const file = '/home/app/.ssh/authorized_keys';

describe.runIf(fullMachines)('ssh-key', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await accountsMachine('sshkeys', { app: [(await pair('first')).line] });
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());
  const connector = 'ssh-key';
  const verify = (login: Awaited<ReturnType<typeof pair>>['login'], user = 'app') =>
    ask({
      connector,
      operation: 'verify',
      task: { place: placeOf(machine), account: user, settings: {} },
      login: { user, credential: login },
    });
  const write = async (content: string): Promise<void> =>
    machine.putFile(file, content, { owner: 'app', mode: '0600' });

  conformance({
    ...sshBench(() => machine),
    connector,
    bothLive: true,
    draw: async () => {
      const { publicKey, login } = await pair('drawn');
      return { fresh: { kind: 'ssh-key', publicKey }, login };
    },
    plant: async () => {
      const { publicKey, login, line } = await pair('planted');
      await write(`${line}\n`);
      return { fresh: { kind: 'ssh-key', publicKey }, login };
    },
    forbid: async () => {
      await machine.exec(['chmod', '0500', '/home/app/.ssh']);
      return {
        [Symbol.asyncDispose]: async () => {
          await machine.exec(['chmod', '0700', '/home/app/.ssh']);
        },
      };
    },
    // A key does not expire; the account's password does, and sshd then lets nobody run anything, by whatever he came.
    expire: async () => {
      await sh(machine, 'chage -d 0 app');
      return {
        [Symbol.asyncDispose]: async () => {
          await sh(machine, 'chage -d "$(date +%F)" app');
        },
      };
    },
    without: {
      lock: 'keys are not locked by refused logins',
      lie: 'the file is replaced in one step',
      strikes: 'keys are not locked by refused logins',
      nasty: 'keys are drawn, and have no characters of anybody',
    },
  });

  test('an account changes its own key: new in, proven, old out, foreign lines byte for byte', async () => {
    const [old, fresh, foreign] = [await pair('old'), await pair('new'), await pair('someone else')];
    const around = [
      `# kept for the auditors\r\n\r\n  restrict,command="echo \\"hi\\" ssh-ed25519 x" ${foreign.line}\r\n`,
      `cert-authority ssh-ed25519 AAAA broken line\n\tno key at all`,
    ] as const;
    await write(`${around[0]}from="127.0.0.0/8",no-pty ${old.line}\n${around[1]}`);
    await machine.exec(['chmod', '0640', file]);
    const self = work(placeOf(machine), 'app', 'app', old.login);
    expect(await ask({ connector, operation: 'precheck', work: self })).toMatchObject({ outcome: 'confirmed' });
    const change = { kind: 'ssh-key', publicKey: fresh.publicKey, replaces: old.publicKey } as const;
    expect(await ask({ connector, operation: 'change', work: self, fresh: change })).toMatchObject({
      outcome: 'confirmed',
    });
    expect([await verify(fresh.login), await verify(old.login)]).toMatchObject([
      { outcome: 'accepted' },
      { outcome: 'accepted' },
    ]);
    const after = work(placeOf(machine), 'app', 'app', fresh.login);
    expect(await ask({ connector, operation: 'retire', work: after, former: [old.publicKey] })).toMatchObject({
      outcome: 'confirmed',
    });
    expect([await verify(fresh.login), await verify(old.login)]).toMatchObject([
      { outcome: 'accepted' },
      { outcome: 'rejected' },
    ]);
    const content = await machine.readFile(file);
    const first = content.slice(0, content.indexOf('\n') + 1);
    expect(first).toContain('from="127.0.0.0/8",no-pty ssh-ed25519 ');
    expect(content.slice(first.length)).toBe(`${around[0]}${around[1]}`);
    const { stdout } = await machine.exec(['stat', '-c', '%a %U %G', file]);
    expect(stdout.trim()).toBe('640 app app');
    expect((await machine.exec(['ls', '-A', '/home/app/.ssh'])).stdout.trim()).toBe('authorized_keys');
  });

  test('a symbolic link in the account home does not lead the administrator', async () => {
    await machine.exec(['sh', '-c', `rm -f ${file} && ln -s /etc/shadow ${file}`]);
    const before = await machine.readFile('/etc/shadow');
    const { publicKey } = await pair('lured');
    const what = work(placeOf(machine), 'app', 'root', password(passwords.root));
    const answer = await ask({ connector, operation: 'change', work: what, fresh: { kind: 'ssh-key', publicKey } });
    expect(answer.outcome).not.toBe('confirmed');
    expect(await machine.readFile('/etc/shadow')).toBe(before);
    await machine.exec(['rm', '-f', file]);
  });

  test('an account without any key file gets one that sshd takes', async () => {
    await machine.exec(['rm', '-rf', '/home/app/.ssh']);
    const { publicKey, login } = await pair('the first one');
    const what = work(placeOf(machine), 'app', 'nopass', password(passwords.nopass));
    expect(
      await ask({ connector, operation: 'change', work: what, fresh: { kind: 'ssh-key', publicKey } }),
    ).toMatchObject({ outcome: 'confirmed' });
    expect(await verify(login)).toMatchObject({ outcome: 'accepted' });
  });

  test.each(['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa-2048', 'rsa-4096'] as const)(
    'a key of the kind %s is put in place, lets in, and is taken away again',
    async (kind) => {
      const { publicKey, login } = await pair(kind, kind);
      const what = work(placeOf(machine), 'app', 'root', password(passwords.root));
      const fresh = { kind: 'ssh-key', publicKey } as const;
      expect(await ask({ connector, operation: 'change', work: what, fresh })).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(login)).toMatchObject({ outcome: 'accepted' });
      const gone = await ask({ connector, operation: 'retire', work: what, former: [publicKey] });
      expect(gone).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(login)).toMatchObject({ outcome: 'rejected' });
    },
  );

  describe('an administrator looks into the files', () => {
    const lookUp = async (logins: readonly LoginCredential[], settings = {}) => {
      const task = { place: placeOf(machine), account: 'app', settings };
      const admin = { user: 'nopass', credential: password(passwords.nopass) };
      const answer = await ask({ connector, operation: 'adminverify', task, admin, candidates: logins, budget: 0 });
      return answer.each?.map((one) => [one.answer, one.how ?? one.class]);
    };

    test('a key is there or not, and no login is made', async () => {
      const [there, second, away] = [await pair('there'), await pair('second'), await pair('away')];
      await write(`restrict ${there.line}\n`);
      await machine.putFile('/home/app/.ssh/authorized_keys2', `${second.line}\n`, { owner: 'app' });
      expect(await lookUp([away.login, there.login, second.login])).toEqual([
        ['rejected', 'stored'],
        ['accepted', 'stored'],
        ['accepted', 'stored'],
      ]);
    });

    test('what a line lets in only under a condition is not answered from the file', async () => {
      const [near, far, once, signs] = [await pair('near'), await pair('far'), await pair('once'), await pair('signs')];
      const lines = [
        `from="192.0.2.0/24" ${far.line}`,
        `expiry-time="20200101" ${once.line}`,
        `cert-authority ${signs.line}`,
        `no-pty,command="echo a, \\"b\\"" ${near.line}`,
      ];
      await write(`${lines.join('\n')}\n`);
      expect(await lookUp([far.login, once.login, signs.login, near.login])).toEqual([
        ['unknown', 'budget'],
        ['unknown', 'budget'],
        ['unknown', 'budget'],
        ['accepted', 'stored'],
      ]);
      for (const one of [far, once, signs]) expect(await verify(one.login)).toMatchObject({ outcome: 'rejected' });
    });

    test('where sshd looks elsewhere for logins that come as ours do, it is asked about those', async () => {
      const [there, usual] = [await pair('there'), await pair('usual')];
      await write(`${usual.line}\n`);
      await machine.putFile('/home/app/.ssh/from-here', `${there.line}\n`, { owner: 'app', mode: '0600' });
      const settings = ['PermitRootLogin yes', 'MaxStartups 100'];
      const match = [`Match LocalPort ${machine.port}`, 'AuthorizedKeysFile .ssh/from-here'];
      await machine.restartSshd({ sshd: [...settings, ...match] });
      expect([await verify(there.login), await verify(usual.login)]).toMatchObject([
        { outcome: 'accepted' },
        { outcome: 'rejected' },
      ]);
      expect(await lookUp([there.login, usual.login])).toEqual([
        ['accepted', 'stored'],
        ['rejected', 'stored'],
      ]);
      await machine.restartSshd({ sshd: settings });
      await sh(machine, 'rm /home/app/.ssh/from-here');
    });

    test('a key of the second file is taken away too', async () => {
      const [there, second] = [await pair('there'), await pair('second')];
      await write(`${there.line}\n`);
      await machine.putFile('/home/app/.ssh/authorized_keys2', `${second.line}\n`, { owner: 'app' });
      const what = work(placeOf(machine), 'app', 'root', password(passwords.root));
      const job = { connector, operation: 'retire', work: what, former: [second.publicKey] } as const;
      expect(await ask(job)).toMatchObject({ outcome: 'confirmed' });
      expect([await verify(there.login), await verify(second.login)]).toMatchObject([
        { outcome: 'accepted' },
        { outcome: 'rejected' },
      ]);
      expect(await machine.readFile(file)).toBe(`${there.line}\n`);
      await sh(machine, 'rm /home/app/.ssh/authorized_keys2');
    });

    test('where sshd asks a program too, a key that is in no file may let in all the same', async () => {
      const [there, away] = [await pair('there'), await pair('away')];
      await write(`${there.line}\n`);
      const usual = ['PermitRootLogin yes', 'MaxStartups 100'];
      const command = ['AuthorizedKeysCommand /bin/true', 'AuthorizedKeysCommandUser nobody'];
      await machine.restartSshd({ sshd: [...usual, ...command] });
      expect(await lookUp([there.login, away.login])).toEqual([
        ['accepted', 'stored'],
        ['unknown', 'budget'],
      ]);
      await machine.restartSshd({ sshd: usual });
    });
  });

  test('doing it twice adds one line', async () => {
    const { publicKey } = await pair('once');
    const what = work(placeOf(machine), 'app', 'root', password(passwords.root));
    for (const _ of [1, 2])
      expect(
        await ask({ connector, operation: 'change', work: what, fresh: { kind: 'ssh-key', publicKey } }),
      ).toMatchObject({ outcome: 'confirmed' });
    const content = await machine.readFile(file);
    expect(content.split(Buffer.from(publicKey).toString('base64'))).toHaveLength(2);
  });
});

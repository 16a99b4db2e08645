/**
 * Rotation as people meet it: after the last session on an account, and on demand; by the account itself, by root, by
 * sudo; passwords and keys. The proof is at the target: with the product stopped, each value is tried directly.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeKey } from '../lab/client.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { openStoppedVault } from '../support/stopped-vault.ts';
import { type AuditRow, type House, type Like, opens, openHouse, word } from './house.ts';

const keysFile = '/home/keyed/.ssh/authorized_keys';

describe.runIf(fullMachines)('rotation', () => {
  let house: House;
  let machine: Machine;
  const given: Record<string, string> = { root: word(), ops: word(), deploy: word(), app: word() };
  /** Lines of others in front of the account's key and behind it. */
  let before: string;
  let after: string;

  beforeAll(async () => {
    machine = await startMachine({
      name: 'web-01',
      users: [
        { name: 'root', password: given['root'] ?? '' },
        { name: 'ops', password: given['ops'] ?? '', sudo: 'password' },
        { name: 'deploy', password: given['deploy'] ?? '' },
        { name: 'app', password: given['app'] ?? '' },
        { name: 'keyed', authorizedKeys: [] },
      ],
      sshd: ['PermitRootLogin yes'],
    });
    house = await openHouse(
      () => `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets: [{ name: web-01, address: ${machine.address}, services: [{ port: ${machine.port} }] }]
accounts:
  - { name: root@web-01, connector: linux-chpasswd }
  - { name: ops@web-01, connector: linux-chpasswd }
  - { name: deploy@web-01, connector: linux-chpasswd, admin: root@web-01, rotateAfterSession: true }
  - { name: app@web-01, connector: linux-chpasswd, admin: ops@web-01 }
  - { name: keyed@web-01, kind: ssh-key, connector: ssh-key, rotateAfterSession: true }
grants: [{ name: ops, group: ops, targets: [web-01] }]
`,
    );
    await house.product.ask(['target', 'trust', 'web-01', '--yes']);
    const own = await makeKey(house.scratch, 'ecdsa-256');
    given['keyed'] = readFileSync(own.file, 'utf8');
    const stranger = (await makeKey(house.scratch, 'rsa-2048')).line;
    // What others have put there: options, odd spacing, comments, CRLF, something broken, and no end to the last line.
    before = `# who may\tin\r\nfrom="192.0.2.0/24",command="/bin/true",no-pty   ${stranger} of somebody\r\n\n  \n`;
    after = `ssh-ed25519 this-is-no-key kept all the same\n  # the end`;
    await machine.putFile(keysFile, `${before}${own.line}\n${after}`, { owner: 'keyed' });
    for (const [name, value] of Object.entries(given))
      await house.product.ask(['account', 'set', `${name}@web-01`, '--stdin'], value);
  });
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]();
    await machine?.[Symbol.asyncDispose]();
  });

  interface History {
    readonly conflict: string;
    readonly versions: readonly { sigkey: string; status: string; current: boolean; place: string; parent?: string }[];
  }
  const history = (name: string): Promise<History> => house.product.ask<History>(['history', `${name}@web-01`]);
  /** Events of rotation of the account that `since` is about. */
  const of =
    (type: string, about?: AuditRow): Like =>
    (row) =>
      row.type === type && (about === undefined || row.details['account'] === about.details['account']);

  test('the last of two overlapping sessions, and not the first, starts a rotation within 10 s', async () => {
    const from = await house.mark();
    await using first = await house.stay('deploy@web-01');
    await using second = await house.stay('deploy@web-01');
    first.leave();
    expect((await first.over).code).toBe(0);
    const one = await house.event(of('session.ended'), from);
    expect(one.details).toMatchObject({ session: first.session });
    const meanwhile = await house.product.cli(['rotate', 'deploy@web-01']);
    expect(meanwhile.stderr).toContain('rotation.in-use');
    expect(meanwhile.code).toBe(7);
    expect((await history('deploy')).versions).toHaveLength(1);
    second.type('the second one goes on\n');
    await second.shows('the second one goes on');
    second.leave();
    expect((await second.over).code).toBe(0);
    const last = await house.event((row) => row.type === 'session.ended' && row.seq > one.seq, from);
    expect(last.details).toMatchObject({ session: second.session });
    const started = await house.event(of('rotation.started', last), from, 10);
    expect(started.seq).toBeGreaterThan(last.seq);
    expect(started.details).toMatchObject({ cause: 'post-session', connector: 'linux-chpasswd' });
    expect(Date.parse(started.at) - Date.parse(last.at)).toBeLessThan(10_000);
    await house.event(of('rotation.confirmed', last), from);
    expect(await opens(machine, 'deploy', given['deploy'] ?? '')).toBe('refused');
    const { versions, conflict } = await history('deploy');
    expect(conflict).toBe('none');
    expect(versions.map(({ status, current }) => [status, current])).toEqual([
      ['C', false],
      ['C', true],
    ]);
    expect(versions[1]?.parent).toBe(versions[0]?.sigkey);
  });

  test('the next session gets in with the new value, and the one after that with the one after that', async () => {
    for (const round of [1, 2]) {
      const from = await house.mark();
      expect(await house.visit('deploy@web-01', { command: `echo round ${round}` })).toMatchObject({
        code: 0,
        stdout: `round ${round}\n`,
      });
      await house.event(of('rotation.confirmed'), from);
    }
    expect((await history('deploy')).versions).toHaveLength(4);
  });

  test.each([
    ['root', 'changes its own password'],
    ['app', 'is changed by an account that becomes root through sudo'],
    ['ops', 'changes its own password through sudo'],
    ['deploy', 'is changed by root, whose own password was changed before'],
  ])('on demand %s %s', async (name) => {
    const count = (await history(name)).versions.length;
    const ran = await house.product.cli(['rotate', `${name}@web-01`]);
    expect(ran.stdout).toMatch(new RegExp(`^${name}@web-01: confirmed, `));
    expect(ran.code).toBe(0);
    expect(await opens(machine, name, given[name] ?? '')).toBe('refused');
    const verified = await house.product.cli(['verify', `${name}@web-01`]);
    expect(verified.stdout).toMatch(new RegExp(`^${name}@web-01: accepted`));
    expect(verified.code).toBe(0);
    const table = await house.product.cli(['history', `${name}@web-01`]);
    expect(table.stdout.split('\n').filter((line) => / C /.test(line))).toHaveLength(count + 1);
    expect(await house.visit(`${name}@web-01`, { command: 'id -un' })).toMatchObject({ code: 0, stdout: `${name}\n` });
  });

  test('a key is replaced after the session, and every line of others stays byte for byte', async () => {
    const from = await house.mark();
    const mine = (file: string): string => file.replace(before, '').replace(after, '').trim();
    const former = mine(await machine.readFile(keysFile));
    expect(await house.visit('keyed@web-01', { command: 'id -un' })).toMatchObject({ code: 0, stdout: 'keyed\n' });
    const started = await house.event(
      (row) => of('rotation.started')(row) && row.details['connector'] === 'ssh-key',
      from,
    );
    await house.event(of('rotation.confirmed', started), from);
    const file = await machine.readFile(keysFile);
    const fresh = mine(file);
    expect(file).toBe(`${fresh}\n${before}${after}`);
    expect(fresh).toMatch(/^ssh-ed25519 \S+ keyed by sallyport$/);
    expect(fresh).not.toBe(former);
    expect((await machine.exec(['ls', '-A', '/home/keyed/.ssh'])).stdout).toBe('authorized_keys\n');
    expect((await machine.exec(['stat', '-c', '%a %U', keysFile])).stdout).toBe('600 keyed\n');
    expect(await house.visit('keyed@web-01', { command: 'id -un' })).toMatchObject({ code: 0, stdout: 'keyed\n' });
  });

  test('what was changed by hand is noticed before anything is generated, and a value that works can be stored', async () => {
    const byHand = word();
    await machine.exec(['chpasswd'], { input: `app:${byHand}\n` });
    const count = (await history('app')).versions.length;
    const verified = await house.product.cli(['verify', 'app@web-01']);
    expect(verified.stdout).toContain('app@web-01: rejected');
    expect(verified.code).not.toBe(0);
    const ran = await house.product.cli(['rotate', 'app@web-01']);
    expect(ran.stderr).toContain('rotation.precheck-failed');
    expect(ran.code).not.toBe(0);
    expect((await history('app')).versions).toHaveLength(count);
    const wrong = await house.product.cli(['account', 'set', 'app@web-01', '--stdin'], word());
    expect(wrong.stderr).toContain('rotation.credential-rejected');
    expect((await history('app')).versions).toHaveLength(count);
    await house.product.ask(['account', 'set', 'app@web-01', '--stdin'], byHand);
    expect(await house.visit('app@web-01', { command: 'id -un' })).toMatchObject({ code: 0, stdout: 'app\n' });
  });

  test('with the product stopped: of all values only the current one opens its account', async () => {
    const keys = await house.call('rotation.history', { account: 'keyed@web-01' });
    expect(keys.versions.length).toBeGreaterThan(1);
    await house.stop();
    await using vault = await openStoppedVault(house.product.data, house.product.rootKey);
    for (const name of Object.keys(given)) {
      const values = await vault.values(`${name}@web-01`);
      expect(values.length).toBeGreaterThan(1);
      expect(values.filter((value) => value.current)).toHaveLength(1);
      const answers = await Promise.all(
        values.map(async ({ bytes }) => await opens(machine, name, Buffer.from(bytes).toString())),
      );
      expect([name, ...answers]).toEqual([name, ...values.map(({ current }) => (current ? 'accepted' : 'refused'))]);
    }
  });
});

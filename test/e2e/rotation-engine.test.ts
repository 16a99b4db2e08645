/** Rotation from top to bottom: database, vault, connector processes, and a machine with real PAM and a real sshd. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import { generateKeyPair } from '../../src/protocol/ssh/ssh.ts';
import { processRunner } from '../../src/rotation/connectors/run.ts';
import { type RotationResult, scanHostKeys } from '../../src/rotation/rotation.ts';
import { type Account, type Credential, hold } from '../../src/vault/vault.ts';
import { fullMachines, type Machine } from '../lab/machine.ts';
import { openWire } from '../lab/wire.ts';
import { accountsMachine, passwords, settledMachine } from '../rotation/connectors/machine.ts';
import { never, operator, type RotationRoom, rotationRoom } from '../rotation/room.ts';

const timing = { targetSeconds: 2, connectorMs: 15_000, leaseMs: 60_000, pollMs: 1_000 };

describe.runIf(fullMachines)('rotation on a real machine', () => {
  let machine: Machine;
  let room: RotationRoom;
  beforeAll(async () => {
    machine = await accountsMachine('rotated');
    room = await rotationRoom({ run: processRunner(), timing });
    await room.target(machine);
  });
  afterAll(async () => {
    await room?.[Symbol.asyncDispose]();
    await machine?.[Symbol.asyncDispose]();
  });

  async function known(account: Account, credential: Credential): Promise<void> {
    const result = await room.rotation.recordKnown(account.id, credential, { unverified: false }, operator, never);
    expect(result).toMatchObject({ status: 'confirmed' });
  }
  const secret = (text: string): Credential => ({ kind: 'password', secret: Secret.fromText(text) });
  async function rotate(account: Account): Promise<RotationResult> {
    const result = await room.rotation.rotate(account.id, 'on-demand', operator, never);
    if (isRefusal(result)) throw new Error(`${result.code}: ${result.reason}`);
    return result;
  }
  async function shadow(user: string): Promise<string> {
    return (await machine.readFile('/etc/shadow')).split('\n').find((line) => line.startsWith(`${user}:`)) ?? '';
  }

  test('a wrong value is not recorded, a right one is', async () => {
    const admin = await room.account({ name: 'asking@box', kind: 'password' });
    const wrong = await room.rotation.recordKnown(admin.id, secret('wrong'), { unverified: false }, operator, never);
    expect(wrong).toMatchObject({ refused: true, code: 'rotation.credential-rejected', class: 'authentication' });
    await known(admin, secret(passwords.asking));
    expect(await room.rotation.verify(admin.id, operator, never)).toMatchObject({ answer: 'accepted' });
  });

  test('a password is changed by an administrator through sudo, proven, and current', async () => {
    const app = await room.account({
      name: 'app@box',
      kind: 'password',
      connector: 'linux-chpasswd',
      admin: 'asking@box',
    });
    await known(app, secret(passwords.app));
    const before = await shadow('app');
    expect(await rotate(app)).toMatchObject({ status: 'confirmed' });
    expect(await shadow('app')).not.toBe(before);
    expect(await room.rotation.verify(app.id, operator, never)).toMatchObject({ answer: 'accepted' });
    expect(await room.value(app)).not.toBe(passwords.app);
  });

  test('a password set by hand stops it before anything is generated, and the machine is left alone', async () => {
    const app = await room.account({
      name: 'app@box',
      kind: 'password',
      connector: 'linux-chpasswd',
      admin: 'asking@box',
    });
    await machine.exec(['chpasswd'], { input: 'app:By.Hand-77\n' });
    const before = await shadow('app');
    const versions = async () => (await room.rotation.history(app.id)) as { versions: readonly unknown[] };
    const count = (await versions()).versions.length;
    const result = await room.rotation.rotate(app.id, 'on-demand', operator, never);
    expect(result).toMatchObject({ refused: true, code: 'rotation.precheck-failed', class: 'authentication' });
    expect((await versions()).versions).toHaveLength(count);
    expect(await shadow('app')).toBe(before);
    await known(app, secret('By.Hand-77'));
  });

  test('a connection that is cut while the change is made ends in what the target really has', async () => {
    await using wire = await openWire(machine);
    await room.target({ address: wire.address, port: wire.port, hostKeys: machine.hostKeys });
    const app = await room.account({
      name: 'app@box',
      kind: 'password',
      connector: 'linux-chpasswd',
      admin: 'asking@box',
    });
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const run = processRunner();
    const rotation = await room.open({
      run: async (job, limits, signal) => {
        if (job.operation === 'change') {
          wire.cutAfter('down', 4_300, 'reset');
          resolve();
        }
        return run(job, limits, signal);
      },
    });
    const result = await rotation.rotate(app.id, 'on-demand', operator, never);
    await asked;
    await settledMachine(machine);
    await room.target(machine);
    if (isRefusal(result)) throw new Error(result.reason);
    const verified = await room.rotation.verify(app.id, operator, never);
    const history = await room.rotation.history(app.id);
    // Whatever the moment: the status is one that a login proves.
    expect(['confirmed', 'failed']).toContain(result.status);
    expect(verified).toMatchObject({ answer: 'accepted' });
    expect(history).toMatchObject({
      conflict: 'none',
      current: result.status === 'confirmed' ? result.sigkey : (expect.not.stringMatching(result.sigkey) as string),
    });
  });

  test('a machine that falls silent in the middle leaves an uncertain value and both are kept', async () => {
    await using wire = await openWire(machine);
    await room.target({ address: wire.address, port: wire.port, hostKeys: machine.hostKeys });
    const app = await room.account({
      name: 'app@box',
      kind: 'password',
      connector: 'linux-chpasswd',
      admin: 'asking@box',
    });
    const run = processRunner();
    const rotation = await room.open({
      timing: { ...timing, connectorMs: 3_000 },
      run: async (job, limits, signal) => {
        const answer = await run(job, limits, signal);
        if (job.operation !== 'change') return answer;
        wire.blackhole();
        return { outcome: 'late', class: 'timeout', words: 'the acknowledgement never came' };
      },
    });
    const result = await rotation.rotate(app.id, 'on-demand', operator, never);
    await wire.close();
    await room.target(machine);
    expect(result).toMatchObject({ status: 'uncertain' });
    if (isRefusal(result)) throw new Error(result.reason);
    expect(await room.rotation.history(app.id)).toMatchObject({ conflict: 'incomplete' });
    expect(await room.rotation.rotate(app.id, 'on-demand', operator, never)).toMatchObject({
      code: 'rotation.conflicted',
    });
    await known(app, secret(await room.value(app, result.sigkey)));
    expect(await room.rotation.history(app.id)).toMatchObject({ conflict: 'none' });
  });

  test('a key pair is changed by the account itself; the former key is gone and the foreign one stays', async () => {
    const [mine, foreign] = [await generateKeyPair('ed25519', 'mine'), await generateKeyPair('ed25519', 'foreign')];
    const file = '/home/plain/.ssh/authorized_keys';
    await machine.exec(['install', '-d', '-o', 'plain', '-g', 'plain', '-m', '0700', '/home/plain/.ssh']);
    await machine.putFile(file, `restrict ${foreign.line}\r\n${mine.line}\n`, { owner: 'plain', mode: '0600' });
    const plain = await room.account({ name: 'plain@box', kind: 'ssh-key', connector: 'ssh-key' });
    await known(plain, { kind: 'ssh-key', privateKey: mine.privateKeyOpenSsh.copy(), publicKey: mine.publicKey });
    expect(await rotate(plain)).toMatchObject({ status: 'confirmed' });
    expect(await room.rotation.verify(plain.id, operator, never)).toMatchObject({ answer: 'accepted' });
    const content = await machine.readFile(file);
    expect(content).toContain(`restrict ${foreign.line}\r\n`);
    expect(content).not.toContain(Buffer.from(mine.publicKey).toString('base64'));
    expect(content.trim().split('\n')).toHaveLength(2);
    // And once more, by an administrator, with another kind of key.
    const settings = { key_type: 'ecdsa-256' };
    await room.account({ name: 'plain@box', kind: 'ssh-key', connector: 'ssh-key', admin: 'asking@box', settings });
    expect(await rotate(plain)).toMatchObject({ status: 'confirmed' });
    expect((await machine.readFile(file)).split('\n')[0]).toContain('ecdsa-sha2-nistp256');
  });

  test('the end of a session changes the password within ten seconds', async () => {
    const app = await room.account({
      name: 'app@box',
      kind: 'password',
      connector: 'linux-chpasswd',
      admin: 'asking@box',
      rotateAfterSession: true,
    });
    const before = await room.value(app);
    const { promise: started, resolve } = Promise.withResolvers<number>();
    const run = processRunner();
    const watching = await room.open({
      watch: true,
      run: (job, limits, signal) => {
        resolve(Date.now());
        return run(job, limits, signal);
      },
    });
    const session = await hold(room.vault.base.db, app.id, { kind: 'session', subject: 's1' });
    const ended = Date.now();
    await session.release();
    expect((await started) - ended).toBeLessThan(10_000);
    await watching.settle();
    expect(await room.value(app)).not.toBe(before);
    await room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd', admin: 'asking@box' });
  });

  test('host keys are found by scanning, and nothing is logged in', async () => {
    const found = await scanHostKeys(machine.address, machine.port, never);
    if (isRefusal(found)) throw new Error(found.reason);
    const lines = found.map((key) => `${key.algorithm} ${Buffer.from(key.publicKey).toString('base64')}`);
    expect(lines.sort()).toEqual([...machine.hostKeys].map((line) => line.split(' ').slice(0, 2).join(' ')).sort());
    expect(await scanHostKeys(machine.address, 1, never)).toMatchObject({
      refused: true,
      class: 'unreachable-refused',
    });
  });

  test('no value was written into the machine’s logs or the audit trail', async () => {
    const app = await room.account({
      name: 'app@box',
      kind: 'password',
      connector: 'linux-chpasswd',
      admin: 'asking@box',
    });
    const value = await room.value(app);
    expect(machine.sshdLog()).not.toContain(value);
    const found = await machine.exec(['grep', '-rslF', '-e', value, '/var/log', '/home', '/root', '/tmp']);
    expect(found.stdout).toBe('');
    const rows = await room.vault.base.db.selectFrom('audit_event').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(value);
  });
});

/** Our client on a real machine: real accounts, PAM, shadow and sshd. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { LoginCredential, LoginRefusal } from '../../src/protocol/ssh/auth/client.ts';
import { SshClient } from '../../src/protocol/ssh/client/client.ts';
import { connect } from '../../src/protocol/ssh/client/connect.ts';
import { parsePrivateKey } from '../../src/protocol/ssh/keys/private.ts';
import {
  generateKeyPair,
  type KeyKind,
  type KeyPair,
  signerFromPrivateKey,
} from '../../src/protocol/ssh/keys/signer.ts';
import type { Signer } from '../../src/protocol/ssh/types.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';

const never = new AbortController().signal;
const kinds: readonly KeyKind[] = ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa-2048', 'rsa-4096'];
const pairs = new Map<KeyKind, KeyPair>();
let machine: Machine;

describe.runIf(fullMachines)('our client on a full machine', () => {
  beforeAll(async () => {
    for (const kind of kinds) pairs.set(kind, await generateKeyPair(kind, kind));
    const authorizedKeys = [...pairs.values()].map((pair) => pair.line);
    machine = await startMachine({
      name: 'web-01',
      users: [
        { name: 'ana', password: 'right', authorizedKeys },
        { name: 'both', password: 'right', authorizedKeys },
        { name: 'dialogue', password: 'right' },
        { name: 'expired', password: 'right' },
        { name: 'changing', password: 'Old-passw0rd-of-hers' },
      ],
      sshd: [
        'PasswordAuthentication yes',
        'KbdInteractiveAuthentication yes',
        'Match User both',
        'AuthenticationMethods publickey,password',
        'Match User dialogue,expired',
        'PasswordAuthentication no',
      ],
    });
  });

  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
  });

  async function signer(kind: KeyKind = 'ed25519'): Promise<Signer> {
    const file = pairs.get(kind)?.privateKeyOpenSsh;
    const parsed = file === undefined ? undefined : await parsePrivateKey(file, undefined, never);
    if (parsed === undefined || 'refused' in parsed) throw new Error('no key');
    return signerFromPrivateKey(parsed.key);
  }

  function attempt(user: string, credential: LoginCredential): Promise<SshClient | LoginRefusal> {
    return connect(
      {
        host: machine.address,
        port: machine.port,
        user,
        credential,
        checkHostKey: (key) =>
          machine.hostKeys.some((line) => line.split(' ')[1] === Buffer.from(key).toString('base64')),
      },
      never,
    );
  }

  async function loggedIn(user: string, credential: LoginCredential): Promise<SshClient> {
    const client = await attempt(user, credential);
    if (!(client instanceof SshClient)) throw new Error(`${client.code}: ${client.reason}`);
    return client;
  }

  const password = (text: string): LoginCredential => ({ password: Secret.fromText(text) });

  async function whoami(client: SshClient): Promise<string> {
    const { stdout, exit } = await client.exec('whoami', {}, never);
    expect(exit).toEqual({ kind: 'status', status: 0 });
    return Buffer.from(stdout).toString().trim();
  }

  test.for(kinds)('sshd takes a generated %s key at the first attempt', async (kind) => {
    await using client = await loggedIn('ana', { signers: [await signer(kind)] });
    expect(await whoami(client)).toBe('ana');
    await expect(machine.logged(/Accepted publickey for ana/)).resolves.toBeDefined();
  });

  test('sshd takes a password, by `password` and where it only has keyboard-interactive', async () => {
    await using one = await loggedIn('ana', password('right'));
    expect(await whoami(one)).toBe('ana');
    await using two = await loggedIn('dialogue', password('right'));
    expect(await whoami(two)).toBe('dialogue');
    await expect(machine.logged(/Accepted keyboard-interactive\/pam for dialogue/)).resolves.toBeDefined();
  });

  test('sshd that wants key and password gets both, and says no to the key alone', async () => {
    await using client = await loggedIn('both', { signers: [await signer()], ...password('right') });
    expect(await whoami(client)).toBe('both');
    expect(await attempt('both', { signers: [await signer()] })).toMatchObject({ code: 'ssh.login-rejected' });
  });

  test('a wrong password is rejected after exactly one failure on the machine', async () => {
    for (const user of ['ana', 'dialogue']) {
      expect(await attempt(user, password('wrong'))).toMatchObject({ refused: true, code: 'ssh.login-rejected' });
      const failures = machine
        .sshdLog()
        .match(new RegExp(`Failed (password|keyboard-interactive/pam) for ${user} `, 'g'));
      expect(failures?.length).toBe(1);
    }
    expect(await attempt('nobody-here', password('x'))).toMatchObject({ refused: true, code: 'ssh.login-rejected' });
  });

  test('an expired password is told apart from a wrong one', async () => {
    await machine.exec(['chage', '-d', '0', 'expired']);
    expect(await attempt('expired', password('right'))).toMatchObject({ refused: true, code: 'ssh.password-expired' });
  });

  test('an untrusted host key ends the connection before anything was tried', async () => {
    const before = machine.sshdLog().length;
    const refused = connect(
      {
        host: machine.address,
        port: machine.port,
        user: 'ana',
        credential: password('right'),
        checkHostKey: () => false,
      },
      never,
    );
    await expect(refused).rejects.toMatchObject({ code: 'ssh.host-key-refused' });
    expect(machine.sshdLog().slice(before)).not.toContain('Accepted');
  });

  test('input and output of many megabytes pass whole, both streams at once', async () => {
    await using client = await loggedIn('ana', { signers: [await signer()] });
    const up = await client.exec('sha256sum', { stdin: Buffer.alloc(5_000_000, 'x') }, never);
    const down = await client.exec(`head -c 5000000 /dev/zero | tr '\\0' x | sha256sum`, {}, never);
    expect(Buffer.from(up.stdout).toString()).toBe(Buffer.from(down.stdout).toString());
    const noise = 'head -c 4000000 /dev/zero & head -c 4000000 /dev/zero >&2; wait';
    const both = await client.exec(noise, { maxOutput: 1 << 24 }, never);
    expect([both.stdout.length, both.stderr.length]).toEqual([4_000_000, 4_000_000]);
  });

  test('a command that closes its output first still gets all of its input', async () => {
    await using client = await loggedIn('ana', { signers: [await signer()] });
    const command = 'exec >&- 2>&-; wc -c >/tmp/half-closed';
    await client.exec(command, { stdin: new Uint8Array(2_000_000) }, never);
    const { stdout } = await client.exec('cat /tmp/half-closed', {}, never);
    expect(Buffer.from(stdout).toString().trim()).toBe('2000000');
  });

  test('keys are exchanged again in the middle of a transfer, and nothing is lost', async () => {
    await using client = await loggedIn('ana', { signers: [await signer()] });
    const transfer = client.exec('cat', { stdin: Buffer.alloc(6_000_000, 'r'), maxOutput: 1 << 24 }, never);
    client.transport.rekey();
    expect((await transfer).stdout.length).toBe(6_000_000);
    expect(client.transport.rekeys.ours).toBeGreaterThan(0);
  });

  test('a signal, a status and a command that does not exist are told apart', async () => {
    await using client = await loggedIn('ana', { signers: [await signer()] });
    expect((await client.exec('kill -TERM $$', {}, never)).exit).toMatchObject({ kind: 'signal', signal: 'TERM' });
    expect((await client.exec('exit 9', {}, never)).exit).toEqual({ kind: 'status', status: 9 });
    expect((await client.exec('no-such-thing', {}, never)).exit).toEqual({ kind: 'status', status: 127 });
  });

  test('a password is changed in a dialogue with passwd, and the new one logs in', async () => {
    const [old, fresh] = [Secret.fromText('Old-passw0rd-of-hers'), Secret.fromText('kQ7#vNew-passw0rd')];
    await using client = await loggedIn('changing', { password: old });
    await using passwd = await client.dialogue('passwd', { term: 'dumb', cols: 80, rows: 24 }, never);
    for (const [prompt, secret] of [
      [/current.*password: ?$/i, old],
      [/new password: ?$/i, fresh],
      [/(retype|again).*: ?$/i, fresh],
    ] as const) {
      await passwd.waitFor({ prompt }, 10_000, never);
      await passwd.write(secret, never);
      await passwd.write('\n', never);
    }
    await passwd.waitFor({ done: /updated successfully/i }, 10_000, never);
    expect(await passwd.ended(never)).toEqual({ kind: 'status', status: 0 });
    await using again = await loggedIn('changing', { password: fresh });
    expect(await whoami(again)).toBe('changing');
  });

  test('a shell on a terminal shows what was typed and ends with its status', async () => {
    await using client = await loggedIn('ana', { signers: [await signer()] });
    await using shell = await client.shell({ term: 'dumb', cols: 132, rows: 40 }, never);
    await shell.write('stty size; echo mar""ker; exit 4\n', never);
    const { before } = await shell.waitFor({ marker: /marker\r\n/ }, 10_000, never);
    expect(before).toContain('40 132\r\n');
    expect(await shell.ended(never)).toEqual({ kind: 'status', status: 4 });
  });
});

/** Our server side under OpenSSH's client and npm ssh2, our client under an ssh2 server: real sockets, real keys. */
import { once } from 'node:events';
import { expect, test } from 'vitest';
import ssh2 from 'ssh2';
import { Secret } from '../../../../src/base/secret.ts';
import { SshClient } from '../../../../src/protocol/ssh/client/client.ts';
import { type ConnectOptions, connect } from '../../../../src/protocol/ssh/client/connect.ts';
import { formatKeyLine } from '../../../../src/protocol/ssh/keys/lines.ts';
import { ssh } from '../../../lab/client.ts';
import { knownHosts } from '../../../lab/sshd.ts';
import { people, type Person } from '../auth/people.ts';
import { keygen } from '../keys/ssh-keygen.ts';
import { freshKey, type LittleServer, littleServer } from './little-server.ts';

const never = new AbortController().signal;

async function serverOf(person: Person, banner?: string): Promise<LittleServer> {
  return littleServer(() => people({ ana: person }, banner));
}

function reach(server: LittleServer): { address: string; port: number; knownHosts: string } {
  const lines = knownHosts([formatKeyLine(server.hostKey, '')], '127.0.0.1', server.port);
  return { address: '127.0.0.1', port: server.port, knownHosts: lines };
}

test.for(['ed25519', 'ecdsa-256', 'ecdsa-521', 'rsa-2048'] as const)(
  'OpenSSH logs in to our server with a %s key and runs a command',
  async (kind) => {
    const { signer, file } = await freshKey(kind);
    await using folder = await keygen();
    const keyFile = await folder.write('key', file);
    await using server = await serverOf({ keys: [signer.publicKey] });
    const ran = await ssh(reach(server), { user: 'ana', keyFile, command: 'say ', input: 'hello' });
    expect(ran).toMatchObject({ code: 7, stdout: 'say hello' });
    expect(await server.outcomes[0]).toMatchObject({ kind: 'accepted', user: 'ana', method: 'publickey' });
  },
);

test('OpenSSH logs in to our server with a password, and sees the banner', async () => {
  await using server = await serverOf({ password: 'right' }, 'Authorised people only\n');
  const login = { user: 'ana', answers: ['right'], options: ['PreferredAuthentications=password'], command: 'x' };
  const ran = await ssh(reach(server), login);
  expect(ran).toMatchObject({ code: 7, stdout: 'x' });
  expect(ran.stderr).toContain('Authorised people only');
});

test('OpenSSH answers a dialogue of password and code, and a wrong code is refused', async () => {
  await using server = await serverOf({ password: 'right', code: '123456' });
  const options = ['PreferredAuthentications=keyboard-interactive'];
  const good = await ssh(reach(server), { user: 'ana', answers: ['right', '123456'], options, command: 'x' });
  expect(good).toMatchObject({ code: 7, stdout: 'x' });
  expect(good.prompts.map((prompt) => prompt.replace(/^\(.*?\) /, ''))).toEqual(['Password: ', 'Code: ']);
  const bad = await ssh(reach(server), { user: 'ana', answers: ['right', '999999'], options, command: 'x' });
  expect(bad.code).toBe(255);
  expect(bad.stderr).toContain('Permission denied');
});

test('OpenSSH completes key and password, where both are needed', async () => {
  const { signer, file } = await freshKey();
  await using folder = await keygen();
  const keyFile = await folder.write('key', file);
  await using server = await serverOf({ keys: [signer.publicKey], password: 'right', both: true });
  const ran = await ssh(reach(server), { user: 'ana', keyFile, answers: ['right'], command: 'x' });
  expect(ran).toMatchObject({ code: 7, stdout: 'x' });
});

test('OpenSSH with a certificate falls back to its plain key', async () => {
  await using folder = await keygen();
  await folder.run('-q', '-t', 'ed25519', '-N', '', '-f', 'ca');
  const { signer, file } = await freshKey();
  const keyFile = await folder.write('key', file);
  await folder.write('key.pub', `${formatKeyLine(signer.publicKey, '')}\n`);
  await folder.run('-q', '-s', 'ca', '-I', 'id', '-n', 'ana', 'key.pub');
  await using server = await serverOf({ keys: [signer.publicKey] });
  const options = [`CertificateFile=${folder.folder}/key-cert.pub`];
  const ran = await ssh(reach(server), { user: 'ana', keyFile, options, command: 'x' });
  expect(ran).toMatchObject({ code: 7, stdout: 'x' });
});

test('ssh2 logs in to our server by password, dialogue and key', async () => {
  const { signer, file } = await freshKey('ecdsa-256');
  await using server = await serverOf({ password: 'right', keys: [signer.publicKey] });
  for (const how of [{ password: 'right' }, { tryKeyboard: true }, { privateKey: file }]) {
    const client = new ssh2.Client();
    client.on('keyboard-interactive', (_name, _instructions, _language, _prompts, finish) => finish(['right']));
    client.connect({ host: '127.0.0.1', port: server.port, username: 'ana', ...how });
    await once(client, 'ready');
    const output = await new Promise<string>((resolve, reject) => {
      client.exec('say', (error, channel) => {
        if (error) return reject(error);
        let text = '';
        channel.on('data', (data: Buffer) => {
          text += data.toString();
        });
        channel.on('close', () => resolve(text));
        channel.end(' hi');
      });
    });
    expect(output).toBe('say hi');
    client.end();
  }
});

/** An ssh2 server on a port; its people and keys are the test's. */
async function ssh2Server(
  decide: (context: ssh2.AuthContext) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const { file } = await freshKey();
  const server = new ssh2.Server({ hostKeys: [file] }, (client) => {
    client.on('authentication', decide);
    client.on('error', () => {});
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec, _reject, info) => {
        const channel = acceptExec();
        const parts: Buffer[] = [];
        channel.on('data', (data: Buffer) => parts.push(data));
        channel.on('end', () => {
          channel.stderr.write('err');
          channel.write(`${info.command}:${Buffer.concat(parts).length}`);
          channel.exit(5);
          channel.end();
        });
      });
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    [Symbol.asyncDispose]: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

function options(port: number, credential: ConnectOptions['credential']): ConnectOptions {
  return { host: '127.0.0.1', port, user: 'root', credential, checkHostKey: () => true };
}

test('our client logs in to an ssh2 server by password, dialogue and key, and runs commands with much input', async () => {
  const { signer } = await freshKey('rsa-2048');
  await using server = await ssh2Server((context) => {
    if (context.method === 'password' && context.password === 'only-password') return context.accept();
    if (context.method === 'keyboard-interactive')
      return context.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
        answers[0] === 'only-dialogue' ? context.accept() : context.reject(),
      );
    if (context.method === 'publickey' && Buffer.from(signer.publicKey).equals(context.key.data))
      return context.accept();
    context.reject(context.username === 'root' ? ['keyboard-interactive', 'publickey'] : []);
  });
  const credentials = [
    { password: Secret.fromText('only-password') },
    { password: Secret.fromText('only-dialogue') },
    { signers: [signer] },
  ];
  for (const credential of credentials) {
    await using client = await connected(options(server.port, credential));
    const result = await client.exec('count', { stdin: new Uint8Array(3_000_000) }, never);
    expect(Buffer.from(result.stdout).toString()).toBe('count:3000000');
    expect(Buffer.from(result.stderr).toString()).toBe('err');
    expect(result.exit).toEqual({ kind: 'status', status: 5 });
  }
});

async function connected(how: ConnectOptions): Promise<SshClient> {
  const client = await connect(how, never);
  if (!(client instanceof SshClient)) throw new Error(`${client.code}: ${client.reason}`);
  return client;
}

test('our client against an ssh2 server: a wrong password is a refusal, a closed port is unreachable', async () => {
  await using server = await ssh2Server((context) => context.reject(['password']));
  const wrong = await connect(options(server.port, { password: Secret.fromText('wrong') }), never);
  expect(wrong).toMatchObject({ refused: true, code: 'ssh.login-rejected' });
  const { port } = server;
  await server[Symbol.asyncDispose]();
  const closed = connect(options(port, { password: Secret.fromText('x') }), never);
  await expect(closed).rejects.toMatchObject({ code: 'ssh.unreachable' });
});

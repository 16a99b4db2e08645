/** NTLM and SPNEGO of another make, gss-ntlmssp under MIT Kerberos, against our acceptor and against our initiator. */
import { spawn } from 'node:child_process';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { plainEnv } from '../lab/run.ts';
import { certificate, goodPassword } from '../protocol/ntlm/stage.ts';
import { logIn, openDoor } from './credssp-stage.ts';

const script = join(import.meta.dirname, '../peers/credssp/credssp.py');

interface Peer {
  readonly lines: AsyncIterator<string>;
  readonly said: () => string;
}

function peer(args: readonly string[], input: string, env: Readonly<Record<string, string>> = {}): Peer {
  const child = spawn('/usr/bin/python3', [script, ...args], { env: { ...plainEnv, ...env } });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words += chunk.toString();
  });
  child.stdin.end(input);
  return { lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](), said: () => words };
}

async function line(from: Peer): Promise<string> {
  const next = await from.lines.next();
  return next.done === true ? `nothing\n${from.said()}` : next.value;
}

async function visit(mech: string, password: string, ...args: readonly string[]): Promise<object> {
  await using door = await openDoor(certificate);
  const client = peer(['client', String(door.port), mech, ...args], password);
  const told = await line(client);
  const { done, refused } = await door.outcome;
  if (done === undefined) return { client: told, server: refused?.code };
  using delegated = done.credentials.password;
  return { client: told, user: done.user, domain: done.domain, password: delegated.revealText() };
}

describe('a client that speaks SPNEGO', () => {
  test('is let in with the right password, and its password is read', async () => {
    const done = { client: 'done', user: 'alice', domain: 'PROD', password: goodPassword };
    expect(await visit('spnego', goodPassword, 'alice', 'PROD')).toEqual(done);
    expect(await visit('spnego', goodPassword, 'Alice', 'PROD', 'none')).toEqual({ ...done, user: 'Alice' });
  });

  test('is told of a failed logon with a wrong password, and if nobody has its name', async () => {
    const refused = { client: 'refused 0xc000006d', server: 'ntlm.login-rejected' };
    expect(await visit('spnego', 'wrong', 'alice', 'PROD')).toEqual(refused);
    expect(await visit('spnego', goodPassword, 'mallory', 'PROD')).toEqual(refused);
  });

  test('is refused if it logs in to another certificate', async () => {
    const refused = { client: 'refused 0xc000006d', server: 'ntlm.channel-bindings' };
    expect(await visit('spnego', goodPassword, 'alice', 'PROD', 'wrong')).toEqual(refused);
  });
});

test('a client of bare NTLM that sends no MIC is refused, whatever its password', async () => {
  // gss-ntlmssp makes a MIC inside SPNEGO only
  const refused = { client: 'refused 0xc000006d', server: 'ntlm.weak' };
  expect(await visit('ntlm', goodPassword, 'alice', 'PROD')).toEqual(refused);
});

describe.each([2, 4, 5, 6])('a server of version %i', (version) => {
  async function target(password: string): Promise<{ ours: string; theirs: string }> {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'credssp-'));
    const file = (name: string): string => join(folder.path, name);
    await writeFile(file('cert.pem'), certificate.cert);
    await writeFile(file('key.pem'), certificate.key);
    await writeFile(file('users'), `PROD:alice:${goodPassword}\n`);
    const server = peer(['server', file('cert.pem'), file('key.pem'), String(version)], '', {
      NTLM_USER_FILE: file('users'),
    });
    const port = Number(await line(server));
    const ours = await logIn(port, 'alice', 'PROD', password);
    return { ours, theirs: await line(server) };
  }

  test('takes our login and reads what we delegate', async () => {
    expect(await target(goodPassword)).toEqual({ ours: 'done', theirs: `done alice PROD ${goodPassword}` });
  });

  test('refuses a wrong password, which is understood', async () => {
    const { ours, theirs } = await target('wrong');
    expect(ours).toBe('ntlm.bad-password');
    expect(theirs).toMatch(/^refused /);
  });
});

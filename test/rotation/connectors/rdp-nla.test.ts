/** The connector rdp-nla at servers that say what became of a login, and at those that do not: only a proof is a yes. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import type { Place, VerifyAnswer } from '../../../src/rotation/connectors/connector.ts';
import { rdpNla } from '../../../src/rotation/connectors/rdp-nla.ts';
import { type Manner, type NlaTarget, startNlaTarget } from '../../lab/rdp/nla-target.ts';
import { never } from '../room.ts';

const right = 'Right-Value.1 ü';
const wrong = 'Wrong-Value.1';

let target: NlaTarget;
beforeAll(async () => {
  target = await startNlaTarget('svc');
  target.password = right;
});
afterAll(async () => await target[Symbol.asyncDispose]());
beforeEach(() => {
  target.manner = 'honest';
  target.misses = 0;
});

function place(change: Partial<Place> = {}): Place {
  const { address, port, pin } = target;
  return { protocol: 'rdp', address, port, hostKeys: [pin], tls: { kind: 'verify' }, settings: {}, ...change };
}

async function tried(value: string, change: Partial<Place> = {}, user = 'svc'): Promise<VerifyAnswer> {
  using secret = Secret.fromText(value);
  const task = { place: place(change), account: user, settings: {} };
  return await rdpNla.verify(task, { user, credential: { kind: 'password', secret } }, never);
}

/** The answer, and how many messages of CredSSP the target got for it. */
async function visit(value: string, manner: Manner): Promise<VerifyAnswer & { readonly messages: number }> {
  target.manner = manner;
  const before = target.visits.length;
  const answer = await tried(value);
  await target.over(before + 1);
  return { ...answer, messages: target.visits.at(-1)?.messages ?? 0 };
}

describe('a password', () => {
  test('that the server proves to know is accepted, and is not handed over', async () => {
    expect(await visit(right, 'honest')).toMatchObject({ answer: 'accepted', class: 'none', messages: 2 });
    expect(target.visits.at(-1)?.delegated).toBeUndefined();
  });

  test('that is wrong, or of an account that is not there, is rejected in the server’s words', async () => {
    expect(await visit(wrong, 'honest')).toMatchObject({
      answer: 'rejected',
      class: 'authentication',
      words: 'the server rejected the user name or the password: server answered with status 0xc000006d',
    });
    expect(await tried(right, {}, 'nobody')).toMatchObject({ answer: 'rejected', class: 'authentication' });
  });

  test('is tried with the domain of the service', async () => {
    expect(await tried(right, { settings: { domain: 'CORP' } })).toMatchObject({ answer: 'accepted' });
  });
});

describe('no answer to whether a password is right is', () => {
  test.for([
    ['0xc0000071', 'expired'],
    ['0xc0000224', 'expired'],
    ['0xc0000234', 'locked'],
    ['0xc0000072', 'locked'],
    ['0xc0000193', 'locked'],
    ['0xc000006e', 'locked'],
    ['0xc000015b', 'permission'],
    ['0xc0000022', 'unexpected'],
  ] as const)('the status %s, of class %s', async ([status, kind]) => {
    const answer = await visit(right, { status: Number(status) });
    expect(answer).toMatchObject({ answer: 'unknown', class: kind });
    expect(answer.words).toContain(status);
  });

  test('a server that hangs up on the proof: it says "probably", and is held against the lock-out', async () => {
    const answer = await visit(wrong, 'hangs up');
    expect(answer).toMatchObject({ answer: 'unknown', class: 'authentication', counts: true });
    expect(answer.words).toContain('probably the password is wrong');
  });

  test('a server that hangs up before anything was tried, which counts nothing', async () => {
    const answer = await visit(wrong, 'leaves at once');
    expect(answer).toMatchObject({ answer: 'unknown', class: 'cut', messages: 1 });
    expect(answer.counts).toBeUndefined();
  });

  test('a refusal of a login that was not tried yet', async () => {
    expect(await visit(right, { status: 0xc000006d, early: true })).toMatchObject({
      answer: 'unknown',
      class: 'unexpected',
    });
  });

  test('a server that takes any password and cannot prove that it knows it', async () => {
    expect(await visit(wrong, 'pretends')).toMatchObject({ answer: 'unknown', class: 'certificate', messages: 2 });
    expect(await visit(right, 'pretends')).toMatchObject({ answer: 'unknown', class: 'certificate', messages: 2 });
  });

  test('a service without NLA, which is not asked', async () => {
    const before = target.visits.length;
    const answer = await tried(right, { settings: { security: 'tls' } });
    expect(answer).toMatchObject({ answer: 'unknown', class: 'unsupported' });
    expect(answer.words).toContain('without NLA');
    expect(target.visits.length).toBe(before);
  });

  test('a port on which nothing listens, and one on which something else does', async () => {
    const server = createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('SSH-2.0-other\r\n'),
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('no port');
    expect(await tried(right, { port: bound.port })).toMatchObject({ answer: 'unknown', class: 'unexpected' });
    server.close();
    await once(server, 'close');
    expect(await tried(right, { port: bound.port })).toMatchObject({ answer: 'unknown', class: 'unreachable-refused' });
  });
});

describe('a server whose certificate', () => {
  async function unheard(change: Partial<Place>): Promise<VerifyAnswer> {
    const before = target.visits.length;
    const answer = await tried(right, change);
    if (target.visits.length > before) await target.over(before + 1);
    for (const { inside } of target.visits.slice(before)) expect(inside.length).toBe(0);
    return answer;
  }

  test('is another one gets no name and no proof', async () => {
    expect(await unheard({ hostKeys: [new Uint8Array(32)] })).toMatchObject({
      answer: 'unknown',
      class: 'certificate',
    });
  });

  test('was never trusted is not even asked', async () => {
    const before = target.visits.length;
    expect(await unheard({ hostKeys: [] })).toMatchObject({ answer: 'unknown', class: 'certificate' });
    expect(target.visits.length).toBe(before);
  });

  test('is not vouched for by the authority of the service gets no name and no proof', async () => {
    const tls = { kind: 'verify', ca: target.certificate } as const;
    expect(await unheard({ hostKeys: [], tls })).toMatchObject({ answer: 'unknown', class: 'certificate' });
  });
});

test('a server that the authority of its service vouches for needs no pin, and one of another name does', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rdp-nla-'));
  const issue = (name: string, more: readonly string[]): void => {
    const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const files = ['-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.pem`];
    execFileSync('openssl', [...words, ...files, ...more], { cwd: folder.path, stdio: 'pipe' });
  };
  issue('authority', []);
  const names = 'subjectAltName=IP:127.0.0.1';
  const leaf = ['-addext', names, '-addext', 'basicConstraints=critical,CA:FALSE'];
  issue('target', ['-CA', 'authority.pem', '-CAkey', 'authority.key', ...leaf]);
  const read = (file: string): Promise<string> => readFile(join(folder.path, file), 'utf8');
  const [ca, cert, key] = await Promise.all([read('authority.pem'), read('target.pem'), read('target.key')]);
  const der = new Uint8Array(new X509Certificate(cert).raw);
  await using vouched = await startNlaTarget('svc', { cert, key, der });
  vouched.password = right;
  const { address, port } = vouched;
  const at = { address, port, hostKeys: [] };
  expect(await tried(right, { ...at, tls: { kind: 'verify', ca } })).toMatchObject({ answer: 'accepted' });
  const other = { kind: 'verify', ca, serverName: 'other.example' } as const;
  expect(await tried(right, { ...at, tls: other })).toMatchObject({ answer: 'unknown', class: 'certificate' });
});

describe('several values', () => {
  test('are tried until the budget is used up', async () => {
    using secret = Secret.fromText(wrong);
    const candidates = [1, 2, 3, 4].map(() => ({ kind: 'password', secret }) as const);
    const task = { place: place(), account: 'svc', settings: {} };
    const each = await rdpNla.adminverify(task, undefined, candidates, 2, never);
    expect(each.map((one) => one.class)).toEqual(['authentication', 'authentication', 'budget', 'budget']);
    expect(target.misses).toBe(2);
  });

  test('are no longer tried once the server hung up on one, and that one counts once', async () => {
    target.manner = 'hangs up';
    using secret = Secret.fromText(wrong);
    const candidates = [1, 2, 3].map(() => ({ kind: 'password', secret }) as const);
    const task = { place: place(), account: 'svc', settings: {} };
    const before = target.visits.length;
    const each = await rdpNla.adminverify(task, undefined, candidates, 5, never);
    expect(each.map((one) => one.answer)).toEqual(['unknown', 'unknown', 'unknown']);
    expect(each.filter((one) => one.counts === true)).toHaveLength(1);
    await target.over(before + 1);
    expect(target.visits.length).toBe(before + 1);
  });
});

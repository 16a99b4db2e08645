/** The account's login at a target with NLA: what counts as its no, and what does not. */
import { connect } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { codeOf, type Refusal } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/base/secret.ts';
import { reachTarget, RdpStream } from '../../../src/protocol/rdp/rdp.ts';
import { logInByCredSsp } from '../../../src/proxy/rdp/credssp.ts';
import { type Manner, type NlaTarget, startNlaTarget } from '../../lab/rdp/nla-target.ts';

const right = 'Right-Value.1';

let target: NlaTarget;
beforeAll(async () => {
  target = await startNlaTarget('svc');
  target.password = right;
});
afterAll(async () => await target[Symbol.asyncDispose]());

async function visit(value: string, manner: Manner): Promise<Refusal | undefined> {
  target.manner = manner;
  const signal = new AbortController().signal;
  const { address: host, port } = target;
  const before = target.visits.length;
  const socket = connect({ host, port });
  await once(socket, 'connect');
  try {
    await using stream = new RdpStream(socket);
    const { chain } = await reachTarget(stream, 'nla', host, signal);
    using password = Secret.fromText(value);
    return await logInByCredSsp(stream, { account: 'svc', domain: '', password, host, certificate: chain[0] }, signal);
  } finally {
    await target.over(before + 1);
  }
}

test('a right password is proven and then handed over', async () => {
  expect(await visit(right, 'honest')).toBeUndefined();
  expect(target.visits.at(-1)?.delegated).toBe(right);
});

test('a target that says why is quoted with its status, and gets no password', async () => {
  expect(await visit('wrong', 'honest')).toMatchObject({
    code: 'ntlm.bad-password',
    reason: 'the server rejected the user name or the password: server answered with status 0xc000006d',
  });
  expect(await visit(right, { status: 0xc0000234 })).toMatchObject({
    code: 'ntlm.account-locked',
    reason: 'the server says that the account is locked: server answered with status 0xc0000234',
  });
  expect(target.visits.at(-1)?.delegated).toBeUndefined();
});

test('a target that hangs up on the proof has refused it, probably', async () => {
  expect(await visit('wrong', 'hangs up')).toMatchObject({
    code: 'proxy.credential-rejected',
    reason: 'the target hung up: probably it does not take the stored password',
  });
});

test('a target that hangs up before it was shown anything is a broken connection', async () => {
  expect(codeOf(await visit(right, 'leaves at once').catch((error: unknown) => error))).toBe('rdp.closed');
});

test('a target that cannot prove that it knows the password is refused, and does not get it', async () => {
  expect(await visit(right, 'pretends')).toMatchObject({ code: 'ntlm.public-key' });
  expect(target.visits.at(-1)?.delegated).toBeUndefined();
  expect(target.visits.at(-1)?.messages).toBe(2);
});

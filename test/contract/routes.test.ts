/** The routes over a real socket and a real database: fields are checked, and what changes something is audited. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lastSeq, tail } from '../../src/audit/audit.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { isRefusal } from '../../src/base/errors.ts';
import {
  type Client,
  type Fields,
  openClient,
  type RouteAnswers,
  routeAnswerer,
  type RouteName,
} from '../../src/contract/contract.ts';
import { ensureEnrolment } from '../../src/identity/identity.ts';
import { estateAnswers } from '../../src/keeper/routes/estate.ts';
import { peopleAnswers } from '../../src/keeper/routes/people.ts';
import { Line } from '../../src/link/link.ts';
import { generateKeyPair, parsePublicKey } from '../../src/protocol/ssh/ssh.ts';
import { goodPassword, operator, type People, people } from '../identity/people.ts';

const never = new AbortController().signal;
let room: People;
let client: Client;
let firstCode: Uint8Array;
const folder = mkdtempSync(join(tmpdir(), 'sallyport-contract-'));
const server = createServer();

beforeAll(async () => {
  room = await people();
  const answers = { ...peopleAnswers(room, operator), ...estateAnswers(room, operator) } as RouteAnswers;
  server.on('connection', (socket) => new Line(socket, routeAnswerer(answers), () => {}));
  const path = join(folder, 'keeper.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  client = await openClient(path);
  const enrolment = await ensureEnrolment(room.db, room.clock.now());
  using code = enrolment?.code;
  firstCode = new Uint8Array(code?.reveal() ?? []);
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  server.close();
  await room[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Calls a route and returns the types of the audit rows that it left, with who did it. */
async function audited<N extends RouteName>(name: N, fields: Fields<N>): Promise<string[]> {
  const before = await lastSeq(room.db);
  const answer = await client.call(name, fields, never);
  if (isRefusal(answer)) throw new Error(`refused: ${answer.code} ${answer.reason}`);
  return (await tail(room.db, { after: before, limit: 100 })).map((row) => row.type);
}

const estate = `
targets:
  - { name: web-01, address: 192.0.2.1 }
accounts:
  - { name: root@web-01 }
users:
  - { name: bob }
`;

describe('a route that changes something leaves its row in the audit trail', () => {
  test('enrol', async () => {
    expect(await audited('enrol', { code: firstCode, name: 'ana', password: utf8(goodPassword) })).toContain(
      'identity.enrolment.enrolled',
    );
  });

  test('estate.apply, and a dry run leaves none', async () => {
    expect(await audited('estate.apply', { text: estate, dryRun: true, prune: false })).toEqual([]);
    const types = await audited('estate.apply', { text: estate, dryRun: false, prune: false });
    for (const type of ['estate.target.created', 'vault.account.created', 'identity.user.created', 'estate.applied'])
      expect(types).toContain(type);
  });

  test('user.password', async () => {
    expect(await audited('user.password', { name: 'bob', password: utf8(goodPassword) })).toEqual([
      'identity.password.changed',
    ]);
  });

  test('user.code', async () => {
    expect(await audited('user.code', { name: 'bob' })).toEqual(['identity.enrolment.created']);
  });

  test('user.key', async () => {
    const { line } = await generateKeyPair('ed25519', 'bob');
    expect(await audited('user.key', { name: 'bob', line })).toEqual(['identity.key.added']);
  });

  test('user.totp', async () => {
    expect(await audited('user.totp', { name: 'bob' })).toEqual(['identity.totp.enrolled']);
  });

  test('user.unlock', async () => {
    expect(await audited('user.unlock', { name: 'bob' })).toEqual(['identity.login.unlocked']);
  });

  test('user.disable, both ways', async () => {
    expect(await audited('user.disable', { name: 'bob', disabled: true })).toEqual(['identity.user.disabled']);
    expect(await audited('user.disable', { name: 'bob', disabled: false })).toEqual(['identity.user.changed']);
  });

  test('target.trust', async () => {
    const { publicKey } = await generateKeyPair('ed25519');
    const keys = [{ algorithm: 'ssh-ed25519', publicKey }];
    expect(await audited('target.trust', { name: 'web-01', keys })).toEqual(['estate.hostkey.trusted']);
    expect(parsePublicKey(publicKey)).toBeDefined();
  });
});

describe('a call', () => {
  test('that only looks leaves no row', async () => {
    expect(await audited('user.list', {})).toEqual([]);
    expect(await audited('target.list', {})).toEqual([]);
  });

  test('with a wrong field fails by the name of the field, without its value', async () => {
    const wrong = { name: 'bob', password: 'hunter2' } as unknown as Fields<'user.password'>;
    const failed = await client.call('user.password', wrong, never).catch((error: unknown) => error);
    expect(failed).toMatchObject({
      code: 'link.bad-fields',
      message: expect.stringContaining('user.password/password') as string,
    });
    expect(String(failed)).not.toContain('hunter2');
  });

  test.each(['user.forget', '__proto__', 'toString'])('of %s is unknown', async (name) => {
    await expect(client.call(name as RouteName, {} as never, never)).rejects.toMatchObject({
      code: 'contract.unknown-route',
    });
  });

  test('that is refused comes back as a refusal', async () => {
    const answer = await client.call('user.password', { name: 'bob', password: utf8('short') }, never);
    expect(answer).toMatchObject({ refused: true, code: 'identity.password-weak' });
  });
});

test('where nobody listens there is no keeper', async () => {
  await expect(openClient(join(folder, 'nobody.sock'))).rejects.toMatchObject({ code: 'contract.no-keeper' });
});

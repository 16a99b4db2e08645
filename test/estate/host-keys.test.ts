/** Host keys: what is trusted, what is new, what has changed, and who said so. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { tail } from '../../src/audit/audit.ts';
import { inTransaction } from '../../src/db/db.ts';
import {
  checkHostKey,
  declareTargets,
  hostKeysOf,
  meetHostKey,
  recordMismatch,
  removeHostKey,
  type ServiceDeclaration,
  serviceFor,
  targetNamed,
  trustHostKey,
} from '../../src/estate/estate.ts';
import { fingerprint, generateKeyPair } from '../../src/protocol/ssh/ssh.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

const actor = { kind: 'operator', name: 'test' } as const;
let base: TestDatabase;
let first: Uint8Array;
let second: Uint8Array;
let number = 0;

beforeAll(async () => {
  base = await testDatabase();
  first = (await generateKeyPair('ed25519')).publicKey;
  second = (await generateKeyPair('ecdsa-256')).publicKey;
});
beforeEach(() => number++);
afterAll(async () => await base[Symbol.asyncDispose]());

async function service(more: Partial<ServiceDeclaration> = {}) {
  const name = `t${number}`;
  const services = [{ name: 'ssh', protocol: 'ssh' as const, port: 22, ...more }];
  const target = { name, platform: 'linux' as const, address: '192.0.2.1', services };
  await inTransaction(base.db, async (tx) => await declareTargets(tx, [target], { actor, prune: false }));
  const found = await targetNamed(base.db, name);
  const ssh = found && serviceFor(found, 'ssh');
  if (ssh === undefined) throw new Error('no service');
  return ssh.id;
}

test('a key is unknown, then trusted; another one is a change', async () => {
  const ssh = await service();
  expect(await checkHostKey(base.db, ssh, first)).toEqual({ verdict: 'unknown', fingerprint: fingerprint(first) });
  expect(await trustHostKey(base.db, ssh, first, actor)).toBe(true);
  expect(await trustHostKey(base.db, ssh, first, actor)).toBe(false);
  expect(await checkHostKey(base.db, ssh, first)).toMatchObject({ verdict: 'trusted' });
  expect(await checkHostKey(base.db, ssh, second)).toEqual({
    verdict: 'changed',
    fingerprint: fingerprint(second),
    trusted: [fingerprint(first)],
  });
});

test('a strict service trusts nothing by itself, and remembers what it saw for an administrator to accept', async () => {
  const ssh = await service();
  expect(await meetHostKey(base.db, ssh, first, actor)).toMatchObject({ verdict: 'unknown' });
  expect(await hostKeysOf(base.db, ssh)).toMatchObject([{ state: 'seen', type: 'ssh-ed25519', trustedBy: undefined }]);
  await trustHostKey(base.db, ssh, first, actor);
  expect(await meetHostKey(base.db, ssh, first, actor)).toMatchObject({ verdict: 'trusted' });
});

test('first use trusts one key, also when two come at the same moment, and never the next', async () => {
  const ssh = await service({ hostKeyPolicy: 'first-use' });
  const verdicts = await Promise.all([
    meetHostKey(base.db, ssh, first, actor),
    meetHostKey(base.db, ssh, second, actor),
  ]);
  expect(verdicts.map(({ verdict }) => verdict).sort()).toEqual(['changed', 'trusted']);
});

test('a removed key is not trusted by first use again', async () => {
  const ssh = await service({ hostKeyPolicy: 'first-use' });
  await meetHostKey(base.db, ssh, first, actor);
  await removeHostKey(base.db, ssh, fingerprint(first), 'leaked', actor);
  expect(await meetHostKey(base.db, ssh, first, actor)).toMatchObject({ verdict: 'unknown' });
  expect(await meetHostKey(base.db, ssh, second, actor)).toMatchObject({ verdict: 'unknown' });
});

test('a mismatch is audited with both fingerprints', async () => {
  const ssh = await service();
  await trustHostKey(base.db, ssh, first, actor);
  await recordMismatch(base.db, ssh, await checkHostKey(base.db, ssh, second), actor);
  const events = await tail(base.db, { after: 0, limit: 1000 });
  expect(events.at(-1)).toMatchObject({
    type: 'estate.hostkey.mismatched',
    details: { target: `t${number}`, presented: fingerprint(second), trusted: [fingerprint(first)] },
  });
});

test('what is no key cannot be trusted', async () => {
  const ssh = await service();
  await expect(trustHostKey(base.db, ssh, new Uint8Array(40), actor)).rejects.toMatchObject({
    code: 'estate.hostkey-malformed',
  });
});

test('a service on its own port is found by name, the usual one without', async () => {
  const alt = { name: 'alt', protocol: 'ssh' as const, port: 2222 };
  const ssh = { name: 'ssh', protocol: 'ssh' as const, port: 22 };
  const rdp = { name: 'rdp', protocol: 'rdp' as const, port: 3389 };
  const target = { name: 'many', platform: 'linux' as const, address: '192.0.2.1', services: [alt, ssh, rdp] };
  await inTransaction(base.db, async (tx) => await declareTargets(tx, [target], { actor, prune: false }));
  const found = await targetNamed(base.db, 'many');
  if (found === undefined) throw new Error('no target');
  expect(serviceFor(found, 'ssh')?.port).toBe(22);
  expect(serviceFor(found, 'ssh', 'alt')?.port).toBe(2222);
  expect(serviceFor(found, 'rdp')?.port).toBe(3389);
  expect(serviceFor(found, 'ssh', 'rdp')).toBeUndefined();
});

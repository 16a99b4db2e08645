/** Who tries the values of an account that names no connector: the one that speaks with what stands there. */
import { expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargets, type Platform } from '../../src/estate/estate.ts';
import type { AccountDeclaration } from '../../src/vault/vault.ts';
import { allConnectors } from '../../src/rotation/connectors/registry.ts';
import type { Rotation } from '../../src/rotation/rotation.ts';
import { rotationErrors } from '../../src/rotation/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import { never, nowhere, operator, rotationRoom } from './room.ts';
import { ScriptedTarget } from './target.ts';

const blob = new Uint8Array(Buffer.from(nowhere.hostKeys[0]?.split(' ')[1] ?? '', 'base64'));
const ports = { ssh: 22, telnet: 23, postgres: 5432, mysql: 3306, ldaps: 636, rdp: 3389 } as const;
type Name = keyof typeof ports;

/** The connector that is asked about a value of such an account, or the code of the refusal. */
async function asked(
  platform: Platform,
  names: readonly Name[],
  more: Partial<AccountDeclaration> = {},
): Promise<string> {
  let connector = 'nobody';
  const services = names.map((protocol) => ({
    name: protocol,
    protocol,
    port: ports[protocol],
    ...(protocol === 'ssh' ? { hostKeys: [blob] } : {}),
  }));
  await using room = await rotationRoom({
    run: async (job) => {
      connector = job.connector;
      return { outcome: 'accepted', class: 'none', words: '' };
    },
  });
  await inTransaction(room.vault.base.db, (tx) =>
    declareTargets(tx, [{ name: 'box', platform, address: '192.0.2.1', services }], { actor: operator, prune: false }),
  );
  const account = await room.account({ name: 'app@box', kind: 'password', ...more });
  using secret = Secret.fromText('first-Value-9');
  const credential = { kind: 'password', secret } as const;
  const result = await room.rotation.recordKnown(account.id, credential, { unverified: false }, operator, never);
  return 'code' in result ? `${result.code}: ${result.reason}` : connector;
}

test.for([
  ['linux', ['ssh'], 'linux-chpasswd'],
  ['network', ['ssh'], 'ios'],
  ['network', ['telnet'], 'ios'],
  ['database', ['postgres'], 'postgres'],
  ['database', ['mysql'], 'mysql'],
  ['database', ['ssh', 'postgres'], 'postgres'],
  ['linux', ['ssh', 'postgres'], 'linux-chpasswd'],
  ['linux', ['ldaps'], 'ldap'],
  ['windows', ['ldaps'], 'ad'],
  ['windows', ['ldaps', 'rdp'], 'ad'],
  ['windows', ['rdp'], 'rdp-nla'],
  ['windows', ['rdp', 'ssh'], 'linux-chpasswd'],
] as const)('on a target of the kind %s with %j it is %s', async ([platform, services, connector]) => {
  expect(await asked(platform, services)).toBe(connector);
});

test('the service that the account names decides', async () => {
  expect(await asked('linux', ['ssh', 'postgres'], { settings: { service: 'postgres' } })).toBe('postgres');
});

test('where nobody speaks with what stands there, that is said, and which services would do', async () => {
  expect(await asked('windows', [])).toContain('box has no ldaps, ldap, ssh, postgres, mysql, telnet or rdp service');
});

test('a connector that changes nothing is none that an account can name', async () => {
  expect(await asked('windows', ['rdp'], { connector: 'rdp-nla' })).toMatch(
    /^rotation.settings-invalid: .*rdp-nla changes nothing: let the account name no connector/,
  );
});

test.for([
  ['has no service at all', { services: [] }],
  ['is disabled', { services: [{ name: 'rdp', protocol: 'rdp', port: 3389 }], disabled: true }],
] as const)('a value is recorded unverified whatever its target, also where it %s', async ([, part]) => {
  await using room = await rotationRoom({
    run: () => Promise.reject(new Error('nobody is to be asked')),
  });
  const box = { ...part, name: 'box', platform: 'windows', address: '192.0.2.1' } as const;
  await inTransaction(room.vault.base.db, (tx) => declareTargets(tx, [box], { actor: operator, prune: false }));
  const account = await room.account({ name: 'app@box', kind: 'password' });
  using secret = Secret.fromText('first-Value-9');
  const credential = { kind: 'password', secret } as const;
  const record = (unverified: boolean) =>
    room.rotation.recordKnown(account.id, credential, { unverified }, operator, never);
  expect(await record(false)).toMatchObject({ code: 'rotation.target-incomplete' });
  const { sigkey } = await recorded(record(true));
  expect(await room.value(account, sigkey)).toBe('first-Value-9');
});

test('what a dead process left pending is uncertain before a value is recorded where nobody can be asked', async () => {
  await using room = await rotationRoom({
    run: () => Promise.reject(new Error('nobody is to be asked')),
  });
  await room.target(nowhere);
  const account = await room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd' });
  const old = await room.seed(account, 'first-Value-9');
  const dying = await room.open({
    at: async (point) => {
      if (point === 'before change') throw new Error('died');
    },
    run: new ScriptedTarget('first-Value-9').run,
  });
  await dying.rotate(account.id, 'on-demand', operator, never).catch(() => {});
  await room.vault.base.owner
    .updateTable('rotation_lease')
    .set({ expires_at: new Date(0) })
    .execute();
  const box = { name: 'box', platform: 'linux', address: '192.0.2.1', services: [] } as const;
  await inTransaction(room.vault.base.db, (tx) => declareTargets(tx, [box], { actor: operator, prune: false }));
  using secret = Secret.fromText('second-Value-9');
  const credential = { kind: 'password', secret } as const;
  const { sigkey } = await recorded(
    room.rotation.recordKnown(account.id, credential, { unverified: true }, operator, never),
  );
  const history = await room.rotation.history(account.id);
  if (isRefusal(history)) throw new Error(history.reason);
  expect(history.versions.map(({ status }) => status)).toEqual(['C', 'U', 'U']);
  expect(history.versions.map((one) => one.sigkey)).toEqual(expect.arrayContaining([old, sigkey]));
});

async function recorded(work: ReturnType<Rotation['recordKnown']>) {
  const result = await work;
  if (isRefusal(result)) throw new Error(`${result.code}: ${result.reason}`);
  expect(result.status).toBe('uncertain');
  return result;
}

test('whoever misses a connector is told which ones there are', () => {
  const changing = allConnectors.filter(({ capabilities }) => capabilities.modes.length > 0);
  for (const { name } of changing) expect(rotationErrors['rotation.no-connector'].remedy).toContain(name);
});

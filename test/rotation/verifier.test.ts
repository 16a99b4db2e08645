/** Who tries the values of an account that names no connector: the one that speaks with what stands there. */
import { expect, test } from 'vitest';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargets, type Platform } from '../../src/estate/estate.ts';
import type { AccountDeclaration } from '../../src/vault/vault.ts';
import { connectorNames } from '../../src/rotation/connectors/registry.ts';
import { rotationErrors } from '../../src/rotation/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import { never, nowhere, operator, rotationRoom } from './room.ts';

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
] as const)('on a target of the kind %s with %j it is %s', async ([platform, services, connector]) => {
  expect(await asked(platform, services)).toBe(connector);
});

test('the service that the account names decides', async () => {
  expect(await asked('linux', ['ssh', 'postgres'], { settings: { service: 'postgres' } })).toBe('postgres');
});

test('where nobody speaks with what stands there, that is said, and which services would do', async () => {
  expect(await asked('windows', ['rdp'])).toContain('box has no ldaps, ldap, ssh, postgres, mysql or telnet service');
});

test('whoever misses a connector is told which ones there are', () => {
  for (const name of connectorNames) expect(rotationErrors['rotation.no-connector'].remedy).toContain(name);
});

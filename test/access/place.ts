/** People, two targets, their accounts, and grants between them. */
import { type GrantDeclaration, declareGrants } from '../../src/access/access.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargetGroups, declareTargets } from '../../src/estate/estate.ts';
import { declareAccounts } from '../../src/vault/vault.ts';
import { operator, type People, people, person } from '../identity/people.ts';

export interface Place extends People {
  readonly grant: (...grants: GrantDeclaration[]) => Promise<void>;
}

export const options = { actor: operator, prune: false };

/** alice is in `admins`, bob in `users`; web-01 has root and deploy and two ssh services, db-01 has root. */
export async function place(): Promise<Place> {
  const room = await people();
  const { db } = room;
  await person(db, 'alice', { groups: ['admins'] });
  await person(db, 'bob', { groups: ['users'] });
  await inTransaction(db, async (tx) => {
    const service = (name: string, port: number) => ({ name, protocol: 'ssh' as const, port });
    await declareTargets(
      tx,
      [
        {
          name: 'web-01',
          platform: 'linux',
          address: '192.0.2.1',
          services: [service('ssh', 22), service('alt', 2222)],
        },
        { name: 'db-01', platform: 'linux', address: '192.0.2.2', services: [service('ssh', 22)] },
      ],
      options,
    );
    await declareTargetGroups(tx, [{ name: 'databases', members: ['db-01'] }], options);
    const accounts = ['root@web-01', 'deploy@web-01', 'root@db-01'];
    await declareAccounts(
      tx,
      accounts.map((name) => ({ name, kind: 'password' as const })),
      options,
    );
  });
  return {
    ...room,
    grant: async (...grants) => {
      await inTransaction(db, async (tx) => await declareGrants(tx, grants, { ...options, prune: true }));
    },
  };
}

/** The same people; win-01 is a Windows machine with two services, admin and svc, and web-01 has ssh. */
export async function desktops(): Promise<Place> {
  const room = await place();
  await inTransaction(room.db, async (tx) => {
    const rdp = (name: string, port: number, settings = {}) => ({ name, protocol: 'rdp' as const, port, settings });
    await declareTargets(
      tx,
      [
        {
          name: 'win-01',
          platform: 'windows',
          address: '192.0.2.3',
          services: [rdp('rdp', 3389, { domain: 'CORP' }), rdp('rdp-tls', 3390, { security: 'tls' })],
        },
      ],
      options,
    );
    const accounts = ['admin@win-01', 'svc@win-01'];
    await declareAccounts(
      tx,
      accounts.map((name) => ({ name, kind: 'password' as const })),
      options,
    );
  });
  return room;
}

/** The mysql connector and accounts of one user on several hosts: each is an account with a password of its own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MariadbServer } from '../lab/mariadb.ts';
import { never, operator, rotationRoom } from '../rotation/room.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargets } from '../../src/estate/estate.ts';
import { password } from '../rotation/connectors/machine.ts';
import { drawn, login, manager, connector, roomOf, startAccounts } from '../rotation/connectors/mariadb.ts';

const { candidates, change, precheck, undo, verify, work } = roomOf(() => server);

let server: MariadbServer;
beforeAll(async () => {
  server = await startAccounts();
});
afterAll(async () => server?.[Symbol.asyncDispose]());

describe('mysql, hosts', () => {
  test.for([
    ['app', 'localhost'],
    ['', 'localhost'],
  ] as const)(
    'an account behind %s@%s cannot be proven by a login from here; what is stored proves it',
    async ([user, host]) => {
      // The administrator himself must not end up behind it.
      await server.query(`CREATE USER 'near'@'localhost' IDENTIFIED BY 'Near.Pass-1'`);
      await server.query(`GRANT ALL ON *.* TO 'near'@'localhost'`);
      await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'Old.Pass-1'`);
      await server.query(`CREATE USER '${user}'@'${host}' IDENTIFIED BY 'Old.Pass-1'`);
      await using _ = undo(`DROP USER '${user}'@'${host}'`, `DROP USER 'near'@'localhost'`);
      const near = login('near@localhost', 'Near.Pass-1');
      const next = drawn();
      const shadowed = {
        outcome: 'confirmed',
        class: 'unsupported',
        words: expect.stringContaining(`'${user}'@'${host}'`),
      };
      expect(await precheck(work('app@%', near))).toMatchObject(shadowed);
      expect(await change(work('app@%', near), next)).toMatchObject(shadowed);
      // The old value still opens the other account: that is no proof that nothing was changed.
      expect(await verify('app@%', password('Old.Pass-1'))).toMatchObject({ ...shadowed, outcome: 'unknown' });
      expect((await verify('app@%', next.login)).outcome).not.toBe('accepted');
      expect(await candidates('app@%', [password('Old.Pass-1'), next.login], near)).toMatchObject([
        { answer: 'rejected', how: 'stored' },
        { answer: 'accepted', how: 'stored' },
      ]);
    },
  );

  test('the engine rotates an account behind another one, proves it by what is stored, and calls it in step', async () => {
    await server.query(`CREATE USER 'root2'@'localhost' IDENTIFIED BY 'Root2.Pass-1'`);
    await server.query(`GRANT ALL ON *.* TO 'root2'@'localhost'`);
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'Before.Pass-1'`);
    await server.query(`CREATE USER 'app'@'localhost' IDENTIFIED BY 'Before.Pass-1'`);
    await using _ = undo(`DROP USER 'app'@'localhost'`);
    await using room = await rotationRoom();
    const tls = { serverName: server.serverName, ca: server.ca };
    const services = [{ name: 'mysql', protocol: 'mysql', port: server.port, settings: { tls } } as const];
    const box = { name: 'box', platform: 'linux', address: server.address, services } as const;
    const by = { actor: operator, prune: false };
    await inTransaction(room.vault.base.db, (tx) => declareTargets(tx, [box], by));
    const admin = await room.account({ name: 'root2@localhost@box', kind: 'password', policy: 'Standard', connector });
    await room.seed(admin, 'Root2.Pass-1');
    const account = await room.account({
      name: 'app@%@box',
      kind: 'password',
      policy: 'Standard',
      connector,
      admin: 'root2@localhost@box',
    });
    await room.seed(account, 'Before.Pass-1');
    expect(await room.rotation.rotate(account.id, 'on-demand', operator, never)).toMatchObject({ status: 'confirmed' });
    const now = password(await room.value(account));
    const near = login('root2@localhost', 'Root2.Pass-1');
    expect(await candidates('app@%', [now], near)).toMatchObject([{ answer: 'accepted', how: 'stored' }]);
    expect((await verify('app@%', now)).outcome).not.toBe('accepted');
    expect(await room.rotation.verify(account.id, operator, never)).toMatchObject({ answer: 'accepted' });
  });

  test('an account for another host than ours is unverifiable here, and what is stored proves it', async () => {
    await server.query(`CREATE USER 'far'@'192.0.2.%' IDENTIFIED BY 'Far.Pass-1'`);
    const next = drawn();
    expect(await change(work('far@192.0.2.%'), next)).toMatchObject({ outcome: 'confirmed', class: 'unsupported' });
    expect(await verify('far@192.0.2.%', next.login)).toMatchObject({ outcome: 'unknown', class: 'unsupported' });
    expect(await candidates('far@192.0.2.%', [next.login])).toMatchObject([{ answer: 'accepted', how: 'stored' }]);
  });

  test('all hosts of a user are changed in one step, and each is proven by what is stored', async () => {
    const hosts = ['%', 'localhost', '192.0.2.7', '198.51.100.0/255.255.255.0'];
    for (const host of hosts) await server.query(`CREATE USER 'many'@'${host}' IDENTIFIED BY 'Many.Pass-1'`);
    const settings = { hosts: 'all' };
    const next = drawn();
    const before = (await server.logs())['general.log']?.length;
    expect(await change(work('many@%', manager(), { settings }), next)).toMatchObject({
      outcome: 'confirmed',
      class: 'none',
    });
    const told = (await server.logs())['general.log']?.subarray(before).toString() ?? '';
    expect(told.match(/ALTER USER/g)).toHaveLength(1);
    const kept = await server.query(
      `SELECT DISTINCT JSON_VALUE(Priv, '$.authentication_string') AS kept FROM mysql.global_priv WHERE User = 'many'`,
    );
    expect(kept).toHaveLength(1);
    expect(await verify('many@%', next.login, { settings })).toMatchObject({ outcome: 'accepted' });
    expect(await candidates('many@%', [drawn().login, next.login], manager(), settings)).toMatchObject([
      { answer: 'rejected', how: 'stored' },
      { answer: 'accepted', how: 'stored' },
    ]);
    // One of them drifts away: then no single value is the user's.
    await server.query(`ALTER USER 'many'@'192.0.2.7' IDENTIFIED BY 'Drifted.Pass-1'`);
    expect(await candidates('many@%', [next.login], manager(), settings)).toMatchObject([
      { answer: 'unknown', how: 'stored', words: expect.stringContaining(`'many'@'192.0.2.7'`) },
    ]);
  });
});

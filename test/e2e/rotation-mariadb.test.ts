/** The mysql connector on a real MariaDB with TLS and every log that it can write. */
import { randomBytes } from 'node:crypto';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Place } from '../../src/rotation/connectors/connector.ts';
import type { MariadbServer } from '../lab/mariadb.ts';
import { strangeAuthority } from '../lab/server.ts';
import { conformance } from '../rotation/connectors/conformance.ts';
import { password } from '../rotation/connectors/machine.ts';
import {
  boss,
  drawn,
  login,
  manager,
  printable,
  roomOf,
  startAccounts,
  value,
} from '../rotation/connectors/mariadb.ts';

const { candidates, change, placeOf, precheck, undo, verify, work } = roomOf(() => server);

let server: MariadbServer;
let strange: string;
beforeAll(async () => {
  [server, strange] = await Promise.all([startAccounts(), strangeAuthority()]);
});
afterAll(async () => server?.[Symbol.asyncDispose]());

const privOf = async (user: string, host = '%') =>
  JSON.stringify(await server.query(`SELECT Priv FROM mysql.global_priv WHERE User = '${user}' AND Host = '${host}'`));

describe('mysql', () => {
  let planted = '';
  conformance({
    connector: 'mysql',
    account: 'app@%',
    place: (at) => placeOf(at),
    impostor: (place) => ({ ...place, tls: { kind: 'verify', serverName: server.serverName, ca: strange } }),
    admins: { 'with CREATE USER, and SELECT on mysql.global_priv': manager, 'with all privileges': boss },
    powerless: () => login('plain', 'Plain.Pass-1'),
    draw: async () => drawn(),
    plant: async () => {
      planted = `Planted-${randomBytes(9).toString('base64url')}`;
      await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY '${planted}'`);
      return value(planted);
    },
    forbid: async () => {
      await server.query(`INSTALL SONAME 'simple_password_check'`);
      return undo(`UNINSTALL SONAME 'simple_password_check'`);
    },
    lock: async () => {
      await server.query(`ALTER USER 'app'@'%' ACCOUNT LOCK`);
      return undo(`ALTER USER 'app'@'%' ACCOUNT UNLOCK`);
    },
    expire: async () => {
      await server.query(`ALTER USER 'app'@'%' PASSWORD EXPIRE`);
      return undo();
    },
    strikes: async () => {
      await server.query('SET GLOBAL max_password_errors = 3');
      const locked = async (): Promise<boolean> => {
        const options = { host: '127.0.0.1', port: server.port, user: 'app', password: planted };
        const code = await mysql.createConnection(options).then(
          (connection) => connection.end(),
          (error: { errno?: number }) => error.errno,
        );
        return code === 4150;
      };
      return { locked, ...undo('SET GLOBAL max_password_errors = DEFAULT', 'FLUSH PRIVILEGES') };
    },
    nasty: [
      printable,
      printable.split('').toReversed().join(''),
      `'";$(id)\`id\`\\`,
      `'; DROP USER app; -- `,
      ' leading and trailing ',
      'ümläut € 😀',
      '\ttab\nline\r\u0001',
      '? ?? :x %s {} \\x41 \\%\\_',
      '*14E65567ABDB5135D0CFD9A70B3032C179A49EE7',
      'x'.repeat(900),
    ],
    settled: async () => {
      const running = `SELECT SLEEP(0.02) FROM information_schema.PROCESSLIST
        WHERE ID = IS_USED_LOCK('rot-conformance') AND COMMAND <> 'Sleep'`;
      while ((await server.query(running)).length > 0);
    },
    without: { lie: 'no way is known to make MariaDB refuse what it has done' },
  });

  test.for(['NO_BACKSLASH_ESCAPES', 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT', 'ORACLE'])(
    'values arrive as they are under sql_mode %s',
    async (mode) => {
      await server.query(`SET GLOBAL sql_mode = '${mode}'`);
      await using _ = undo('SET GLOBAL sql_mode = DEFAULT');
      for (const text of [printable, 'a"b\tc\\d\'e']) {
        const next = value(text);
        expect(await change(work('app@%'), next)).toMatchObject({ outcome: 'confirmed' });
        expect(await verify('app@%', next.login)).toMatchObject({ outcome: 'accepted' });
      }
      const [self, again] = [login('app@%', 'a"b\tc\\d\'e'), value(`"'\\${mode}\t`)];
      expect(await change(work('app@%', self), again)).toMatchObject({ outcome: 'confirmed' });
      expect(await verify('app@%', again.login)).toMatchObject({ outcome: 'accepted' });
    },
  );

  test('a plain name is the account on all hosts', async () => {
    const next = drawn();
    expect(await change(work('app'), next)).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('app@%', next.login)).toMatchObject({ outcome: 'accepted' });
  });

  test('an account of the ed25519 plugin is changed by its own kind of hash, by an administrator and by itself', async () => {
    await server.query(`CREATE USER 'modern'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('Modern.Pass-1')`);
    const [first, second] = [value(printable), drawn()];
    expect(await verify('modern@%', password('Modern.Pass-1'))).toMatchObject({ outcome: 'accepted' });
    expect(await change(work('modern@%'), first)).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('modern@%', first.login)).toMatchObject({ outcome: 'accepted' });
    expect(await change(work('modern@%', login('modern@%', printable)), second)).toMatchObject({
      outcome: 'confirmed',
    });
    expect(await verify('modern@%', second.login)).toMatchObject({ outcome: 'accepted' });
    expect(await verify('modern@%', first.login)).toMatchObject({ outcome: 'rejected' });
    expect(await candidates('modern@%', [first.login, second.login])).toMatchObject([
      { answer: 'rejected', how: 'stored' },
      { answer: 'accepted', how: 'stored' },
    ]);
  });

  test('the other ways in which an account may log in stay as they are', async () => {
    await server.query(
      `CREATE USER 'both'@'%' IDENTIFIED VIA unix_socket USING 'root' OR mysql_native_password USING PASSWORD('Both.Pass-1')`,
    );
    const next = drawn();
    expect(await change(work('both@%'), next)).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('both@%', next.login)).toMatchObject({ outcome: 'accepted' });
    const shown = await server.query(`SHOW CREATE USER 'both'@'%'`);
    expect(JSON.stringify(shown)).toMatch(/VIA unix_socket USING 'root' OR mysql_native_password USING/);
  });

  test('what the account may do and must have is not touched', async () => {
    await server.query(
      `CREATE USER 'strict'@'%' IDENTIFIED BY 'Strict.Pass-1' REQUIRE SSL WITH MAX_USER_CONNECTIONS 3`,
    );
    await server.query(`GRANT SELECT ON mysql.db TO 'strict'@'%'`);
    const before = await privOf('strict');
    expect(await change(work('strict@%'), drawn())).toMatchObject({ outcome: 'confirmed' });
    const same = (text: string): string =>
      text.replaceAll(/\*[0-9A-F]{40}/g, '*').replaceAll(/last_changed\\*":\d+/g, 'last_changed');
    expect(same(await privOf('strict'))).toBe(same(before));
  });

  test('an account without a password of the server is not changed', async () => {
    await server.query(`CREATE USER 'socket'@'%' IDENTIFIED VIA unix_socket`);
    expect(await precheck(work('socket@%'))).toMatchObject({ outcome: 'unsent', class: 'unsupported' });
    expect(await change(work('socket@%'), drawn())).toMatchObject({ outcome: 'unsent', class: 'unsupported' });
  });

  test('rules of the server that refuse every hash are told apart from an account that is not there', async () => {
    await server.query(`INSTALL SONAME 'simple_password_check'`);
    await using _ = undo(`UNINSTALL SONAME 'simple_password_check'`);
    const words = expect.stringContaining('strict_password_validation');
    expect(await change(work('app@%'), drawn())).toMatchObject({ outcome: 'failed', class: 'policy', words });
    expect(await change(work('gone@%'), drawn())).toMatchObject({ outcome: 'unsent', class: 'missing' });
    await server.query(`SET GLOBAL strict_password_validation = OFF`);
    await using __ = undo(`SET GLOBAL strict_password_validation = ON`);
    expect(await change(work('app@%'), drawn())).toMatchObject({ outcome: 'confirmed' });
  });

  test('an account that was locked by wrong passwords is told, and a change unlocks it', async () => {
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'App.Pass-2'`);
    await server.query('SET GLOBAL max_password_errors = 2');
    await using _ = undo('SET GLOBAL max_password_errors = DEFAULT', 'FLUSH PRIVILEGES');
    for (const text of ['wrong-1', 'wrong-2']) await verify('app@%', password(text));
    expect(await verify('app@%', password('App.Pass-2'))).toMatchObject({ outcome: 'unknown', class: 'locked' });
    expect(await candidates('app@%', [password('App.Pass-2')])).toMatchObject([{ answer: 'accepted', how: 'stored' }]);
    const next = drawn();
    expect(await change(work('app@%'), next)).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('app@%', next.login)).toMatchObject({ outcome: 'accepted' });
  });

  test('who may not read what is stored tries logins, and none where the server locks for them', async () => {
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'App.Pass-3'`);
    const values = [1, 2, 3, 4].map(() => drawn().login);
    const plain = login('plain', 'Plain.Pass-1');
    expect((await candidates('app@%', values, plain)).map((one) => one.class)).toEqual(
      values.map(() => 'authentication'),
    );
    expect(await verify('app@%', password('App.Pass-3')), 'it counts anew').toMatchObject({ outcome: 'accepted' });
    await server.query('SET GLOBAL max_password_errors = 3');
    await using _ = undo('SET GLOBAL max_password_errors = DEFAULT', 'FLUSH PRIVILEGES');
    // Two were refused already, from wherever: the server shows that to nobody, and the third would be the last.
    for (const text of ['wrong-1', 'wrong-2']) await verify('app@%', password(text));
    for (const one of await candidates('app@%', values, plain))
      expect(one).toMatchObject({
        answer: 'unknown',
        class: 'permission',
        words: expect.stringContaining('max_password_errors'),
      });
    expect(await candidates('gone@%', values.slice(0, 1))).toMatchObject([{ answer: 'unknown', class: 'missing' }]);
    expect(await verify('app@%', password('App.Pass-3'))).toMatchObject({ outcome: 'accepted' });
  });

  test('an administrator who may read and not change, or change and not read, is told what is missing', async () => {
    await server.query(`CREATE USER 'reader'@'%' IDENTIFIED BY 'Reader.Pass-1'`);
    await server.query(`GRANT SELECT ON mysql.global_priv TO 'reader'@'%'`);
    await server.query(`CREATE USER 'blind'@'%' IDENTIFIED BY 'Blind.Pass-1'`);
    await server.query(`GRANT CREATE USER ON *.* TO 'blind'@'%'`);
    expect(await precheck(work('app@%', login('reader', 'Reader.Pass-1')))).toMatchObject({
      outcome: 'unsent',
      class: 'permission',
      words: expect.stringContaining('CREATE USER'),
    });
    expect(await precheck(work('app@%', login('blind', 'Blind.Pass-1')))).toMatchObject({
      outcome: 'unsent',
      class: 'permission',
      words: expect.stringContaining('global_priv'),
    });
  });

  test('a certificate is checked for the name that was declared, or for the address', async () => {
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'App.Pass-4'`);
    const right = password('App.Pass-4');
    const named = (serverName?: string) => ({
      place: {
        ...placeOf(),
        tls: { kind: 'verify', ca: server.ca, ...(serverName === undefined ? {} : { serverName }) },
      } as Place,
    });
    expect(await verify('app@%', right, named())).toMatchObject({ outcome: 'accepted' });
    expect(await verify('app@%', right, named('other.test'))).toMatchObject({
      outcome: 'unknown',
      class: 'certificate',
    });
    expect(await verify('app@%', right, { place: { ...placeOf(), tls: { kind: 'off' } } })).toMatchObject({
      outcome: 'accepted',
    });
  });
});

/** The mysql connector on a real MariaDB with TLS and every log that it can write. */
import { randomBytes } from 'node:crypto';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { LoginCredential, Place, Work } from '../../src/rotation/connectors/connector.ts';
import { processRunner } from '../../src/rotation/connectors/run.ts';
import { type MariadbServer, startMariadb } from '../lab/mariadb.ts';
import { strangeAuthority } from '../lab/server.ts';
import { conformance, type Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';
import { canary, drawCanary, searchBytes } from '../support/canary.ts';
import { scan } from '../support/canary-scan.ts';

const connector = 'mysql';
const printable = String.fromCharCode(...Array.from({ length: 95 }, (_, at) => 32 + at));

let server: MariadbServer;
let strange: string;
beforeAll(async () => {
  [server, strange] = await Promise.all([startMariadb(), strangeAuthority()]);
  for (const text of [
    `CREATE USER 'boss'@'%' IDENTIFIED BY 'Boss.Pass-1'`,
    `GRANT ALL ON *.* TO 'boss'@'%'`,
    `CREATE USER 'manager'@'%' IDENTIFIED BY 'Manager.Pass-1'`,
    `GRANT CREATE USER ON *.* TO 'manager'@'%'`,
    `GRANT SELECT ON mysql.global_priv TO 'manager'@'%'`,
    `CREATE USER 'plain'@'%' IDENTIFIED BY 'Plain.Pass-1'`,
    `CREATE USER 'app'@'%' IDENTIFIED BY 'App.Pass-1'`,
  ])
    await server.query(text);
});
afterAll(async () => server?.[Symbol.asyncDispose]());

const placeOf = (at: { address: string; port: number } = server): Place => ({
  protocol: 'mysql',
  address: at.address,
  port: at.port,
  hostKeys: [],
  tls: { kind: 'verify', serverName: server.serverName, ca: server.ca },
  settings: {},
});
const login = (user: string, text: string) => ({ user, credential: password(text) });
const boss = () => login('boss', 'Boss.Pass-1');
const manager = () => login('manager@%', 'Manager.Pass-1');
const value = (text: string): Value => ({
  fresh: { kind: 'password', secret: Secret.fromText(text) },
  login: password(text),
});
const drawn = (): Value => value(`Drawn-${randomBytes(9).toString('base64url')}`);
const work = (account: string, by = manager(), more: Partial<Work> = {}): Work => ({
  place: placeOf(),
  account,
  settings: {},
  by: { mode: by.user === account ? 'self' : 'admin', login: by },
  tag: 'rot-test',
  targetSeconds: 5,
  ...more,
});
const change = (what: Work, { fresh }: Value) => ask({ connector, operation: 'change', work: what, fresh });
const precheck = (what: Work) => ask({ connector, operation: 'precheck', work: what });
const verify = (account: string, credential: LoginCredential, more: Partial<{ place: Place; settings: Readonly<Record<string, unknown>> }> = {}) =>
  ask({
    connector,
    operation: 'verify',
    task: { place: placeOf(), account, settings: {}, ...more },
    login: { user: account, credential },
  });
const candidates = async (account: string, values: readonly LoginCredential[], admin = manager(), settings = {}) => {
  const task = { place: placeOf(), account, settings };
  const answer = await ask({ connector, operation: 'adminverify', task, admin, candidates: values, budget: 10 });
  return answer.each ?? [];
};
const undo = (...texts: readonly string[]) => ({
  [Symbol.asyncDispose]: async () => {
    for (const text of texts) await server.query(text);
  },
});
const privOf = async (user: string, host = '%') =>
  JSON.stringify(await server.query(`SELECT Priv FROM mysql.global_priv WHERE User = '${user}' AND Host = '${host}'`));

describe('mysql', () => {
  let planted = '';
  conformance({
    connector,
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
      [...printable].toReversed().join(''),
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

  test.for([
    ['app', 'localhost'],
    ['', 'localhost'],
  ] as const)(
    'an account behind %s@%s cannot be proven by a login from here; what is stored proves it',
    async ([user, host]) => {
      await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'Old.Pass-1'`);
      await server.query(`CREATE USER '${user}'@'${host}' IDENTIFIED BY 'Old.Pass-1'`);
      await using _ = undo(`DROP USER '${user}'@'${host}'`);
      const next = drawn();
      const words = expect.stringContaining(`'${user}'@'localhost'`);
      expect(await precheck(work('app@%'))).toMatchObject({ outcome: 'confirmed', class: 'unsupported', words });
      expect(await change(work('app@%'), next)).toMatchObject({ outcome: 'confirmed', class: 'unsupported', words });
      // The old value still opens the other account: that is no proof that nothing was changed.
      expect(await verify('app@%', password('Old.Pass-1'))).toMatchObject({
        outcome: 'unknown',
        class: 'unsupported',
        words,
      });
      expect((await verify('app@%', next.login)).outcome).not.toBe('accepted');
      expect(await candidates('app@%', [password('Old.Pass-1'), next.login])).toMatchObject([
        { answer: 'rejected', how: 'stored' },
        { answer: 'accepted', how: 'stored' },
      ]);
    },
  );

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
    const before = (await server.logs())['general.log'] ?? '';
    expect(await change(work('many@%', manager(), { settings }), next)).toMatchObject({
      outcome: 'confirmed',
      class: 'none',
    });
    const told = ((await server.logs())['general.log'] ?? '').slice(before.length);
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

  test('who may not read what is stored tries logins, and fewer than would lock', async () => {
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'App.Pass-3'`);
    await server.query('SET GLOBAL max_password_errors = 3');
    await using _ = undo('SET GLOBAL max_password_errors = DEFAULT', 'FLUSH PRIVILEGES');
    const values = [1, 2, 3, 4].map(() => drawn().login);
    const each = await candidates('app@%', values, login('plain', 'Plain.Pass-1'));
    expect(each.map((one) => one.class)).toEqual(['authentication', 'authentication', 'budget', 'budget']);
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

  test('a server that asks for the password in clear does not get it', async () => {
    await server.query(`INSTALL SONAME 'auth_pam'`);
    await using _ = undo(`DROP USER IF EXISTS 'pam'@'%'`, `UNINSTALL SONAME 'auth_pam'`);
    await server.query(`CREATE USER 'pam'@'%' IDENTIFIED VIA pam USING 'other'`);
    for (const clear of ['OFF', 'ON']) {
      await server.query(`SET GLOBAL pam_use_cleartext_plugin = ${clear}`).catch(() => {});
      expect(await verify('pam@%', password('Pam.Pass-1'))).toMatchObject({ outcome: 'unknown', class: 'unsupported' });
    }
  });

  test('a change that waits is ended by the server itself, and nothing was changed', async () => {
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'App.Pass-5'`);
    await using _ = await readOnly();
    const answer = await change(work('app@%', manager(), { targetSeconds: 1 }), drawn());
    expect(answer).toMatchObject({ outcome: 'failed', class: 'timeout' });
    expect(await verify('app@%', password('App.Pass-5'))).toMatchObject({ outcome: 'accepted' });
  });

  /** Every change waits until it is disposed of. */
  async function readOnly(): Promise<AsyncDisposable> {
    const connection = await server.connect();
    await connection.query('FLUSH TABLES WITH READ LOCK');
    return { [Symbol.asyncDispose]: () => connection.end() };
  }

  /** A change whose process is killed while its statement waits on the server. */
  async function cutOff(tag: string, next: Value): Promise<void> {
    const killed = new AbortController();
    const what = work('app@%', manager(), { tag, targetSeconds: 60 });
    const job = { connector, operation: 'change', work: what, fresh: next.fresh } as const;
    const run = processRunner()(job, { deadlineMs: 60_000 }, killed.signal);
    await until(
      `SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for%' AND INFO LIKE 'ALTER USER%'`,
    );
    killed.abort(new Error('killed'));
    await expect(run).rejects.toThrow('killed');
  }

  const until = async (text: string): Promise<void> => {
    while ((await server.query(text)).length === 0) await server.query('SELECT SLEEP(0.02)');
  };

  test('a fence ends a change that was cut off: after it the old value stays', async () => {
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'App.Pass-6'`);
    const next = drawn();
    {
      await using _ = await readOnly();
      await cutOff('rot-fenced', next);
      const fence = { connector, operation: 'fence', work: work('app@%', manager(), { tag: 'rot-fenced' }) } as const;
      expect(await ask(fence)).toMatchObject({ outcome: 'confirmed' });
      expect(await ask(fence)).toMatchObject({ outcome: 'confirmed' });
    }
    expect(await verify('app@%', password('App.Pass-6'))).toMatchObject({ outcome: 'accepted' });
    expect(await verify('app@%', next.login)).toMatchObject({ outcome: 'rejected' });
  });

  test('without a fence it lands later', async () => {
    const next = drawn();
    {
      await using _ = await readOnly();
      await cutOff('rot-unfenced', next);
    }
    await until(`SELECT 1 FROM DUAL WHERE IS_USED_LOCK('rot-unfenced') IS NULL`);
    expect(await verify('app@%', next.login)).toMatchObject({ outcome: 'accepted' });
  });

  test('a fence without the right to end the session says so', async () => {
    const next = drawn();
    await using _ = await readOnly();
    await cutOff('rot-other', next);
    const fence = {
      connector,
      operation: 'fence',
      work: work('app@%', login('plain', 'Plain.Pass-1'), { tag: 'rot-other' }),
    } as const;
    expect(await ask(fence)).toMatchObject({ outcome: 'uncertain', class: 'permission' });
    expect(await ask({ ...fence, work: work('app@%', boss(), { tag: 'rot-other' }) })).toMatchObject({
      outcome: 'confirmed',
    });
  });

  test('no new value is anywhere on the server: general log, slow log, binary log, statistics, data', async () => {
    const given = Array.from({ length: 7 }, () => drawCanary('new value').text);
    const [changed = '', own = '', refused = '', missing = '', forbidden = '', tried = '', modern = ''] = given;
    const control = drawCanary('planted by SQL');
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY '${control.text}'`);
    await change(work('app@%'), value(changed));
    await change(work('app@%', login('app@%', changed)), value(own));
    await change(work('app@%', login('plain', 'Plain.Pass-1')), value(refused));
    await change(work('gone@%'), value(missing));
    await change(work('modern@%'), value(modern));
    await server.query(`INSTALL SONAME 'simple_password_check'`);
    await change(work('app@%'), value(forbidden));
    await server.query(`UNINSTALL SONAME 'simple_password_check'`);
    await candidates('app@%', [password(tried)]);
    await verify('app@%', password(tried));
    await precheck(work('app@%'));

    const canaries = given.map((text, at) => canary(`value ${at}`, text));
    const logs = await server.logs();
    const parts = Object.keys(logs).join(' ');
    for (const part of ['general.log', 'slow.log', 'binlog.000001', 'mysqlbinlog']) expect(parts).toContain(part);
    for (const [name, text] of Object.entries(logs)) expect(searchBytes(canaries, name, text), name).toEqual([]);
    for (const name of ['general.log', 'mysqlbinlog binlog.000001'])
      expect(
        Object.entries(logs).some(
          ([log, text]) =>
            log.startsWith(name.slice(0, 7)) && /IDENTIFIED VIA mysql_native_password USING '\*/.test(text),
        ),
        name,
      ).toBe(true);
    expect(searchBytes([control], 'general.log', logs['general.log'] ?? '').length).toBeGreaterThan(0);
    const history = await server.query('SELECT * FROM performance_schema.events_statements_history_long');
    expect(history.length).toBeGreaterThan(10);
    const statistics = JSON.stringify([history, await server.query('SELECT * FROM information_schema.PROCESSLIST')]);
    expect(searchBytes(canaries, 'statistics', statistics)).toEqual([]);
    const seen = await scan(canaries, [server.folder]);
    expect(seen.hits).toEqual([]);
    expect(seen.bytes).toBeGreaterThan(8 << 20);
  });
});

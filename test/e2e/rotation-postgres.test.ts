/** The postgres connector on a real PostgreSQL with TLS, SCRAM and every statement in its log. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { LoginCredential, Place, Work } from '../../src/rotation/connectors/connector.ts';
import { processRunner } from '../../src/rotation/connectors/run.ts';
import { type PostgresServer, startPostgres } from '../lab/postgres.ts';
import { strangeAuthority } from '../lab/server.ts';
import { conformance, type Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';
import { canary, drawCanary, searchBytes } from '../support/canary.ts';
import { scan } from '../support/canary-scan.ts';

const connector = 'postgres';
const printable = String.fromCharCode(...Array.from({ length: 95 }, (_, at) => 32 + at));

let server: PostgresServer;
let strange: string;
beforeAll(async () => {
  [server, strange] = await Promise.all([startPostgres(), strangeAuthority()]);
  await server.query(`
    CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'Boss.Pass-1';
    CREATE ROLE creator LOGIN CREATEROLE PASSWORD 'Creator.Pass-1';
    CREATE ROLE plain LOGIN PASSWORD 'Plain.Pass-1';
    CREATE ROLE app LOGIN PASSWORD 'App.Pass-1'`);
});
afterAll(async () => server?.[Symbol.asyncDispose]());

const placeOf = (at: { address: string; port: number } = server): Place => ({
  protocol: 'postgres',
  address: at.address,
  port: at.port,
  hostKeys: [],
  tls: { kind: 'verify', serverName: server.serverName, ca: server.ca },
  settings: {},
});
const login = (user: string, text: string) => ({ user, credential: password(text) });
const boss = () => login('boss', 'Boss.Pass-1');
const creator = () => login('creator', 'Creator.Pass-1');
const value = (text: string): Value => ({
  fresh: { kind: 'password', secret: Secret.fromText(text) },
  login: password(text),
});
const drawn = (): Value => value(`Drawn-${randomBytes(9).toString('base64url')}`);
const work = (account: string, by = boss(), more: Partial<Work> = {}): Work => ({
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
const verify = (user: string, credential: LoginCredential, place = placeOf()) =>
  ask({ connector, operation: 'verify', task: { place, account: user, settings: {} }, login: { user, credential } });
const candidates = async (account: string, values: readonly LoginCredential[], admin = boss()) => {
  const task = { place: placeOf(), account, settings: {} };
  const answer = await ask({ connector, operation: 'adminverify', task, admin, candidates: values, budget: 10 });
  return answer.each ?? [];
};
/** A role's settings hold for sessions that begin after them, so those that are there are ended. */
const bossSessionsEnded = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'boss'`;
const readOnly = async (): Promise<AsyncDisposable> => {
  await server.query(`ALTER ROLE boss SET default_transaction_read_only = on; ${bossSessionsEnded}`);
  return undo(`ALTER ROLE boss RESET default_transaction_read_only; ${bossSessionsEnded}`);
};
const undo = (text: string) => ({ [Symbol.asyncDispose]: async () => void (await server.query(text)) });

describe('postgres', () => {
  conformance({
    connector,
    account: 'app',
    place: (at) => placeOf(at),
    impostor: (place) => ({ ...place, tls: { kind: 'verify', serverName: server.serverName, ca: strange } }),
    admins: { 'a superuser': boss, 'a role with CREATEROLE': creator },
    powerless: () => login('plain', 'Plain.Pass-1'),
    draw: async () => drawn(),
    plant: async () => {
      const planted = `Planted-${randomBytes(9).toString('base64url')}`;
      await server.query(`ALTER ROLE app PASSWORD '${planted}'`);
      return value(planted);
    },
    forbid: readOnly,
    lock: async () => {
      await server.query('ALTER ROLE app NOLOGIN');
      return undo('ALTER ROLE app LOGIN');
    },
    strikes: async () => ({
      locked: async () =>
        (await server.query(`SELECT 1 FROM pg_roles WHERE rolname = 'app' AND rolcanlogin`)).length === 0,
      [Symbol.asyncDispose]: async () => {},
    }),
    nasty: [
      printable,
      printable.split('').toReversed().join(''),
      `'";$(id)\`id\`\\`,
      `'; DROP ROLE app; --`,
      ' leading and trailing ',
      'ümläut € 😀',
      '\ttab\nline\r\u0001',
      "$1 %s {} \\x41 E'\\\\",
      'md5d41d8cd98f00b204e9800998ecf8427e',
      'SCRAM-SHA-256$4096:AAAA$BBBB:CCCC',
      'x'.repeat(900),
    ],
    settled: async () => {
      const running = `SELECT pg_sleep(0.02) FROM pg_stat_activity WHERE application_name = 'rot-conformance' AND state = 'active'`;
      while ((await server.query(running)).length > 0);
    },
    without: {
      expire: 'a role past its VALID UNTIL is refused with the right value too; it has a test of its own',
      lie: 'the answer of PostgreSQL is that of the transaction: after an error nothing was changed',
    },
  });

  test('whatever a role is called, it is that one and no other', async () => {
    await server.query(
      `CREATE ROLE "app""; DROP ROLE app; --" LOGIN; CREATE ROLE "App" LOGIN; CREATE ROLE "röle $1" LOGIN`,
    );
    for (const name of ['app"; DROP ROLE app; --', 'App', 'röle $1']) {
      const next = drawn();
      expect(await change(work(name), next), name).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(name, next.login), name).toMatchObject({ outcome: 'accepted' });
      expect(await verify('app', next.login), name).toMatchObject({ outcome: 'rejected' });
    }
  });

  test('a value that clients rewrite before they use it is refused here, and nothing is sent', async () => {
    for (const text of ['no-break\u00a0space', 'ﬁ ligature', 'soft\u00adhyphen'])
      expect(await change(work('app'), value(text)), text).toMatchObject({ outcome: 'unsent', class: 'policy' });
  });

  test('a server that would store MD5 gets a SCRAM verifier all the same, and an MD5 entry is told from others', async () => {
    const [old, next] = [value('Old.Md5-1'), drawn()];
    await server.query(
      `SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'Old.Md5-1'; RESET password_encryption`,
    );
    expect(await verify('old', old.login)).toMatchObject({ outcome: 'accepted' });
    expect(await candidates('old', [next.login, old.login])).toMatchObject([
      { answer: 'rejected', how: 'stored' },
      { answer: 'accepted', how: 'stored' },
    ]);
    await server.query(`ALTER ROLE boss SET password_encryption = md5`);
    await using _ = undo(`ALTER ROLE boss RESET password_encryption`);
    expect(await change(work('old'), next)).toMatchObject({ outcome: 'confirmed' });
    const [stored] = await server.query(`SELECT rolpassword FROM pg_authid WHERE rolname = 'old'`);
    expect(stored?.['rolpassword']).toMatch(/^SCRAM-SHA-256\$4096:/);
    expect(await verify('old', next.login)).toMatchObject({ outcome: 'accepted' });
  });

  test('a role past its VALID UNTIL is told before anything is drawn, and its right value is found by what is stored', async () => {
    await server.query(
      `CREATE ROLE late LOGIN PASSWORD 'Late.Pass-1' VALID UNTIL '2020-01-01'; GRANT late TO creator WITH ADMIN OPTION`,
    );
    const right = password('Late.Pass-1');
    expect(await precheck(work('late'))).toMatchObject({ outcome: 'unsent', class: 'expired' });
    expect(await verify('late', right)).toMatchObject({ outcome: 'rejected' });
    expect(await candidates('late', [drawn().login, right])).toMatchObject([
      { answer: 'rejected', how: 'stored' },
      { answer: 'accepted', how: 'stored', class: 'expired' },
    ]);
    // Who may not read what is stored learns nothing from logins that refuse everything.
    expect(await candidates('late', [drawn().login, right], creator())).toMatchObject([
      { answer: 'unknown', class: 'expired' },
      { answer: 'unknown', class: 'expired' },
    ]);
  });

  test('who may not read what is stored finds the right value by logins', async () => {
    await server.query(`ALTER ROLE app PASSWORD 'App.Pass-2'`);
    const each = await candidates('app', [drawn().login, password('App.Pass-2')], creator());
    expect(each.map(({ answer, how }) => [answer, how])).toEqual([
      ['rejected', undefined],
      ['accepted', undefined],
    ]);
  });

  test('a superuser is changed by superusers only', async () => {
    expect(await precheck(work('boss', creator()))).toMatchObject({ outcome: 'unsent', class: 'permission' });
    expect(await change(work('boss', creator()), drawn())).toMatchObject({ outcome: 'failed', class: 'permission' });
    expect(await change(work('nobody-here'), drawn())).toMatchObject({ outcome: 'failed', class: 'missing' });
  });

  test('a login that was let in without its password proves nothing', async () => {
    await server.query(`CREATE ROLE trusted LOGIN PASSWORD 'Trusted.Pass-1'`);
    for (const text of ['Trusted.Pass-1', 'Wrong.Pass-1'])
      expect(await verify('trusted', password(text))).toMatchObject({ outcome: 'unknown', class: 'unsupported' });
  });

  test('a server that asks for the password in clear does not get it', async () => {
    await server.query(`CREATE ROLE clear LOGIN PASSWORD 'Clear.Pass-1'`);
    expect(await verify('clear', password('Clear.Pass-1'))).toMatchObject({ outcome: 'unknown', class: 'unsupported' });
  });

  test('nor one that asks for MD5 without TLS; with SCRAM it gets what it needs', async () => {
    const plainly: Place = { ...placeOf(), tls: { kind: 'off' } };
    await server.query(
      `SET password_encryption = md5; ALTER ROLE plain PASSWORD 'Plain.Pass-1'; RESET password_encryption`,
    );
    expect(await verify('plain', password('Plain.Pass-1'), plainly)).toMatchObject({
      outcome: 'unknown',
      class: 'unsupported',
    });
    await server.query(`ALTER ROLE plain PASSWORD 'Plain.Pass-1'`);
    expect(await verify('plain', password('Plain.Pass-1'), plainly)).toMatchObject({ outcome: 'accepted' });
    expect(await verify('app', password('App.Pass-2'), plainly)).toMatchObject({
      outcome: 'unknown',
      class: 'permission',
    });
  });

  test('a certificate is checked for the name that was declared, or for the address', async () => {
    const named = (serverName?: string): Place => ({
      ...placeOf(),
      tls: { kind: 'verify', ca: server.ca, ...(serverName === undefined ? {} : { serverName }) },
    });
    await server.query(`ALTER ROLE app PASSWORD 'App.Pass-3'`);
    expect(await verify('app', password('App.Pass-3'), named())).toMatchObject({ outcome: 'accepted' });
    expect(await verify('app', password('App.Pass-3'), named('other.test'))).toMatchObject({
      outcome: 'unknown',
      class: 'certificate',
    });
  });

  test('what stands in the way after the password was right is no rejection', async () => {
    await server.query(`CREATE ROLE busy LOGIN PASSWORD 'Busy.Pass-1' CONNECTION LIMIT 0`);
    const gone: Place = { ...placeOf(), settings: { database: 'gone' } };
    expect(await verify('busy', password('Busy.Pass-1'))).toMatchObject({ outcome: 'accepted' });
    expect(await verify('app', password('App.Pass-3'), gone)).toMatchObject({ outcome: 'accepted' });
    expect(await verify('app', drawn().login, gone)).toMatchObject({ outcome: 'rejected' });
  });

  test('a change that waits is ended by the server itself, and nothing was changed', async () => {
    await server.query(`ALTER ROLE app PASSWORD 'App.Pass-4'`);
    await using _ = await roleLocked();
    expect(await change(work('app', boss(), { targetSeconds: 1 }), drawn())).toMatchObject({
      outcome: 'failed',
      class: 'timeout',
    });
    expect(await verify('app', password('App.Pass-4'))).toMatchObject({ outcome: 'accepted' });
  });

  /** Nobody can change a role until it is disposed of. */
  async function roleLocked(): Promise<AsyncDisposable> {
    const client = await server.connect();
    await client.query('BEGIN; LOCK TABLE pg_authid IN SHARE MODE');
    return {
      [Symbol.asyncDispose]: async () => {
        await client.query('COMMIT');
        await client.end();
      },
    };
  }

  /** A change whose process is killed while its statement waits on the server. */
  async function cutOff(tag: string, next: Value): Promise<void> {
    const killed = new AbortController();
    const what = work('app', boss(), { tag, targetSeconds: 60 });
    const job = { connector, operation: 'change', work: what, fresh: next.fresh } as const;
    const run = processRunner()(job, { deadlineMs: 60_000 }, killed.signal);
    await until(`SELECT 1 FROM pg_stat_activity WHERE application_name = '${tag}' AND wait_event_type = 'Lock'`);
    killed.abort(new Error('killed'));
    await expect(run).rejects.toThrow('killed');
  }

  const until = async (text: string): Promise<void> => {
    while ((await server.query(`${text}`)).length === 0) await server.query('SELECT pg_sleep(0.02)');
  };

  test('a fence ends a change that was cut off: after it the old value stays', async () => {
    await server.query(`ALTER ROLE app PASSWORD 'App.Pass-5'`);
    const next = drawn();
    {
      await using _ = await roleLocked();
      await cutOff('rot-fenced', next);
      const fence = { connector, operation: 'fence', work: work('app', boss(), { tag: 'rot-fenced' }) } as const;
      expect(await ask(fence)).toMatchObject({ outcome: 'confirmed' });
      expect(await ask(fence)).toMatchObject({ outcome: 'confirmed' });
    }
    expect(await verify('app', password('App.Pass-5'))).toMatchObject({ outcome: 'accepted' });
    expect(await verify('app', next.login)).toMatchObject({ outcome: 'rejected' });
  });

  test('an administrator logs in once for several accounts, and a session that was ended meanwhile costs nothing', async () => {
    const logins = (): number => server.log().split('connection authenticated: identity="boss"').length;
    await server.query(`ALTER ROLE app PASSWORD 'App.Pass-5'`);
    await using _ = undo(`ALTER ROLE plain PASSWORD 'Plain.Pass-1'`);
    await precheck(work('app'));
    await candidates('app', [password('App.Pass-5')]);
    const before = logins();
    for (const role of ['app', 'plain']) {
      expect(await precheck(work(role))).toMatchObject({ outcome: 'confirmed' });
      const next = drawn();
      expect(await change(work(role), next)).toMatchObject({ outcome: 'confirmed' });
      expect(await candidates(role, [next.login])).toMatchObject([{ answer: 'accepted' }]);
    }
    expect(logins()).toBe(before);
    await server.query(bossSessionsEnded);
    expect(await change(work('app'), drawn())).toMatchObject({ outcome: 'confirmed' });
    expect(logins()).toBe(before + 1);
    const wrong = login('boss', 'Wrong.Pass-1');
    expect(await change(work('app', wrong), drawn())).toMatchObject({ outcome: 'unsent', class: 'authentication' });
  });

  test('without a fence it lands later', async () => {
    await server.query(`ALTER ROLE app PASSWORD 'App.Pass-5'`);
    const next = drawn();
    {
      await using _ = await roleLocked();
      await cutOff('rot-unfenced', next);
    }
    const ended = `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'rot-unfenced')`;
    await until(ended);
    expect(await verify('app', next.login)).toMatchObject({ outcome: 'accepted' });
  });

  test('a fence without the right to end the session says so', async () => {
    await server.query(`ALTER ROLE app PASSWORD 'App.Pass-6'`);
    await using _ = await roleLocked();
    await cutOff('rot-other', drawn());
    const fence = { connector, operation: 'fence', work: work('app', creator(), { tag: 'rot-other' }) } as const;
    expect(await ask(fence)).toMatchObject({ outcome: 'uncertain', class: 'permission' });
    await ask({ ...fence, work: work('app', boss(), { tag: 'rot-other' }) });
  });

  test('no new value is anywhere on the server: log, statistics, WAL, data', async () => {
    const [changed, self, refused, missing, forbidden, tried] = Array.from({ length: 6 }, () =>
      drawCanary('new value'),
    );
    const given = [changed, self, refused, missing, forbidden, tried].map((one) => one?.text ?? '');
    const control = drawCanary('planted by SQL');
    await server.query(`ALTER ROLE app PASSWORD '${control.text}'`);
    await change(work('app'), value(given[0] ?? ''));
    await change(work('app', login('app', given[0] ?? '')), value(given[1] ?? ''));
    await change(work('app', login('plain', 'Plain.Pass-1')), value(given[2] ?? ''));
    await change(work('nobody-here'), value(given[3] ?? ''));
    {
      await using _ = await readOnly();
      await change(work('app'), value(given[4] ?? ''));
    }
    await candidates('app', [password(given[5] ?? '')]);
    await verify('app', password(given[5] ?? ''));
    await precheck(work('app'));
    await server.query('CHECKPOINT');

    const log = server.log();
    expect(log.match(/ALTER ROLE "(app|nobody-here)" PASSWORD 'SCRAM-SHA-256\$4096:/g)?.length).toBeGreaterThan(4);
    const canaries = given.map((text, at) => canary(`value ${at}`, text));
    expect(searchBytes(canaries, 'log', log)).toEqual([]);
    expect(searchBytes([control], 'log', log).length).toBeGreaterThan(0);
    const statistics = JSON.stringify(await server.query('SELECT * FROM pg_stat_activity'));
    expect(searchBytes(canaries, 'pg_stat_activity', statistics)).toEqual([]);
    const seen = await scan(canaries, [server.folder]);
    expect(seen.hits).toEqual([]);
    expect(seen.bytes).toBeGreaterThan(16 << 20);
  });
});

describe('postgres, the newest version', () => {
  test('a role with CREATEROLE changes what it has the ADMIN OPTION for, and nothing else', async () => {
    await using newest = await startPostgres('npm');
    await newest.query(`
      CREATE ROLE creator LOGIN CREATEROLE PASSWORD 'Creator.Pass-1';
      CREATE ROLE app LOGIN PASSWORD 'App.Pass-1'; GRANT app TO creator WITH ADMIN OPTION;
      CREATE ROLE other LOGIN PASSWORD 'Other.Pass-1'`);
    expect(newest.major).toBeGreaterThan(15);
    const place: Place = { ...placeOf(newest), tls: { kind: 'verify', serverName: newest.serverName, ca: newest.ca } };
    const next = drawn();
    expect(await precheck(work('app', creator(), { place }))).toMatchObject({ outcome: 'confirmed' });
    expect(await change(work('app', creator(), { place }), next)).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('app', next.login, place)).toMatchObject({ outcome: 'accepted' });
    expect(await precheck(work('other', creator(), { place }))).toMatchObject({
      outcome: 'unsent',
      class: 'permission',
    });
    expect(await change(work('other', creator(), { place }), drawn())).toMatchObject({
      outcome: 'failed',
      class: 'permission',
    });
    const [self, again] = [login('other', 'Other.Pass-1'), drawn()];
    expect(await change(work('other', self, { place }), again)).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('other', again.login, place)).toMatchObject({ outcome: 'accepted' });
    expect(await ask({ connector, operation: 'fence', work: work('app', creator(), { place }) })).toMatchObject({
      outcome: 'confirmed',
    });
  });
});

/**
 * Two and three whole products, each with its own PostgreSQL, as an operator makes them nodes of each other: named,
 * invited, joined over TLS, watched, healed and parted, by commands alone.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { runWell } from '../lab/run.ts';
import { nowhere } from '../rotation/room.ts';
import { makeHome, type Product, startProduct } from '../support/sallyport.ts';

const estate = `targets:
  - { name: box, platform: linux, address: 127.0.0.1, services: [{ port: 1, hostKeys: ["box ${nowhere.hostKeys[0]}"] }] }
accounts:
  - { name: app@box, kind: password }
  - { name: web@box, kind: password }
`;

interface Status {
  readonly node: string;
  readonly name?: string;
  readonly state: string;
  readonly peers: readonly {
    readonly name: string;
    readonly hearing: string;
    readonly place: string;
    readonly owed: boolean;
    readonly same?: string;
  }[];
  readonly unfolded: number;
  readonly quarantined: number;
}

interface Site {
  readonly name: string;
  readonly home: string;
  readonly port: number;
  product: Product;
}

describe('whole products', () => {
  const stack = new AsyncDisposableStack();
  let paris: Site;
  let oslo: Site;
  beforeAll(async () => {
    paris = await site('paris');
    oslo = await site('oslo', paris);
  });
  afterAll(async () => {
    for (const one of [paris, oslo]) await one?.product.stop();
    await stack.disposeAsync();
  });

  /** A product with a listener for nodes; with the root key of another one, as its operator copied it. */
  async function site(name: string, like?: Site): Promise<Site> {
    const home = makeHome();
    stack.defer(() => runWell(['rm', '-rf', home]).then(() => {}));
    mkdirSync(join(home, 'key'), { mode: 0o700 });
    if (like !== undefined) copyFileSync(like.product.rootKey, join(home, 'key/root.key'));
    const port = await freePort();
    const product = await begin(home, port);
    return { name, home, port, product };
  }
  const begin = (home: string, port: number): Promise<Product> =>
    startProduct({ home, env: { SALLYPORT_NODE_LISTEN: `127.0.0.1:${port}` } });

  const status = ({ product }: Site, ...more: string[]): Promise<Status> =>
    product.cli(['-o', 'json', 'node', 'status', ...more]).then(({ stdout, stderr }) => {
      if (stdout === '') throw new Error(stderr);
      return JSON.parse(stdout) as Status;
    });
  async function until(at: Site, like: (status: Status) => boolean, ...more: string[]): Promise<Status> {
    const late = AbortSignal.timeout(90_000);
    for (;;) {
      // The keeper starts again when the node is named; meanwhile nobody answers.
      const now = await status(at, ...more).catch(() => undefined);
      if (now !== undefined && like(now)) return now;
      if (late.aborted)
        throw new Error(`${at.name}: ${JSON.stringify(now, null, 1)}\n${at.product.log().slice(-4000)}`);
      await systemClock.sleep(200, new AbortController().signal);
    }
  }
  const live = (now: Status): boolean =>
    now.state === 'member' &&
    now.peers.length > 0 &&
    now.peers.every((peer) => peer.hearing === 'live' && peer.place === 'live' && !peer.owed);
  const same = (now: Status): boolean =>
    live(now) && now.unfolded === 0 && now.peers.every((peer) => peer.same === 'yes');
  const apply = ({ product }: Site): Promise<unknown> => product.ask(['apply', '-f', '-'], estate);
  /** Nothing listens at the target, so what is stored is uncertain; the resolver may just be finding that out. */
  async function store({ product }: Site, account: string, value: string): Promise<void> {
    for (;;) {
      const ran = await product.cli(['account', 'set', account, '--unverified', '--stdin'], value);
      if (ran.code === 0) return;
      if (!ran.stderr.includes('rotation.changing')) throw new Error(ran.stderr);
    }
  }
  async function versions(
    { product }: Site,
    account: string,
  ): Promise<{ readonly sigkey: string; readonly node: string }[]> {
    return (await product.ask<{ versions: { sigkey: string; node: string }[] }>(['history', account])).versions;
  }

  test('a node is named, and what it recorded before it had a name stays its own', async () => {
    await apply(paris);
    await store(paris, 'app@box', 'Before.The.Name-1');
    await paris.product.ask(['node', 'init', '--name', 'paris']);
    expect(await until(paris, (now) => now.name === 'paris')).toMatchObject({
      node: 'paris',
      state: 'member',
      peers: [],
    });
    const again = await paris.product.cli(['node', 'init', '--name', 'lyon']);
    expect([again.code, again.stderr]).toEqual([7, expect.stringContaining('nodes.named')]);
    const bad = await oslo.product.cli(['node', 'init', '--name', 'Oslo!']);
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('nodes.name-invalid')]);
    const alone = await oslo.product.cli(['node', 'invite', '--file', join(oslo.home, 'none')]);
    expect([alone.code, alone.stderr]).toEqual([7, expect.stringContaining('nodes.not-named')]);
  });

  test('another one joins by its invitation, takes over the key ring, and both hear each other', async () => {
    await oslo.product.ask(['node', 'init', '--name', 'oslo']);
    await until(oslo, (now) => now.name === 'oslo');
    const file = join(paris.home, 'invitation');
    await paris.product.ask(['node', 'invite', '--file', file]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await paris.product.cli(['node', 'invite', '--file', file])).stderr).toContain('cli.file-unwritable');
    expect(await oslo.product.ask(['node', 'join', '--file', file])).toEqual({ peers: ['paris'], unreached: [] });
    await until(oslo, live);
    await until(paris, live);
    await apply(oslo);
    await until(oslo, same, '--compare');
    await until(paris, same, '--compare');
    expect(await versions(oslo, 'app@box')).toEqual(await versions(paris, 'app@box'));
  }, 240_000);

  test('what one records the other has at once, sealed, and can open', async () => {
    await store(oslo, 'web@box', 'From.The.North-2');
    await until(paris, same, '--compare');
    const [value] = await versions(paris, 'web@box');
    expect(value).toMatchObject({ node: 'oslo' });
    expect(await versions(paris, 'web@box')).toEqual(await versions(oslo, 'web@box'));
  });

  test('no password of the line between them is in a log, an argument or an environment', async () => {
    const { password } = JSON.parse(readFileSync(join(paris.home, 'invitation'), 'utf8')) as { password: string };
    expect(password.length).toBeGreaterThan(32);
    for (const { product, home } of [paris, oslo]) {
      expect(product.log()).not.toContain(password);
      expect(readFileSync(join(home, 'data/db/server.log'), 'utf8')).not.toContain(password);
    }
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      for (const part of ['cmdline', 'environ'])
        expect(await readable(`/proc/${pid}/${part}`), `${pid} ${part}`).not.toContain(password);
    const found = await runWell(['sh', '-c', 'grep -rlF -f - "$1" || true', 'sh', join(oslo.home, 'data')], {
      input: `${password}\n`,
    });
    // The one file that libpq reads, which only the database's own user can.
    expect(found.stdout.trim().split('\n')).toEqual([join(oslo.home, 'data/db/peers/peer-paris.pgpass')]);
    expect(statSync(join(oslo.home, 'data/db/peers/peer-paris.pgpass')).mode & 0o777).toBe(0o600);
  });

  test('nobody else gets in: not without TLS, not as another role, not into another database, not by a wrong password', async () => {
    const { password } = JSON.parse(readFileSync(join(paris.home, 'invitation'), 'utf8')) as { password: string };
    const dial = (parts: string, secret = password) =>
      runWell(
        [
          'sh',
          '-c',
          'psql -w "host=127.0.0.1 port=$1 $2" -Atc "select 1" 2>&1 || true',
          'sh',
          String(paris.port),
          parts,
        ],
        {
          env: { PATH: '/usr/bin:/bin', PGPASSWORD: secret },
        },
      ).then((ran) => ran.stdout.trim());
    expect(await dial('user=sallyport_repl dbname=sallyport sslmode=require')).toBe('1');
    expect(await dial('user=sallyport_repl dbname=sallyport sslmode=disable')).toMatch(/no pg_hba.conf entry/);
    expect(await dial('user=sallyport_repl dbname=postgres sslmode=require')).toMatch(/no pg_hba.conf entry/);
    expect(await dial('user=sallyport_app dbname=sallyport sslmode=require')).toMatch(/no pg_hba.conf entry/);
    expect(await dial('user=sallyport_repl dbname=sallyport sslmode=require replication=true')).toMatch(
      /no pg_hba.conf entry/,
    );
    expect(await dial('user=sallyport_repl dbname=sallyport sslmode=require', 'wrong')).toMatch(
      /password authentication failed/,
    );
  });

  test('a node that comes back from an old copy of its data notices it, changes nothing, heals, and is whole again', async () => {
    await oslo.product.stop();
    const copy = join(dirname(oslo.home), `${oslo.home.split('/').pop()}-copy`);
    await runWell(['cp', '-a', join(oslo.home, 'data'), copy]);
    stack.defer(() => runWell(['rm', '-rf', copy]).then(() => {}));
    oslo.product = await begin(oslo.home, oslo.port);
    await store(oslo, 'web@box', 'After.The.Copy-3');
    await store(paris, 'app@box', 'And.In.The.South-4');
    await until(paris, same, '--compare');
    const whole = await versions(paris, 'web@box');

    await oslo.product.stop();
    await runWell(['rm', '-rf', join(oslo.home, 'data')]);
    await runWell(['cp', '-a', copy, join(oslo.home, 'data')]);
    oslo.product = await begin(oslo.home, oslo.port);
    expect(await until(oslo, (now) => now.state === 'set-back')).toMatchObject({ node: 'oslo' });
    expect(await versions(oslo, 'web@box')).not.toEqual(whole);

    expect(await oslo.product.ask(['node', 'heal'])).toEqual({ node: 'oslo.2', reached: ['paris'], unreached: [] });
    await until(oslo, (now) => now.node === 'oslo.2' && same(now), '--compare');
    await until(paris, same, '--compare');
    expect(await versions(oslo, 'web@box')).toEqual(whole);
    await store(oslo, 'web@box', 'Under.A.New.Name-5');
    await until(paris, same, '--compare');
    expect((await versions(paris, 'web@box')).at(-1)).toMatchObject({ node: 'oslo.2' });
    for (const one of [paris, oslo]) expect((await status(one)).quarantined).toBe(0);
  }, 300_000);

  test('what a peer hears only now of the time before it was healed, it fetches by itself and goes on', async () => {
    const [value] = await versions(paris, 'web@box');
    const late = '01900000-0000-7000-8000-000000000001';
    const columns = 'account_id, parent, created_at, fact_hash';
    const psql = [
      'psql',
      '-h',
      join(paris.home, 'data/db/run'),
      '-p',
      String(paris.port),
      '-U',
      'postgres',
      '-d',
      'sallyport',
    ];
    await runWell([...psql, '-v', 'ON_ERROR_STOP=1', '-q'], {
      input: `SET session_replication_role = replica;
        INSERT INTO randomization (sigkey, node, ${columns})
          SELECT '${late}', 'oslo', ${columns} FROM randomization WHERE sigkey = '${value?.sigkey}';
        INSERT INTO outcome (node, node_seq, sigkey, status, at, retcode, message, fact_hash) OVERRIDING SYSTEM VALUE
          VALUES ('oslo', 9000, '${late}', 'U', now(), 'none', 'late', sha256('late'));`,
    });
    expect((await versions(oslo, 'web@box')).map(({ sigkey }) => sigkey)).not.toContain(late);
    expect(await until(oslo, same, '--compare')).toMatchObject({ node: 'oslo.2', state: 'member' });
    expect(await versions(oslo, 'web@box')).toContainEqual(expect.objectContaining({ sigkey: late, node: 'oslo' }));
  }, 120_000);

  test('what comes from a peer is copied anew when an operator says so, and nothing is there twice', async () => {
    const before = await versions(oslo, 'web@box');
    await oslo.product.ask(['node', 'heal', '--peer', 'paris']);
    await until(oslo, same, '--compare');
    expect(await versions(oslo, 'web@box')).toEqual(before);
    expect((await oslo.product.cli(['node', 'quarantine', 'ls'])).code).toBe(0);
    const none = await oslo.product.cli(['node', 'quarantine', 'acknowledge', '7']);
    expect([none.code, none.stderr]).toEqual([6, expect.stringContaining('nodes.not-put-aside')]);
    const strange = await oslo.product.cli(['node', 'heal', '--peer', 'nowhere']);
    expect([strange.code, strange.stderr]).toEqual([6, expect.stringContaining('nodes.peer-unknown')]);
  });

  test('a node that leaves is heard no more, keeps its facts, and no log is kept for it', async () => {
    expect(await oslo.product.ask(['node', 'leave'])).toEqual({ peers: ['paris'], untold: [], behind: [] });
    expect(await until(paris, (now) => now.peers.length === 0)).toMatchObject({ state: 'member' });
    const before = await versions(paris, 'app@box');
    await store(paris, 'app@box', 'Alone.Again-6');
    expect(await versions(oslo, 'app@box')).toEqual(before);
    expect(readdirSync(join(oslo.home, 'data/db/peers')).sort()).toEqual(['server.key', 'server.pem']);
  });

  test('without a listener nothing of this can be done, and the status says that the node is alone', async () => {
    await using single = await startProduct();
    const refused = await single.cli(['node', 'init', '--name', 'lima']);
    expect(refused.stderr).toContain('nodes.no-listener');
    expect(refused.code).not.toBe(0);
    expect(await single.ask(['node', 'status'])).toMatchObject({ state: 'single', peers: [], quarantined: 0 });
  });
});

async function readable(path: string): Promise<string> {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

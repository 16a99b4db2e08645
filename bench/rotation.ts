/**
 * `npm run bench:rotation -- [--accounts N] [--facts N] [--conflicts N]`: how many accounts of a real PostgreSQL are changed and proved
 * in a second, how fast facts are folded, and how soon a conflict is seen on the other node. One line of JSON at the end.
 * Everything runs on this machine: the target server, Sallyport's database with fsync, its connectors, and this program.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtempDisposable, readFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import type { AccountId, Sigkey } from '../src/base/ids.ts';
import { openLog } from '../src/base/log.ts';
import { newId } from '../src/base/new-id.ts';
import { Secret } from '../src/base/secret.ts';
import { type Db, inTransaction, migrate, openDatabase } from '../src/db/db.ts';
import { startEmbedded } from '../src/db/embedded.ts';
import { declareTargets } from '../src/estate/estate.ts';
import { addOutcome, addRandomization, nodeName } from '../src/rotation/ledger/ledger.ts';
import type { Facts } from '../src/rotation/plan/facts.ts';
import { fold } from '../src/rotation/plan/fold.ts';
import { openRotation } from '../src/rotation/rotation.ts';
import { accountsOf, createRootKey, declareAccounts, openVault, type Vault } from '../src/vault/vault.ts';
import { startPostgres } from '../test/lab/postgres.ts';
import { measureConflicts } from './conflict.ts';
import { cpuOf } from './cpu.ts';
import type { Spread } from './statistics.ts';

const { values } = parseArgs({
  options: {
    accounts: { type: 'string', default: '10000' },
    facts: { type: 'string', default: '1000000' },
    'per-target': { type: 'string', default: '4' },
    overall: { type: 'string', default: '8' },
    conflicts: { type: 'string', default: '200' },
  },
});
const count = Number(values.accounts);
const never = new AbortController().signal;
const actor = { kind: 'operator', name: 'bench' } as const;
const log = openLog('bench', 'warn');
const targets = 4;

/** CPU seconds by part: this process, connector processes, Sallyport's database, the target server. */
type Cpu = Readonly<Record<(typeof parts)[number], number>>;
const parts = ['keeper', 'connectors', 'database', 'target'] as const;

const report: Record<string, unknown> = { accounts: count, cores: cpus().length, loadBefore: loadavg()[0] };
report['fold'] = measureFold(Number(values.facts));
if (count > 0) report['rotation'] = await measureRotation();
const conflicts = Number(values.conflicts);
if (conflicts > 0) report['conflictSeenMs'] = rounded(await measureConflicts(conflicts));
report['loadAfter'] = loadavg()[0];
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);

/** Accounts with a hundred values each, one after the other: what years of daily changes leave. */
function measureFold(facts: number): object {
  const perAccount = 100;
  const account = 'account' as AccountId;
  const accounts: Facts[] = [];
  for (let at = 0; at < facts / (2 * perAccount); at++) {
    const randomizations = Array.from({ length: perAccount }, (_, n) => ({
      sigkey: `${at}-${n}` as Sigkey,
      account,
      parent: n === 0 ? null : (`${at}-${n - 1}` as Sigkey),
      node: n % 2 === 0 ? 'a' : 'b',
      createdAt: n,
    }));
    const outcomes = randomizations.map(({ sigkey, node }, n) => ({
      sigkey,
      node,
      seq: n,
      status: 'C' as const,
      at: n,
    }));
    accounts.push({ randomizations, outcomes, resolutions: [] });
  }
  const began = performance.now();
  let current = 0;
  for (const one of accounts) if (fold(one).root !== null) current++;
  const seconds = (performance.now() - began) / 1000;
  return { facts: accounts.length * 2 * perAccount, accounts: current, seconds: round(seconds) };
}

async function measureRotation(): Promise<object> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'bench-rotation-'))).path;
  const quiet = {
    log_statement: 'none',
    log_min_duration_statement: '-1',
    log_connections: 'off',
    log_min_messages: 'warning',
  };
  const server = undo.use(
    await startPostgres('machine', { ...quiet, max_connections: '200', shared_buffers: '128MB' }),
  );
  const own = undo.use(await startEmbedded({ dir: join(folder, 'db'), log, settings: {} }, never));
  await migrate(own.ownerUrl);
  const db = undo.use(await openDatabase(own.appUrl, { max: 20 }, log));
  const dataDirectory = join(folder, 'data');
  await mkdir(dataDirectory);
  const rootKeyPath = join(folder, 'root.key');
  await createRootKey(rootKeyPath, dataDirectory);
  const vault = undo.use(await openVault({ db, rootKeyPath, dataDirectory, log, clock: systemClock }, never));

  await server.query(`CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'Boss.Pass-1'`);
  const values_ = Array.from({ length: count }, () => `V${randomBytes(12).toString('base64url')}`);
  for (let at = 0; at < count; at += 500)
    await server.query(
      values_
        .slice(at, at + 500)
        .map((value, n) => `CREATE ROLE app${at + n} LOGIN PASSWORD '${value}'`)
        .join(';'),
    );
  await seed(db, vault, server, values_);

  const postmaster = Number((await readFile(join(server.folder, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);
  const servers = [own.pid, postmaster];
  const cpu = async (): Promise<Cpu> => {
    const { user, system } = process.cpuUsage();
    const keeper = (user + system) / 1e6;
    const all = await cpuOf(process.pid, servers);
    return { keeper, connectors: all - keeper, database: await cpuOf(own.pid), target: await cpuOf(postmaster) };
  };
  const cpuBefore = await cpu();
  const began = performance.now();
  const options = { db, url: own.appUrl, vault, log, clock: systemClock };
  const rules = { perTarget: Number(values['per-target']), overall: Number(values.overall), heartbeatMs: 0 };
  await using _ = await openRotation({ ...options, rules }, never);
  const times: number[] = [];
  for (let done = 0; done < count; ) {
    await systemClock.sleep(500, never);
    done = await changed(db);
    times.push(done);
    if (process.stderr.isTTY || process.env['BENCH_TELL']) process.stderr.write(`\r${done} of ${count}`);
  }
  const seconds = (performance.now() - began) / 1000;
  const cpuAfter = await cpu();
  const { rows } = { rows: await durations(db) };
  return {
    seconds: round(seconds),
    perSecond: round(count / seconds),
    forTenThousand: round((10_000 / count) * seconds),
    cpuMsEach: Object.fromEntries(
      parts.map((part) => [part, round(((cpuAfter[part] - cpuBefore[part]) * 1000) / count)]),
    ),
    p50ms: rows[Math.floor(rows.length * 0.5)],
    p99ms: rows[Math.floor(rows.length * 0.99)],
    ...rules,
  };
}

/** Every account has a value that is older than its policy allows, as if it had been confirmed then. */
async function seed(
  db: Db,
  vault: Vault,
  server: { readonly port: number; readonly ca: string; readonly serverName: string },
  passwords: readonly string[],
): Promise<void> {
  const tls = { ca: server.ca, serverName: server.serverName };
  const services = [{ name: 'postgres', protocol: 'postgres', port: server.port, settings: { tls } } as const];
  await inTransaction(db, async (tx) => {
    const all = Array.from({ length: targets }, (_, at) => ({
      name: `db-${at}`,
      platform: 'database' as const,
      address: '127.0.0.1',
      services,
    }));
    await declareTargets(tx, all, { actor, prune: false });
    const bosses = all.map(({ name }) => ({ name: `boss@${name}`, kind: 'password' as const, connector: null }));
    const apps = passwords.map((_, at) => ({
      name: `app${at}@db-${at % targets}`,
      kind: 'password' as const,
      connector: 'postgres',
      admin: `boss@db-${at % targets}`,
    }));
    await declareAccounts(tx, [...bosses, ...apps], { actor, prune: false });
  });
  const accounts = new Map((await accountsOf(db)).map((account) => [account.label, account.id]));
  const node = await nodeName(db);
  const put = async (label: string, text: string, at: number): Promise<void> => {
    const account = accounts.get(label);
    if (account === undefined) throw new Error(`${label} was not declared`);
    const sigkey = newId<Sigkey>(at);
    using secret = Secret.fromText(text);
    await inTransaction(db, async (tx) => {
      await vault.store(tx, { account, sigkey, credential: { kind: 'password', secret }, origin: 'entered', actor });
      await addRandomization(tx, vault, { sigkey, account, parent: null, node, createdAt: at });
      await addOutcome(tx, vault, { account, sigkey, node, status: 'C', at, retcode: 'none', message: '' });
    });
  };
  const now = Date.now();
  for (let at = 0; at < targets; at++) await put(`boss@db-${at}`, 'Boss.Pass-1', now);
  const waiting = passwords.map((text, at) => [`app${at}@db-${at % targets}`, text] as const);
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      await put(next[0], next[1], now - 91 * 86_400_000);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

async function changed(db: Db): Promise<number> {
  const row = await db
    .selectFrom('rotation_attempt')
    .select((is) => is.fn.countAll<number>().as('count'))
    .where('result', '=', 'confirmed')
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

async function durations(db: Db): Promise<number[]> {
  const rows = await db.selectFrom('rotation_attempt').select(['started_at', 'ended_at']).execute();
  return rows.map((row) => row.ended_at.getTime() - row.started_at.getTime()).sort((a, b) => a - b);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function rounded(spread: Spread): Record<keyof Spread, number> {
  return Object.fromEntries(Object.entries(spread).map(([name, value]) => [name, round(value)])) as Record<
    keyof Spread,
    number
  >;
}

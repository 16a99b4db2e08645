/** What the tests of the mysql connector share: a server with administrators, and the connector in its own process. */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import type { Login, LoginCredential, Place, VerifyAnswer, Work } from '../../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../../src/rotation/connectors/job.ts';
import { processRunner } from '../../../src/rotation/connectors/run.ts';
import { type MariadbServer, startMariadb } from '../../lab/mariadb.ts';
import type { Value } from './conformance.ts';
import { ask, password } from './machine.ts';

export const connector = 'mysql';

export const printable: string = String.fromCharCode(...Array.from({ length: 95 }, (_, at) => 32 + at));

/** A server with `boss` (everything), `manager` (what an administrator needs), `plain` (nothing) and `app`. */
export async function startAccounts(): Promise<MariadbServer> {
  const server = await startMariadb();
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
  return server;
}

export const login = (user: string, text: string): Login => ({ user, credential: password(text) });
export const boss = (): Login => login('boss', 'Boss.Pass-1');
export const manager = (): Login => login('manager@%', 'Manager.Pass-1');
export const value = (text: string): Value => ({
  fresh: { kind: 'password', secret: Secret.fromText(text) },
  login: password(text),
});
export const drawn = (): Value => value(`Drawn-${randomBytes(9).toString('base64url')}`);

type Settings = Readonly<Record<string, unknown>>;

/** The connector's operations on that server. */
export interface Room {
  readonly placeOf: (at?: { address: string; port: number }) => Place;
  readonly work: (account: string, by?: Login, more?: Partial<Work>) => Work;
  readonly change: (what: Work, value: Value) => Promise<Answer>;
  readonly precheck: (what: Work) => Promise<Answer>;
  readonly fence: (what: Work) => Promise<Answer>;
  readonly verify: (
    account: string,
    credential: LoginCredential,
    more?: { place?: Place; settings?: Settings },
  ) => Promise<Answer>;
  readonly candidates: (
    account: string,
    values: readonly LoginCredential[],
    admin?: Login,
    settings?: Settings,
  ) => Promise<readonly VerifyAnswer[]>;
  /** Statements for the end of a scope. */
  readonly undo: (...texts: readonly string[]) => AsyncDisposable;
  /** Resolves when the query has a row. */
  readonly until: (text: string) => Promise<void>;
  /** Every change waits until it is disposed of. */
  readonly readOnly: () => Promise<AsyncDisposable>;
  /** A change of app whose process is killed while its statement waits on the server. */
  readonly cutOff: (tag: string, next: Value) => Promise<void>;
}

export function roomOf(of: () => MariadbServer): Room {
  const placeOf = (at: { address: string; port: number } = of()): Place => ({
    protocol: 'mysql',
    address: at.address,
    port: at.port,
    hostKeys: [],
    tls: { kind: 'verify', serverName: of().serverName, ca: of().ca },
    settings: {},
  });
  const work = (account: string, by = manager(), more: Partial<Work> = {}): Work => ({
    place: placeOf(),
    account,
    settings: {},
    by: { mode: by.user === account ? 'self' : 'admin', login: by },
    tag: 'rot-test',
    targetSeconds: 5,
    ...more,
  });
  const until = async (text: string): Promise<void> => {
    while ((await of().query(text)).length === 0) await of().query('SELECT SLEEP(0.02)');
  };
  return {
    placeOf,
    work,
    until,
    change: (what, { fresh }) => ask({ connector, operation: 'change', work: what, fresh }),
    precheck: (what) => ask({ connector, operation: 'precheck', work: what }),
    fence: (what) => ask({ connector, operation: 'fence', work: what }),
    verify: (account, credential, more = {}) => {
      const task = { place: placeOf(), account, settings: {}, ...more };
      return ask({ connector, operation: 'verify', task, login: { user: account, credential } });
    },
    candidates: async (account, values, admin = manager(), settings = {}) => {
      const task = { place: placeOf(), account, settings };
      const answer = await ask({ connector, operation: 'adminverify', task, admin, candidates: values, budget: 10 });
      return answer.each ?? [];
    },
    undo: (...texts) => ({
      [Symbol.asyncDispose]: async () => {
        for (const text of texts) await of().query(text);
      },
    }),
    readOnly: async () => {
      const connection = await of().connect();
      // Not FLUSH TABLES WITH READ LOCK: whoever waits for that is asked every second whether his client is still there.
      await connection.query('LOCK TABLES mysql.global_priv READ');
      return { [Symbol.asyncDispose]: () => connection.end() };
    },
    cutOff: async (tag, next) => {
      const killed = new AbortController();
      const what = work('app@%', manager(), { tag, targetSeconds: 60 });
      const job = { connector, operation: 'change', work: what, fresh: next.fresh } as const;
      const run = processRunner()(job, { deadlineMs: 60_000 }, killed.signal);
      const waits = `STATE LIKE 'Waiting for%' AND INFO LIKE 'ALTER USER%'`;
      await until(`SELECT 1 FROM information_schema.PROCESSLIST WHERE ${waits}`);
      killed.abort(new Error('killed'));
      await expect(run).rejects.toThrow('killed');
    },
  };
}

/** What the tests of identity and access share: a database with a vault, a clock in the hand, people with keys. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AuditRecord, tail } from '../../src/audit/audit.ts';
import type { Clock } from '../../src/base/clock.ts';
import { silent } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secret.ts';
import { type Db, inTransaction } from '../../src/db/db.ts';
import {
  beginLogin,
  declareUserGroups,
  declareUsers,
  type Factor,
  type Identity,
  type Login,
  type LoginContext,
  setPassword,
  submitFactor,
  type UserDeclaration,
  type Verdict,
} from '../../src/identity/identity.ts';
import {
  generateKeyPair,
  parsePrivateKey,
  publickeySignedData,
  type Signer,
  signerFromPrivateKey,
} from '../../src/protocol/ssh/ssh.ts';
import { createRootKey, openVault, type Vault } from '../../src/vault/vault.ts';
import { testDatabase } from '../support/database.ts';

export const operator = { kind: 'operator', name: 'test' } as const;
export const goodPassword = 'a long enough sentence';

export interface Handclock extends Clock {
  set(at: number): void;
}

export function handclock(at: number = Date.now()): Handclock {
  let time = at;
  return { now: () => time, set: (to) => void (time = to), sleep: async () => {} };
}

export interface People extends AsyncDisposable {
  readonly db: Db;
  readonly vault: Vault;
  readonly clock: Handclock;
  readonly context: LoginContext;
  /** Another pool of the same database. */
  readonly another: () => Promise<Db>;
  readonly url: string;
}

/** A migrated database, an open vault, nobody in it. */
export async function people(): Promise<People> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-people-'));
  stack.defer(async () => await rm(folder, { recursive: true, force: true }));
  const dataDirectory = join(folder, 'data');
  const rootKeyPath = join(folder, 'root.key');
  await createRootKey(rootKeyPath, dataDirectory);
  const clock = handclock();
  const { db } = database;
  const signal = new AbortController().signal;
  const vault = stack.use(await openVault({ db, rootKeyPath, dataDirectory, log: silent, clock }, signal));
  const owned = stack.move();
  return {
    db,
    vault,
    clock,
    another: database.another,
    url: database.url,
    context: { db, sealer: vault, clock },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

/** Declares one user, with the groups named, and gives the password unless it is null. */
export async function person(
  db: Db,
  name: string,
  more: Partial<UserDeclaration> = {},
  password: string | null = goodPassword,
): Promise<void> {
  await inTransaction(db, async (tx) => {
    const groups = more.groups ?? [];
    await declareUserGroups(
      tx,
      groups.map((group) => ({ name: group })),
      { actor: operator, prune: false },
    );
    await declareUsers(tx, [{ name, roles: [], groups, ...more }], { actor: operator, prune: false });
  });
  if (password === null) return;
  using secret = Secret.fromText(password);
  const refusal = await setPassword(db, name, secret, { mustChange: false }, operator);
  if (refusal !== undefined) throw new Error(refusal.reason);
}

export function begin(context: LoginContext, user: string, address = '192.0.2.10'): Login {
  return beginLogin(context, { user, address, protocol: 'ssh' });
}

export function password(text: string): Factor {
  return { kind: 'password', password: Secret.fromText(text) };
}

export function totp(code: string): Factor {
  return { kind: 'totp', code: Secret.fromText(code) };
}

/** Logs in with one password, in a login of its own. */
export async function tryPassword(
  context: LoginContext,
  user: string,
  text: string,
  address?: string,
): Promise<Verdict> {
  return await submitFactor(begin(context, user, address), password(text));
}

export async function identityOf(context: LoginContext, user: string, address?: string): Promise<Identity> {
  const verdict = await tryPassword(context, user, goodPassword, address);
  if (verdict.kind !== 'accepted') throw new Error(`${user} was not let in`);
  return verdict.identity;
}

export interface Key {
  readonly line: string;
  readonly signer: Signer;
}

export async function key(comment = 'key'): Promise<Key> {
  const pair = await generateKeyPair('ed25519', comment);
  const parsed = await parsePrivateKey(pair.privateKeyOpenSsh, undefined, new AbortController().signal);
  if ('refused' in parsed) throw new Error(parsed.reason);
  return { line: pair.line, signer: signerFromPrivateKey(parsed.key) };
}

/** The factor that a client makes with its key; `signedUser` is the whole login name. */
export async function signature({ signer }: Key, signedUser: string): Promise<Extract<Factor, { kind: 'publickey' }>> {
  const sessionId = new Uint8Array(32).fill(7);
  const [algorithm = ''] = signer.algorithms;
  const data = publickeySignedData(sessionId, signedUser, 'ssh-connection', algorithm, signer.publicKey);
  const signed = await signer.sign(data, algorithm, new AbortController().signal);
  return {
    kind: 'publickey',
    algorithm,
    blob: signer.publicKey,
    signature: signed,
    sessionId,
    user: signedUser,
    service: 'ssh-connection',
  };
}

export async function audited(db: Db, type: AuditRecord['type']): Promise<readonly AuditRecord[]> {
  return (await tail(db, { after: 0, limit: 10_000 })).filter((event) => event.type === type);
}

/** The same database, and how many questions it was asked through this pool. */
export function counted(db: Db): { readonly db: Db; readonly asked: () => number } {
  let questions = 0;
  const counting = db.withPlugin({
    transformQuery: ({ node }) => {
      questions++;
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  return { db: counting, asked: () => questions };
}

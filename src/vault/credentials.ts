/**
 * Storing versions and making new values. A version is inserted once and never changed; nothing here opens one: reuse
 * is found by keyed MACs.
 */
import { randomBytes } from 'node:crypto';
import { type Actor, record } from '../audit/audit.ts';
import type { AccountId, Sigkey } from '../base/ids.ts';
import type { Secret } from '../base/secret.ts';
import type { Db, Tx } from '../db/db.ts';
import { fingerprint } from '../protocol/ssh/ssh.ts';
import { type Credential, encodeContents } from './credential.ts';
import { type Place, seal } from './envelope.ts';
import { VaultError } from './errors.ts';
import { check } from './policy/check.ts';
import { generate } from './policy/generate.ts';
import type { Rule } from './policy/rules.ts';
import { type Policy, policyById } from './policies.ts';
import type { Ring } from './ring.ts';

/** A value to keep. It is durable when the transaction is: commit before any connector sees it. */
export interface StoreRequest {
  readonly account: AccountId;
  readonly sigkey: Sigkey;
  readonly credential: Credential;
  /** Where the value comes from, for the audit trail. */
  readonly origin: 'generated' | 'entered';
  readonly actor: Actor;
}

/** Where a version stands; part of what its seal proves. */
export function placeOfVersion(row: { sigkey: string; account_id: string; kind: string }): Place {
  return { table: 'credential_version', row: row.sigkey, account: row.account_id, kind: row.kind };
}

/** See `Vault.store`. */
export async function storeCredential(ring: Ring, tx: Tx, request: StoreRequest): Promise<void> {
  const { account: account_id, sigkey, credential } = request;
  const account = await tx
    .selectFrom('account')
    .select(['kind', 'target_id'])
    .where('id', '=', account_id)
    .executeTakeFirst();
  if (account === undefined) throw new VaultError('vault.account-unknown');
  if (account.kind !== credential.kind)
    throw new VaultError('vault.credential-kind', `${credential.kind}, and the account's is ${account.kind}`);
  const row = { sigkey, account_id, kind: credential.kind };
  const kek = ring.current();
  using contents = encodeContents(credential);
  const { sealed, wrapped } = seal(kek, placeOfVersion(row), contents.reveal());
  const publicKey = credential.kind === 'ssh-key' ? credential.publicKey : null;
  const historyMac = ring.historyMac(account_id, valueOf(credential));
  await tx
    .insertInto('credential_version')
    .values({ ...row, sealed, public_key: publicKey, history_mac: historyMac })
    .execute();
  await tx.insertInto('credential_dek').values({ sigkey, kek_version: kek.version, wrapped }).execute();
  await record(tx, request.actor, {
    type: 'vault.credential.stored',
    about: { account: account_id, sigkey, target: account.target_id ?? undefined },
    details: {
      kind: credential.kind,
      origin: request.origin,
      ...(publicKey === null ? {} : { fingerprint: fingerprint(publicKey) }),
    },
  });
}

/** What counts as the same value again. */
function valueOf(credential: Credential): Uint8Array {
  switch (credential.kind) {
    case 'password':
    case 'api-key':
      return credential.secret.reveal();
    case 'ssh-key':
      return credential.publicKey;
    case 'certificate':
      return credential.certificate;
    default:
      return credential satisfies never;
  }
}

/** See `Vault.violations`. */
export async function violationsOf(ring: Ring, db: Db | Tx, account: AccountId, candidate: Secret): Promise<Rule[]> {
  const { policy, name } = await ruled(db, account);
  const rules = check(policy, candidate.reveal(), { username: name, forbidden: '' });
  const former = await formerMacs(db, account, policy.history);
  return wasUsed(ring, account, candidate, former) ? [...rules, 'history'] : rules;
}

const mostDraws = 100;

/** See `Vault.generatePassword`. */
export async function generatePassword(
  ring: Ring,
  db: Db | Tx,
  account: AccountId,
  forbidden: string,
): Promise<Secret> {
  const { policy, name } = await ruled(db, account);
  const former = await formerMacs(db, account, policy.history);
  for (let draw = 0; draw < mostDraws; draw++) {
    const candidate = generate(policy, { username: name, forbidden }, randomBytes);
    if (!wasUsed(ring, account, candidate, former)) return candidate;
    candidate[Symbol.dispose]();
  }
  throw new VaultError('vault.policy-impossible', 'every value the policy allows was used before');
}

async function ruled(db: Db | Tx, id: AccountId): Promise<{ policy: Policy; name: string }> {
  const account = await db.selectFrom('account').select(['name', 'policy_id']).where('id', '=', id).executeTakeFirst();
  if (account === undefined) throw new VaultError('vault.account-unknown');
  const policy = await policyById(db, account.policy_id);
  if (policy === undefined) throw new VaultError('vault.policy-unknown');
  return { policy, name: account.name };
}

/** MACs of the newest versions, whatever became of them: a value that only ever failed counts too. */
async function formerMacs(db: Db | Tx, account: AccountId, count: number): Promise<Set<string>> {
  if (count === 0) return new Set();
  const rows = await db
    .selectFrom('credential_version')
    .select('history_mac')
    .where('account_id', '=', account)
    .orderBy('created_at', 'desc')
    .orderBy('sigkey', 'desc')
    .limit(count)
    .execute();
  return new Set(rows.map((row) => Buffer.from(row.history_mac).toString('hex')));
}

function wasUsed(ring: Ring, account: AccountId, candidate: Secret, former: ReadonlySet<string>): boolean {
  return former.size > 0 && former.has(Buffer.from(ring.historyMac(account, candidate.reveal())).toString('hex'));
}

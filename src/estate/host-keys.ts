/**
 * Host keys of services: which are trusted, what a presented one means, and who said so. A key that was removed is
 * remembered and never becomes trusted by first use again.
 */
import { type Actor, record } from '../audit/audit.ts';
import type { Id } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import { fingerprint, parsePublicKey } from '../protocol/ssh/ssh.ts';
import { EstateError } from './errors.ts';
import type { ServiceId } from './targets.ts';

export interface HostKey {
  readonly id: Id<'host-key'>;
  readonly service: ServiceId;
  /** Key type as on the wire: `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`… */
  readonly type: string;
  readonly blob: Uint8Array;
  readonly fingerprint: string;
  /** `seen`: presented once, nobody has said anything. `removed`: trusted once, and not any more. */
  readonly state: 'seen' | 'trusted' | 'removed';
  readonly trustedBy: string | undefined;
  readonly trustedAt: Date | undefined;
}

/** What a presented host key means. Only `trusted` may be followed by any secret. */
export type HostKeyCheck =
  | { readonly verdict: 'trusted'; readonly fingerprint: string }
  /** Nothing is trusted for this service yet. */
  | { readonly verdict: 'unknown'; readonly fingerprint: string }
  /** Other keys are trusted for this service. */
  | { readonly verdict: 'changed'; readonly fingerprint: string; readonly trusted: readonly string[] };

/** All host keys of a service that were ever seen or named, trusted ones first. */
export async function hostKeysOf(db: Db | Tx, service: ServiceId): Promise<HostKey[]> {
  const rows = await db.selectFrom('host_key').selectAll().where('service_id', '=', service).orderBy('type').execute();
  const keys = rows.map((row) => ({
    id: row.id,
    service: row.service_id,
    type: row.type,
    blob: new Uint8Array(row.blob),
    fingerprint: row.fingerprint,
    state: row.state,
    trustedBy: row.trusted_by ?? undefined,
    trustedAt: row.trusted_at ?? undefined,
  }));
  return [...keys.filter((key) => key.state === 'trusted'), ...keys.filter((key) => key.state !== 'trusted')];
}

/** What `blob`, presented by the service just now, means. Writes nothing. */
export async function checkHostKey(db: Db | Tx, service: ServiceId, blob: Uint8Array): Promise<HostKeyCheck> {
  const print = fingerprint(blob);
  const trusted = (await hostKeysOf(db, service)).filter((key) => key.state === 'trusted');
  if (trusted.some((key) => Buffer.compare(key.blob, blob) === 0)) return { verdict: 'trusted', fingerprint: print };
  if (trusted.length === 0) return { verdict: 'unknown', fingerprint: print };
  return { verdict: 'changed', fingerprint: print, trusted: trusted.map((key) => key.fingerprint) };
}

/**
 * The same, and acts by the service's policy: under `first-use` the first key ever seen becomes trusted (two sessions
 * that race with different keys cannot both win), anything else that is not trusted is remembered as seen. The caller
 * audits what is not trusted with `recordMismatch`.
 */
export function meetHostKey(db: Db | Tx, service: ServiceId, blob: Uint8Array, actor: Actor): Promise<HostKeyCheck> {
  return inTransaction(db, async (tx) => {
    const row = await lockService(tx, service);
    const check = await checkHostKey(tx, service, blob);
    if (check.verdict === 'trusted') return check;
    const before = await tx.selectFrom('host_key').select('blob').where('service_id', '=', service).execute();
    if (check.verdict === 'unknown' && row.host_key_policy === 'first-use' && before.length === 0) {
      await trust(tx, row, blob, 'first use', 'first-use', actor);
      return { verdict: 'trusted', fingerprint: check.fingerprint };
    }
    await remember(tx, service, blob);
    return check;
  });
}

/** Trusts a key for a service. Throws `estate.hostkey-malformed`. Returns whether it was not trusted before. */
export function trustHostKey(db: Db | Tx, service: ServiceId, blob: Uint8Array, actor: Actor): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const row = await lockService(tx, service);
    const check = await checkHostKey(tx, service, blob);
    if (check.verdict === 'trusted') return false;
    await trust(tx, row, blob, nameOf(actor), 'operator', actor);
    return true;
  });
}

/** Trusts a key no longer. Throws `estate.hostkey-unknown` if the service never had it. */
export async function removeHostKey(
  db: Db | Tx,
  service: ServiceId,
  print: string,
  reason: string,
  actor: Actor,
): Promise<void> {
  await inTransaction(db, async (tx) => {
    const row = await lockService(tx, service);
    const done = await tx
      .updateTable('host_key')
      .set({ state: 'removed' })
      .where('service_id', '=', service)
      .where('fingerprint', '=', print)
      .executeTakeFirst();
    if (done.numUpdatedRows === 0n) throw new EstateError('estate.hostkey-unknown', print);
    await record(tx, actor, {
      type: 'estate.hostkey.removed',
      about: { target: row.target_id },
      details: { target: row.name, fingerprint: print, reason },
    });
  });
}

/** Audits that a service presented a key that is not trusted. Nothing to do for a trusted one. */
export async function recordMismatch(
  db: Db | Tx,
  service: ServiceId,
  check: HostKeyCheck,
  actor: Actor,
): Promise<void> {
  if (check.verdict === 'trusted') return;
  const row = await named(db).where('service.id', '=', service).executeTakeFirstOrThrow();
  await record(db, actor, {
    type: 'estate.hostkey.mismatched',
    about: { target: row.target_id },
    details: {
      target: row.name,
      presented: check.fingerprint,
      trusted: check.verdict === 'changed' ? check.trusted : [],
    },
  });
}

type ServiceRow = Awaited<ReturnType<typeof lockService>>;

function named(db: Db | Tx) {
  return db
    .selectFrom('service')
    .innerJoin('target', 'target.id', 'service.target_id')
    .select(['service.id', 'service.target_id', 'service.host_key_policy', 'target.name']);
}

/** Decisions about the keys of one service wait for each other. */
async function lockService(tx: Tx, service: ServiceId) {
  return await named(tx)
    .where('service.id', '=', service)
    .forUpdate('service')
    .executeTakeFirstOrThrow(() => new EstateError('estate.target-unknown', `service ${service}`));
}

async function trust(
  tx: Tx,
  service: ServiceRow,
  blob: Uint8Array,
  by: string,
  how: 'operator' | 'first-use',
  actor: Actor,
): Promise<void> {
  const type = await remember(tx, service.id, blob);
  const print = fingerprint(blob);
  await tx
    .updateTable('host_key')
    .set({ state: 'trusted', trusted_by: by, trusted_at: new Date() })
    .where('service_id', '=', service.id)
    .where('fingerprint', '=', print)
    .execute();
  await record(tx, actor, {
    type: 'estate.hostkey.trusted',
    about: { target: service.target_id },
    details: { target: service.name, fingerprint: print, algorithm: type, how },
  });
}

async function remember(tx: Tx, service: ServiceId, blob: Uint8Array): Promise<string> {
  const key = parsePublicKey(blob);
  if ('refused' in key) throw new EstateError('estate.hostkey-malformed', key.reason);
  await tx
    .insertInto('host_key')
    .values({
      id: newId(),
      service_id: service,
      type: key.type,
      blob: Buffer.from(blob),
      fingerprint: fingerprint(blob),
      state: 'seen',
      trusted_by: null,
      trusted_at: null,
    })
    .onConflict((conflict) => conflict.columns(['service_id', 'blob']).doNothing())
    .execute();
  return key.type;
}

function nameOf(actor: Actor): string {
  if (actor.kind === 'system') return actor.part;
  return actor.kind === 'gate' ? `gate ${actor.id}` : actor.name;
}

/**
 * Host keys of services: which are trusted, what a presented one means, and who said so. A key that was removed is
 * remembered and never becomes trusted by first use again. Certificates are kept in the same way (`certificates.ts`).
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
  /** Key type as on the wire: `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`…; of a certificate `x509-sha256`. */
  readonly type: string;
  readonly blob: Uint8Array;
  readonly fingerprint: string;
  /** `seen`: presented once, nobody has said anything. `removed`: trusted once, and not any more. */
  readonly state: 'seen' | 'trusted' | 'removed';
  readonly trustedBy: string | undefined;
  readonly trustedAt: Date | undefined;
}

/** A key or certificate that a service shows, as it is kept. */
export interface Presented {
  readonly type: string;
  readonly blob: Uint8Array;
  readonly fingerprint: string;
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
  return await checkPresented(db, service, { blob, fingerprint: fingerprint(blob) });
}

/** Who trusted a key that nobody looked at. */
const firstUseName = 'first use';

/** What anything that is kept like a host key means. Writes nothing. */
export async function checkPresented(
  db: Db | Tx,
  service: ServiceId,
  { blob, fingerprint: print }: Pick<Presented, 'blob' | 'fingerprint'>,
  firstUseCounts = true,
): Promise<HostKeyCheck> {
  const trusted = (await hostKeysOf(db, service)).filter(
    (key) => key.state === 'trusted' && (firstUseCounts || key.trustedBy !== firstUseName),
  );
  if (trusted.some((key) => Buffer.compare(key.blob, blob) === 0)) return { verdict: 'trusted', fingerprint: print };
  if (trusted.length === 0) return { verdict: 'unknown', fingerprint: print };
  return { verdict: 'changed', fingerprint: print, trusted: trusted.map((key) => key.fingerprint) };
}

/**
 * The same, and acts by the service's policy: under `first-use` the first key ever seen becomes trusted (two sessions
 * that race with different keys cannot both win), anything else that is not trusted is remembered as seen. The caller
 * audits what is not trusted with `recordMismatch`.
 */
export async function meetHostKey(
  db: Db | Tx,
  service: ServiceId,
  blob: Uint8Array,
  actor: Actor,
): Promise<HostKeyCheck> {
  return await meet(db, service, presentedKey(blob), actor, () => ({ vouched: false, firstUse: true }));
}

/** The same for anything that is kept like a host key. `means` says whether an authority vouches, and whether first use may. */
export function meet(
  db: Db | Tx,
  service: ServiceId,
  presented: Presented,
  actor: Actor,
  means: (row: ServiceRow) => { readonly vouched: boolean; readonly firstUse: boolean },
): Promise<HostKeyCheck> {
  return inTransaction(db, async (tx) => {
    const row = await lockService(tx, service);
    const { vouched, firstUse } = means(row);
    // Nor what was learnt so before the service was told to be stricter.
    const found = await checkPresented(tx, service, presented, firstUse);
    if (found.verdict === 'trusted') return found;
    if (vouched) return { verdict: 'trusted', fingerprint: presented.fingerprint };
    const before = await tx.selectFrom('host_key').select('blob').where('service_id', '=', service).execute();
    if (found.verdict === 'unknown' && firstUse && row.host_key_policy === 'first-use' && before.length === 0) {
      await trust(tx, row, presented, firstUseName, 'first-use', actor);
      return { verdict: 'trusted', fingerprint: presented.fingerprint };
    }
    await remember(tx, service, presented);
    return found;
  });
}

/** Trusts a key for a service. Throws `estate.hostkey-malformed`. Returns whether it was not trusted before. */
export async function trustHostKey(db: Db | Tx, service: ServiceId, blob: Uint8Array, actor: Actor): Promise<boolean> {
  return await trustPresented(db, service, presentedKey(blob), actor);
}

/** The same for anything that is kept like a host key. */
export function trustPresented(db: Db | Tx, service: ServiceId, key: Presented, actor: Actor): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const row = await lockService(tx, service);
    if ((await checkPresented(tx, service, key)).verdict === 'trusted') return false;
    await trust(tx, row, key, nameOf(actor), 'operator', actor);
    return true;
  });
}

/** A public key of ssh. Throws `estate.hostkey-malformed`. */
export function presentedKey(blob: Uint8Array): Presented {
  const key = parsePublicKey(blob);
  if ('refused' in key) throw new EstateError('estate.hostkey-malformed', key.reason);
  return { type: key.type, blob, fingerprint: fingerprint(blob) };
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
    .select([
      'service.id',
      'service.target_id',
      'service.host_key_policy',
      'service.settings',
      'target.name',
      'target.address',
    ]);
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
  key: Presented,
  by: string,
  how: 'operator' | 'first-use',
  actor: Actor,
): Promise<void> {
  await remember(tx, service.id, key);
  await tx
    .updateTable('host_key')
    .set({ state: 'trusted', trusted_by: by, trusted_at: new Date() })
    .where('service_id', '=', service.id)
    .where('fingerprint', '=', key.fingerprint)
    .execute();
  await record(tx, actor, {
    type: 'estate.hostkey.trusted',
    about: { target: service.target_id },
    details: { target: service.name, fingerprint: key.fingerprint, algorithm: key.type, how },
  });
}

async function remember(tx: Tx, service: ServiceId, key: Presented): Promise<void> {
  await tx
    .insertInto('host_key')
    .values({
      id: newId(),
      service_id: service,
      type: key.type,
      blob: Buffer.from(key.blob),
      fingerprint: key.fingerprint,
      state: 'seen',
      trusted_by: null,
      trusted_at: null,
    })
    .onConflict((conflict) => conflict.columns(['service_id', 'blob']).doNothing())
    .execute();
}

function nameOf(actor: Actor): string {
  if (actor.kind === 'system') return actor.part;
  return actor.kind === 'gate' ? `gate ${actor.id}` : actor.name;
}

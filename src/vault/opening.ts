/**
 * Opening: the only way out of the vault. A credential comes out for a live hold, or a named version for rotation.
 * In both cases the audit event is committed before the caller has the bytes; what cannot be audited is not opened.
 */
import { type Actor, type About, record } from '../audit/audit.ts';
import { refuse, type Refusal } from '../base/errors.ts';
import type { AccountId, SessionId, Sigkey } from '../base/ids.ts';
import { parseId } from '../base/ids.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import { decodeContents, type OpenCredential, type OpenVersion } from './credential.ts';
import { placeOfVersion } from './credentials.ts';
import { open } from './envelope.ts';
import { VaultError, vaultErrors } from './errors.ts';
import type { Hold } from './holds.ts';
import type { Ring } from './ring.ts';
import { alarmed, type VaultContext } from './sealing.ts';
import { signerOf } from './ssh-key.ts';

type OpeningRefusal = Refusal<'vault.no-password-recorded' | 'vault.hold-released'>;

/** See `Vault.open`. */
export async function openForHold(
  context: VaultContext,
  hold: Hold,
  actor: Actor,
): Promise<OpenCredential | OpeningRefusal> {
  const about: About = {
    account: hold.account,
    session: hold.kind === 'session' ? parseId<SessionId>(hold.subject) : undefined,
    gate: hold.gateId ?? undefined,
  };
  const answer = await alarmed(context, about, () =>
    withTransaction(context.db, async (tx, kept) => {
      const sigkey = await currentUnder(tx, hold);
      if (typeof sigkey !== 'string') {
        const details = { code: sigkey.code, reason: sigkey.reason };
        await record(tx, actor, { type: 'vault.credential.refused', about, details });
        return sigkey;
      }
      const version = kept(await readVersion(context.ring, tx, hold.account, sigkey));
      const details = { purpose: hold.kind, kind: version.kind };
      await record(tx, actor, { type: 'vault.credential.opened', about: { ...about, sigkey }, details });
      return version;
    }),
  );
  return 'refused' in answer ? answer : inUse(answer);
}

/** See `Vault.openVersion`. */
export async function openVersion(
  context: VaultContext,
  account: AccountId,
  sigkey: Sigkey,
  purpose: string,
  actor: Actor,
): Promise<OpenVersion> {
  const about: About = { account, sigkey };
  return alarmed(context, about, () =>
    withTransaction(context.db, async (tx, kept) => {
      const version = kept(await readVersion(context.ring, tx, account, sigkey));
      const details = { purpose, kind: version.kind };
      await record(tx, actor, { type: 'vault.credential.opened', about, details });
      return version;
    }),
  );
}

/** A transaction that zeroes what it opened if it does not commit. */
async function withTransaction<T>(
  db: Db,
  work: (tx: Tx, kept: (version: OpenVersion) => OpenVersion) => Promise<T>,
): Promise<T> {
  const opened: OpenVersion[] = [];
  const kept = (version: OpenVersion): OpenVersion => {
    opened.push(version);
    return version;
  };
  try {
    return await inTransaction(db, (tx) => work(tx, kept));
  } catch (error) {
    for (const version of opened) version[Symbol.dispose]();
    throw error;
  }
}

async function currentUnder(tx: Tx, hold: Hold): Promise<Sigkey | OpeningRefusal> {
  const row = await tx
    .selectFrom('hold')
    .leftJoin('account_current', 'account_current.account_id', 'hold.account_id')
    .select(['hold.released_at', 'account_current.sigkey'])
    .where('hold.id', '=', hold.id)
    .executeTakeFirst();
  if (row === undefined || row.released_at !== null)
    return refuse('vault.hold-released', vaultErrors['vault.hold-released'].meaning);
  if (row.sigkey === null)
    return refuse('vault.no-password-recorded', vaultErrors['vault.no-password-recorded'].meaning);
  return row.sigkey;
}

async function readVersion(ring: Ring, tx: Tx, account: AccountId, sigkey: Sigkey): Promise<OpenVersion> {
  const row = await tx
    .selectFrom('credential_version')
    .leftJoin('credential_dek', 'credential_dek.sigkey', 'credential_version.sigkey')
    .select(['credential_version.sigkey', 'account_id', 'kind', 'sealed', 'public_key', 'wrapped', 'kek_version'])
    .where('credential_version.sigkey', '=', sigkey)
    .where('account_id', '=', account)
    .executeTakeFirst();
  if (row === undefined || row.wrapped === null || row.kek_version === null)
    throw new VaultError('vault.credential-unknown', row === undefined ? undefined : 'its data key was destroyed');
  const { sealed, wrapped } = row;
  using contents = open(ring.version(row.kek_version), placeOfVersion(row), { sealed, wrapped });
  const version = decodeContents(row.kind, contents.reveal());
  if (version.kind === 'ssh-key' && !Buffer.from(version.publicKey).equals(row.public_key ?? new Uint8Array(0))) {
    version[Symbol.dispose]();
    throw new VaultError('vault.tampered', 'its public key is not the one that was sealed');
  }
  return version;
}

/** What a session gets: of an SSH key only a signer, never the key. */
async function inUse(version: OpenVersion): Promise<OpenCredential> {
  if (version.kind !== 'ssh-key') return version;
  try {
    const signer = await signerOf(version, AbortSignal.timeout(30_000));
    return { kind: 'ssh-key', signer, publicKey: version.publicKey, [Symbol.dispose]: () => {} };
  } finally {
    version[Symbol.dispose]();
  }
}

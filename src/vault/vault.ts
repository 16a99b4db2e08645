/**
 * The door of the vault: credentials sealed at rest, opened only for a hold, never for a name.
 *
 * What needs no key is a function on the database: accounts, policies, holds, metadata of the history. What needs the
 * key ring is a method of `Vault`, which is opened once with the root key file; after that the file is not needed until
 * the next start. No method returns a secret without an audit event committed before it.
 */
import type { Actor } from '../audit/audit.ts';
import type { Clock } from '../base/clock.ts';
import { codeOf, type Refusal, wordsOf } from '../base/errors.ts';
import type { AccountId, RecordingId, Sigkey } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import type { Db, Tx } from '../db/db.ts';
import type { Signer } from '../protocol/ssh/types.ts';
import type { OpenCredential, OpenVersion } from './credential.ts';
import { generatePassword, type StoreRequest, storeCredential, violationsOf } from './credentials.ts';
import { setCurrent } from './current.ts';
import type { VaultErrorCode } from './errors.ts';
import type { Hold } from './holds.ts';
import {
  type CertifiedKeyName,
  type HostKeyName,
  hostSigner,
  type RsaSigner,
  rsaSigner,
  type SealKeyName,
  type SealSigner,
  sealSigner,
  tlsKey,
} from './internal-keys.ts';
import { openForHold, openVersion } from './opening.ts';
import type { Rule } from './policy/rules.ts';
import { adopt, type ForeignRing, type TakenRing } from './adopt.ts';
import { createRecordingKey, openRecordingKey } from './recording-keys.ts';
import { openRing } from './ring.ts';
import { readRootKey } from './root-key.ts';
import { alarm, openSealed, sealBytes } from './sealing.ts';

export type { ForeignRing, TakenRing } from './adopt.ts';
export {
  type Account,
  type AccountDeclaration,
  accountById,
  accountNamed,
  accountsOf,
  splitAccountLabel,
} from './account.ts';
export { type DeclareOptions, declareAccounts } from './accounts.ts';
export {
  type Credential,
  type CredentialKind,
  type OpenCredential,
  type OpenVersion,
  type RotationClass,
  rotationClass,
} from './credential.ts';
export type { Change } from './change.ts';
export type { StoreRequest } from './credentials.ts';
export { type CredentialVersion, currentOf, versionsOf } from './current.ts';
export {
  type Hold,
  hold,
  holdAfterChange,
  holdExclusively,
  type HoldRecord,
  type HoldRequest,
  holdsOf,
  releaseHoldsOf,
  resumeHold,
  type Use,
  usesOf,
} from './holds.ts';
export type { CertifiedKeyName, HostKeyName, RsaSigner, SealKeyName, SealSigner } from './internal-keys.ts';
export { check, type CheckContext } from './policy/check.ts';
export { generate } from './policy/generate.ts';
export { declarePolicies, type Policy, type PolicyDeclaration, policies, policyById, policyNamed } from './policies.ts';
export { faultsOf, type Minimum, type PolicyRules, type Rule } from './policy/rules.ts';
export { addKeyVersion } from './ring.ts';
export { createRootKey } from './root-key.ts';
export { importSshKey } from './ssh-key.ts';

export interface VaultOptions {
  readonly db: Db;
  /** Outside `dataDirectory`, of the running user, 0400 or 0600. */
  readonly rootKeyPath: string;
  readonly dataDirectory: string;
  readonly log: Log;
  readonly clock: Clock;
}

export interface Vault extends AsyncDisposable {
  /**
   * Seals and inserts one version, and audits it, in the caller's transaction. Throws `vault.credential-kind` if the
   * account is of another kind. It does not make the version current.
   */
  store(tx: Tx, request: StoreRequest): Promise<void>;
  /** Makes one version of the account the current one, or none (null). The time of the first is kept. */
  setCurrent(tx: Db | Tx, account: AccountId, sigkey: Sigkey | null): Promise<void>;
  /**
   * The current value, for the one who holds the account. Refused with `vault.no-password-recorded` or
   * `vault.hold-released`; either way audited before this resolves. Throws `vault.tampered`.
   */
  open(
    hold: Hold,
    actor: Actor,
  ): Promise<OpenCredential | Refusal<Extract<VaultErrorCode, 'vault.no-password-recorded' | 'vault.hold-released'>>>;
  /** Any version of an account, as it was handed in: for rotation, verification and an administrator's recovery. */
  openVersion(account: AccountId, sigkey: Sigkey, purpose: string, actor: Actor): Promise<OpenVersion>;
  /** Which rules of the account's policy, its history included, a password breaks. */
  violations(db: Db | Tx, account: AccountId, candidate: Secret): Promise<Rule[]>;
  /**
   * A new password by the account's policy, without `forbidden` characters and not in the history. Throws
   * `vault.policy-impossible` if there is none.
   */
  generatePassword(db: Db | Tx, account: AccountId, forbidden: string): Promise<Secret>;
  /** The gate's own host key, made on first use. The private half stays in this process. */
  signer(name: HostKeyName): Promise<Signer>;
  /** The ed25519 key that signs recordings' or the audit trail's heads, made on first use. */
  sealSigner(name: SealKeyName): Promise<SealSigner>;
  /** The RSA key of the gate's own authority, or of the signer of files; made on first use. */
  rsaSigner(name: CertifiedKeyName): Promise<RsaSigner>;
  /** The RSA key of the gate's TLS certificate, made on first use, in PEM: it goes to gates, and opens nothing here. */
  tlsKey(): Promise<{ readonly publicKey: Uint8Array; readonly key: Secret }>;
  /** Seals bytes for another room, bound to `context` (e.g. `totp/<user id>`). */
  sealBytes(context: string, bytes: Uint8Array): Promise<Uint8Array>;
  /** Opens what `sealBytes` made for the same context. Throws `vault.tampered`, audited. */
  openSealed(context: string, sealed: Uint8Array): Promise<Secret>;
  /**
   * Takes over another node's key ring, so that values which travel can be opened here; both have the same root key. `same`:
   * it is this one's already. `adopted`: this vault is still on the former one and must be opened anew. `admin` is the
   * tables' owner; `sealedElsewhere` says whether other rooms have bytes under this ring. Throws `vault.rootkey-wrong`, and `vault.ring-in-use` when there are values under this ring.
   * `also` is done in the same transaction, and what it throws undoes all of it.
   */
  adopt(
    admin: Db,
    theirs: ForeignRing,
    sealedElsewhere: () => Promise<boolean>,
    actor: Actor,
    also?: (tx: Tx, taken: TakenRing) => Promise<void>,
  ): Promise<'same' | 'adopted'>;
  /** Another vault over the same database and root key file. */
  again(signal: AbortSignal): Promise<Vault>;
  /** Makes, stores and returns the data key of a new recording. One recording, one key: a second call throws. */
  recordingKey(db: Db | Tx, recording: RecordingId): Promise<Secret>;
  /** The data key of a recording, or undefined if it never had one. */
  openRecordingKey(recording: RecordingId): Promise<Secret | undefined>;
}

/**
 * Opens the vault: reads the root key, proves that it belongs to this database (or begins a new vault in an empty
 * one), opens the key ring and lets go of the root key. Throws the `vault.rootkey-*` codes, and `vault.tampered`.
 */
export async function openVault(options: VaultOptions, signal: AbortSignal): Promise<Vault> {
  const { db, log } = options;
  using rootKey = await readRootKey(options.rootKeyPath, options.dataDirectory);
  const ring = await openRing(db, rootKey, signal).catch(async (error: unknown) => {
    if (codeOf(error) === 'vault.tampered') await alarm({ db, log }, {}, wordsOf(error));
    throw error;
  });
  const context = { db, ring, log };
  return {
    store: (tx, request) => storeCredential(ring, tx, request),
    setCurrent,
    open: (hold, actor) => openForHold(context, hold, actor),
    openVersion: (account, sigkey, purpose, actor) => openVersion(context, account, sigkey, purpose, actor),
    violations: (tx, account, candidate) => violationsOf(ring, tx, account, candidate),
    generatePassword: (tx, account, forbidden) => generatePassword(ring, tx, account, forbidden),
    signer: (name) => hostSigner(context, name),
    sealSigner: (name) => sealSigner(context, name),
    rsaSigner: (name) => rsaSigner(context, name),
    tlsKey: () => tlsKey(context),
    sealBytes: (about, bytes) => sealBytes(ring, about, bytes),
    openSealed: (about, sealed) => openSealed(context, about, sealed),
    adopt: (admin, theirs, sealedElsewhere, actor, also = async () => {}) =>
      adopt(ring, options, admin, theirs, sealedElsewhere, actor, also),
    again: (until) => openVault(options, until),
    recordingKey: (tx, recording) => createRecordingKey(ring, tx, recording),
    openRecordingKey: (recording) => openRecordingKey(context, recording),
    [Symbol.asyncDispose]: async () => ring[Symbol.dispose](),
  };
}

/** Rotation of a test's own: a database, a vault, and, where it is asked for, a machine with a real sshd. */
import { sql } from 'kysely';
import type { Actor } from '../../src/audit/audit.ts';
import { isRefusal } from '../../src/base/errors.ts';
import type { Sigkey } from '../../src/base/ids.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silent } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargets } from '../../src/estate/estate.ts';
import type { LoginCredential } from '../../src/rotation/connectors/connector.ts';
import type { Job } from '../../src/rotation/connectors/job.ts';
import { openRotation, type Rotation, type RotationOptions } from '../../src/rotation/rotation.ts';
import { type Account, accountNamed, type AccountDeclaration, declareAccounts } from '../../src/vault/vault.ts';
import { type VaultRoom, vaultRoom } from '../vault/room.ts';

export const operator: Actor = { kind: 'operator', name: 'tester' };
export const never: AbortSignal = new AbortController().signal;

/** Where a target is reached, and its host keys as `type base64` lines. */
export interface Reached {
  readonly address: string;
  readonly port: number;
  readonly hostKeys: readonly string[];
}

export interface RotationRoom extends AsyncDisposable {
  readonly vault: VaultRoom;
  readonly rotation: Rotation;
  /** Another one over the same database, as after a restart or on another machine. Closed with the room. */
  readonly open: (options?: Partial<RotationOptions>) => Promise<Rotation>;
  /** Declares the target `box` there. */
  readonly target: (at: Reached) => Promise<void>;
  readonly account: (declaration: AccountDeclaration) => Promise<Account>;
  /** The account as it is now. */
  readonly again: (account: Account) => Promise<Account>;
  /** The current value of a password account, or of any version. */
  readonly value: (account: Account, sigkey?: Sigkey) => Promise<string>;
  /** Puts a confirmed value into the ledger without asking any target. */
  readonly seed: (account: Account, value: string) => Promise<Sigkey>;
}

export async function rotationRoom(options: Partial<RotationOptions> = {}): Promise<RotationRoom> {
  const stack = new AsyncDisposableStack();
  const vault = stack.use(await vaultRoom());
  const { db, url } = vault.base;
  const open = async (more: Partial<RotationOptions> = {}): Promise<Rotation> =>
    stack.use(
      await openRotation(
        { db, url, vault: vault.vault, log: silent, clock: systemClock, watch: false, ...options, ...more },
        never,
      ),
    );
  const rotation = await open();
  const again = async (account: Account): Promise<Account> => {
    const found = await accountNamed(db, account.label);
    if (found === undefined) throw new Error(`${account.label} is gone`);
    return found;
  };
  return {
    vault,
    rotation,
    open,
    target: async ({ address, port, hostKeys }) => {
      const blobs = hostKeys.map((line) => new Uint8Array(Buffer.from(line.split(' ')[1] ?? '', 'base64')));
      const services = [{ name: 'ssh', protocol: 'ssh', port, hostKeys: blobs } as const];
      await inTransaction(db, (tx) =>
        declareTargets(tx, [{ name: 'box', platform: 'linux', address, services }], { actor: operator, prune: false }),
      );
    },
    account: async (declaration) => {
      await inTransaction(db, (tx) => declareAccounts(tx, [declaration], { actor: operator, prune: false }));
      const found = await accountNamed(db, declaration.name);
      if (found === undefined) throw new Error(`${declaration.name} was not declared`);
      return found;
    },
    again,
    value: async (account, sigkey) => {
      const wanted = sigkey ?? (await again(account)).current;
      if (wanted === null) throw new Error('nothing is current');
      using version = await vault.vault.openVersion(account.id, wanted, 'test', operator);
      if (version.kind !== 'password') throw new Error('no password');
      return version.secret.revealText();
    },
    seed: async (account, value) => {
      const taking = await open({ run: async () => ({ outcome: 'accepted', class: 'none', words: '' }) });
      using secret = Secret.fromText(value);
      const result = await taking.recordKnown(
        account.id,
        { kind: 'password', secret },
        { unverified: false },
        operator,
        never,
      );
      if (isRefusal(result)) throw new Error(`${result.code}: ${result.reason}`);
      return result.sigkey;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Lets a test write facts of other nodes as if they had come from there. */
export async function speaksForOthers({ vault }: RotationRoom): Promise<void> {
  for (const table of ['randomization', 'outcome', 'resolution'])
    await sql`ALTER TABLE ${sql.table(table)} DISABLE TRIGGER fact_is_own`.execute(vault.base.owner);
}

/** A host key that no server has: for targets that only a scripted connector reaches. */
export const nowhere: Reached = {
  address: '192.0.2.1',
  port: 22,
  hostKeys: [
    `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, 7)]).toString('base64')}`,
  ],
};

/** The password that a job tries or sets, as text; undefined where it has none. */
export function passwordOf(job: Job): string | undefined {
  if (job.operation === 'change' || job.operation === 'reconcile')
    return job.fresh.kind === 'password' ? job.fresh.secret.revealText() : undefined;
  return job.operation === 'verify' ? textOf(job.login.credential) : undefined;
}

/** A password as text. */
export function textOf(credential: LoginCredential): string | undefined {
  return credential.kind === 'password' ? credential.secret.revealText() : undefined;
}

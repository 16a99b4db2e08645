/** Answers about accounts' credentials: rotate, verify, history, store. Never a value. */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import type { Part, RouteAnswers } from '../../contract/contract.ts';
import type { RotationRefusal } from '../../rotation/rotation.ts';
import { type Account, accountsOf, type Credential, importSshKey, policyById, policyNamed } from '../../vault/vault.ts';
import { KeeperError } from '../errors.ts';
import type { Rooms } from '../rooms.ts';
import { accountOf } from './account-of.ts';

/** How long an on-demand change waits for one that is under way, and how often it asks again, in milliseconds. */
const patienceMs = 30_000;
const lookAgainMs = 1000;

type Names =
  | 'rotation.rotate'
  | 'rotation.verify'
  | 'rotation.reconcile'
  | 'rotation.bulk'
  | 'rotation.history'
  | 'account.store'
  | 'account.list';

export function rotationAnswers(
  rooms: Pick<Rooms, 'clock' | 'db' | 'rotation'>,
  actor: Actor,
): Pick<RouteAnswers, Names> {
  const { clock, db, rotation } = rooms;

  return {
    'rotation.rotate': async (fields, _part, signal) => {
      const account = await accountOf(db, fields.account);
      const late = clock.now() + (fields.wait === true ? patienceMs : 0);
      for (;;) {
        const result = await rotation.rotate(account.id, 'on-demand', actor, signal);
        if (!isRefusal(result)) return { account: account.label, ...result };
        if (result.code !== 'rotation.changing' || clock.now() >= late) return result;
        await clock.sleep(lookAgainMs, signal);
      }
    },
    'rotation.verify': async (fields, _part, signal) => {
      const account = await accountOf(db, fields.account);
      const result = await rotation.verify(account.id, actor, signal);
      if (isRefusal(result)) return result;
      return { account: account.label, status: result.answer, words: result.words, remedy: result.remedy };
    },
    'rotation.reconcile': async (fields, _part, signal) => {
      const account = await accountOf(db, fields.account);
      const result = await rotation.reconcile(account.id, actor, signal);
      return isRefusal(result) ? result : { account: account.label, ...result };
    },
    'rotation.bulk': async (fields, part, signal) => {
      const accounts = await chosen(rooms, fields);
      const count = { done: 0, failed: 0, refused: 0 };
      const one = async (account: Account): Promise<void> => {
        const verdict = await bulkVerdict(rooms, account, fields.what as BulkWork, actor, signal);
        if (verdict.code !== undefined) count.refused++;
        else if (verdict.status === 'confirmed' || verdict.status === 'accepted') count.done++;
        else count.failed++;
        part(verdict);
      };
      const waiting = [...accounts];
      const worker = async (): Promise<void> => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          signal.throwIfAborted();
          await one(next);
        }
      };
      await Promise.all(Array.from({ length: Math.min(bulkAtOnce, accounts.length) }, worker));
      return count;
    },
    'rotation.history': async (fields) => {
      const account = await accountOf(db, fields.account);
      const history = await rotation.history(account.id);
      if (isRefusal(history)) return history;
      const versions = history.versions.map(({ sigkey, parent, status, place, node, createdAt, current }) => ({
        sigkey,
        ...(parent === null ? {} : { parent }),
        status,
        place,
        node,
        createdAt: createdAt.toISOString(),
        current,
      }));
      return { account: account.label, conflict: history.conflict, versions };
    },
    'account.store': async (fields, _part, signal) => {
      const account = await accountOf(db, fields.account);
      using secret = new Secret(fields.secret);
      using passphrase = fields.passphrase === undefined ? undefined : new Secret(fields.passphrase);
      const credential: Credential =
        account.kind === 'ssh-key'
          ? await importSshKey(secret, passphrase, signal)
          : { kind: account.kind as 'password', secret };
      const result = await rotation.recordKnown(
        account.id,
        credential,
        { unverified: fields.unverified },
        actor,
        signal,
      );
      if (isRefusal(result)) return result;
      return { status: result.status, sigkey: result.sigkey };
    },
    'account.list': async () => {
      const accounts = await Promise.all(
        (await accountsOf(db)).map(async (account) => {
          const history = await rotation.history(account.id);
          const policy = await policyById(db, account.policyId);
          return {
            account: account.label,
            kind: account.kind,
            policy: policy?.name ?? '',
            connector: account.connector ?? 'none',
            credential: account.current === null ? 'No password recorded yet' : 'stored',
            conflict: isRefusal(history) ? 'unknown' : history.conflict,
            rotateAfterSession: account.rotateAfterSession,
          };
        }),
      );
      return { accounts };
    },
  };
}

const bulkAtOnce = 8;
type BulkWork = 'rotate' | 'verify' | 'reconcile';

interface Choice {
  readonly accounts: readonly string[];
  readonly policy?: string;
  readonly target?: string;
}

/** Named ones, or all that have a policy or a target in common. */
async function chosen({ db }: Pick<Rooms, 'db'>, { accounts, policy, target }: Choice): Promise<readonly Account[]> {
  if (accounts.length > 0) return Promise.all(accounts.map((label) => accountOf(db, label)));
  if (policy === undefined && target === undefined)
    throw new KeeperError('keeper.no-such-thing', 'name accounts, a policy or a target');
  const wanted = policy === undefined ? undefined : await policyNamed(db, policy);
  if (policy !== undefined && wanted === undefined) throw new KeeperError('keeper.no-such-thing', `policy ${policy}`);
  return (await accountsOf(db)).filter(
    (account) =>
      (wanted === undefined || account.policyId === wanted.id) &&
      (target === undefined || account.target.name === target),
  );
}

async function bulkVerdict(
  { rotation }: Pick<Rooms, 'rotation'>,
  account: Account,
  what: BulkWork,
  actor: Actor,
  signal: AbortSignal,
): Promise<Part<'rotation.bulk'>> {
  const { label } = account;
  if (what === 'verify') {
    const result = await rotation.verify(account.id, actor, signal);
    if (isRefusal(result)) return refusedPart(label, result);
    return { account: label, status: result.answer, words: result.words, remedy: result.remedy };
  }
  const result =
    what === 'rotate'
      ? await rotation.rotate(account.id, 'on-demand', actor, signal)
      : await rotation.reconcile(account.id, actor, signal);
  return isRefusal(result) ? refusedPart(label, result) : { account: label, ...result };
}

function refusedPart(account: string, { code, reason, remedy }: RotationRefusal): Part<'rotation.bulk'> {
  return { account, status: 'refused', words: reason, remedy, code };
}

/** Answers about accounts' credentials: rotate, verify, history, store. Never a value. */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import type { RouteAnswers } from '../../contract/contract.ts';
import {
  type Account,
  accountNamed,
  accountsOf,
  type Credential,
  importSshKey,
  policyById,
} from '../../vault/vault.ts';
import { KeeperError } from '../errors.ts';
import type { Rooms } from '../rooms.ts';

/** How long an on-demand change waits for one that is under way, and how often it asks again, in milliseconds. */
const patienceMs = 30_000;
const lookAgainMs = 1000;

type Names = 'rotation.rotate' | 'rotation.verify' | 'rotation.history' | 'account.store' | 'account.list';

export function rotationAnswers(
  rooms: Pick<Rooms, 'clock' | 'db' | 'rotation'>,
  actor: Actor,
): Pick<RouteAnswers, Names> {
  const { clock, db, rotation } = rooms;

  async function named(label: string): Promise<Account> {
    const account = await accountNamed(db, label);
    if (account === undefined) throw new KeeperError('keeper.no-such-thing', `account ${label}`);
    return account;
  }

  return {
    'rotation.rotate': async (fields, _part, signal) => {
      const account = await named(fields.account);
      const late = clock.now() + (fields.wait === true ? patienceMs : 0);
      for (;;) {
        const result = await rotation.rotate(account.id, 'on-demand', actor, signal);
        if (!isRefusal(result)) return { account: account.label, ...result };
        if (result.code !== 'rotation.changing' || clock.now() >= late) return result;
        await clock.sleep(lookAgainMs, signal);
      }
    },
    'rotation.verify': async (fields, _part, signal) => {
      const account = await named(fields.account);
      const result = await rotation.verify(account.id, actor, signal);
      if (isRefusal(result)) return result;
      return { account: account.label, status: result.answer, words: result.words, remedy: result.remedy };
    },
    'rotation.history': async (fields) => {
      const account = await named(fields.account);
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
      const account = await named(fields.account);
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

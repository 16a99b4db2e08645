/** Answers about accounts in conflict: lists, trees, decisions. Never a value. */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import { type AccountId, parseId, type Sigkey } from '../../base/ids.ts';
import type { RouteAnswers } from '../../contract/contract.ts';
import { allConnectors, type BatchEntry } from '../../rotation/rotation.ts';
import { accountById } from '../../vault/vault.ts';
import { KeeperError } from '../errors.ts';
import type { Rooms } from '../rooms.ts';
import { accountOf } from './account-of.ts';

type Names = Extract<keyof RouteAnswers, `conflict.${string}` | 'connector.list'>;

export function conflictAnswers(rooms: Pick<Rooms, 'db' | 'rotation'>, actor: Actor): Pick<RouteAnswers, Names> {
  const { db, rotation } = rooms;
  const { conflicts } = rotation;

  return {
    'connector.list': async () => ({
      connectors: allConnectors.map(({ name, title, kind, protocols, capabilities, parameters }) => ({
        connector: name,
        title,
        kind,
        protocols: [...protocols],
        ...capabilities,
        modes: [...capabilities.modes],
        settings: Object.entries(parameters).map(([setting, { values, words }]) => ({ name: setting, values, words })),
      })),
    }),
    'conflict.list': async (_fields, _part, signal) => {
      const list = await conflicts.list(signal);
      const last = await conflicts.lastDiscovery();
      return {
        conflicts: list.map((entry) => ({ ...entry, since: entry.since.toISOString() })),
        ...(last === undefined ? {} : { lastDiscovery: last.at.toISOString() }),
      };
    },
    'conflict.show': async (fields, _part, signal) => {
      const account = await accountOf(db, fields.account);
      const tree = await conflicts.show(account.id, signal);
      if (isRefusal(tree)) return tree;
      const { current, values, beliefs, since, candidates: _candidates, ...rest } = tree;
      return {
        ...rest,
        since: since.toISOString(),
        ...(current === null ? {} : { current }),
        values: values.map(({ parent, parentNode, createdAt, ...value }) => ({
          ...value,
          createdAt: createdAt.toISOString(),
          ...(parent === null ? {} : { parent }),
          ...(parentNode === null ? {} : { parentNode }),
        })),
        beliefs: beliefs.map(({ node, current: believed }) => ({
          node,
          ...(believed === null ? {} : { current: believed }),
        })),
      };
    },
    'conflict.resolve': async (fields, part, signal) => {
      const ids: AccountId[] = [];
      for (const label of fields.accounts) ids.push((await accountOf(db, label)).id);
      const told: Promise<void>[] = [];
      const count = { resolved: 0, left: 0 };
      const tell = async ({ account, answer }: BatchEntry): Promise<void> => {
        const label = (await accountById(db, account))?.label ?? account;
        if (isRefusal(answer)) {
          count.left++;
          return part({
            account: label,
            status: 'refused',
            words: answer.reason,
            remedy: answer.remedy,
            code: answer.code,
          });
        }
        const done = answer.outcome === 'resolved' || answer.outcome === 'settled';
        if (done) count.resolved++;
        else count.left++;
        part({
          account: label,
          status: answer.outcome,
          words: 'words' in answer ? answer.words : 'there is no conflict',
          ...('remedy' in answer ? { remedy: answer.remedy } : {}),
          ...(answer.outcome === 'resolved' ? { sigkey: answer.root } : {}),
        });
      };
      await conflicts.resolve(ids.length === 0 ? 'all' : ids, actor, (entry) => void told.push(tell(entry)), signal);
      await Promise.all(told);
      return count;
    },
    'conflict.force': async (fields, _part, signal) => {
      const account = await accountOf(db, fields.account);
      const result = await conflicts.force(account.id, actor, signal);
      return isRefusal(result) ? result : { account: account.label, ...result };
    },
    'conflict.decide': async (fields, _part, signal) => {
      const account = await accountOf(db, fields.account);
      const sigkey = parseId<Sigkey>(fields.sigkey);
      if (sigkey === undefined) throw new KeeperError('keeper.no-such-thing', `sigkey ${fields.sigkey}`);
      const what = fields.what as 'confirm' | 'reject' | 'set-current';
      return decidedOf(account.label, await conflicts.decide(account.id, sigkey, what, actor, signal));
    },
    'conflict.blank': async (fields, _part, signal) => {
      const account = await accountOf(db, fields.account);
      return decidedOf(account.label, await conflicts.blank(account.id, actor, signal));
    },
    'conflict.discover': async (_fields, _part, signal) => {
      const { at, accounts, found } = await conflicts.discover(actor, signal);
      return { at: at.toISOString(), accounts, found };
    },
    'conflict.report': async (fields) => {
      const account = fields.account === undefined ? undefined : await accountOf(db, fields.account);
      const of = { limit: fields.limit, ...(account === undefined ? {} : { account: account.id }) };
      const last = await conflicts.lastDiscovery();
      return {
        rows: (await conflicts.report(of)).map((row) => ({ ...row, at: row.at.toISOString() })),
        ...(last === undefined ? {} : { lastDiscovery: { ...last, at: last.at.toISOString() } }),
      };
    },
  };
}

type DecidedAnswer = Awaited<ReturnType<Rooms['rotation']['conflicts']['decide']>>;

function decidedOf(account: string, decided: DecidedAnswer) {
  if (isRefusal(decided)) return decided;
  const { current, ...rest } = decided;
  return { account, ...rest, ...(current === null ? {} : { current }) };
}

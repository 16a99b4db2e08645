/**
 * What can be in progress when the process dies: the state of the account before (ledger and target), and the call that is
 * made. An operation is one entry here. Each is chosen so that after any kill the live value can be found without a
 * person: because it is in the vault, or because the account says that a lost one may be replaced.
 */
import { isRefusal } from '../src/base/errors.ts';
import type { Sigkey } from '../src/base/ids.ts';
import type { Actor } from '../src/audit/audit.ts';
import type { Status } from '../src/rotation/plan/facts.ts';
import type { Rotation } from '../src/rotation/rotation.ts';
import type { Task } from './messages.ts';
import { credentialOf, type Value } from './values.ts';

export interface Known {
  readonly sigkey: Sigkey;
  readonly value: Value;
}

/** Makes the account's past. */
export interface Past {
  /** A value in vault and ledger. `P` is left as by a process that died with lease and hold. */
  known(parent: Known | null, status: Status, node?: 'another'): Promise<Known>;
  /** A value that is nowhere but with whoever drew it. */
  unknown(): Promise<Value>;
  /** What the target has when the operation begins. */
  live(value: Value): void;
  /** One of these; each is had in some round. */
  either<T>(...these: readonly [T, ...T[]]): T;
}

export interface Ways {
  readonly rotation: Rotation;
  /** The same with automatic resolution switched off, so that people may decide. */
  readonly byHand: Rotation;
  /** One that works on its own, as after a restart. */
  readonly restarted: () => Promise<Rotation>;
}

export interface Operation {
  readonly past: (past: Past) => Promise<Task['said']>;
  /** Returns what came of it, in words. */
  readonly perform: (ways: Ways, task: Task, signal: AbortSignal) => Promise<string>;
  /** The target has a value that nobody knows: it is replaced, which the account allows. */
  readonly replaces?: true;
  /** Nothing in the ledger says that something is wrong: the daily look finds it. */
  readonly daily?: true;
  /** It looks at all accounts, so no other may be in progress. */
  readonly alone?: true;
  /** So many occurrences of a point are enough: each further one is the same for another account. */
  readonly most?: number;
}

const actor: Actor = { kind: 'operator', name: 'crash' };
const nothing = {};

/** A confirmed value, and a newer one of which nobody knows whether it was set. */
async function conflict(past: Past): Promise<{ old: Known; fresh: Known }> {
  const old = await past.known(null, 'C');
  return { old, fresh: await past.known(old, 'U') };
}

async function lostInConflict(past: Past): Promise<Value> {
  await conflict(past);
  const value = await past.unknown();
  past.live(value);
  return value;
}

const operations = {
  rotate: {
    past: async (past) => {
      past.live((await past.known(null, 'C')).value);
      return nothing;
    },
    perform: async ({ rotation }, { account }, signal) =>
      told(await rotation.rotate(account, 'on-demand', actor, signal)),
  },
  /** A change that is asked for and not waited for; when the product starts again, it makes it. */
  wish: {
    past: async (past) => {
      past.live((await past.known(null, 'C')).value);
      return nothing;
    },
    perform: async ({ rotation }, { account }) => {
      await rotation.wish([account], { trigger: 'event', reason: 'crash' }, actor);
      return 'wished';
    },
  },
  verify: {
    past: async (past) => {
      const { old, fresh } = await conflict(past);
      past.live(past.either(old, fresh).value);
      return nothing;
    },
    perform: async ({ rotation }, { account }, signal) => told(await rotation.verify(account, actor, signal)),
  },
  resolve: {
    past: async (past) => {
      const root = await past.known(null, 'C');
      const here = await past.known(root, 'C');
      const there = await past.known(root, 'C', 'another');
      past.live(past.either(here, there).value);
      return nothing;
    },
    perform: async ({ rotation }, { account }, signal) => {
      const words: string[] = [];
      await rotation.conflicts.resolve([account], actor, (entry) => words.push(JSON.stringify(entry.answer)), signal);
      return words.join();
    },
  },
  /** Another node drew a value and was never heard of again. */
  'resolve-silent-node': {
    past: async (past) => {
      const { old, fresh } = await conflict(past);
      const theirs = await past.known(old, 'P', 'another');
      past.live(past.either(fresh, theirs).value);
      return nothing;
    },
    perform: async ({ rotation }, { account }, signal) => told(await rotation.verify(account, actor, signal)),
  },
  reconcile: {
    replaces: true,
    past: async (past) => {
      await lostInConflict(past);
      return nothing;
    },
    perform: async ({ rotation }, { account }, signal) => told(await rotation.reconcile(account, actor, signal)),
  },
  /** The same where no change of ours was in between: somebody else has set another value. */
  'reconcile-changed': {
    replaces: true,
    daily: true,
    past: async (past) => {
      await past.known(null, 'C');
      past.live(await past.unknown());
      return nothing;
    },
    perform: async ({ rotation }, { account }, signal) => told(await rotation.reconcile(account, actor, signal)),
  },
  /** Somebody has put the former value back. */
  'verify-former': {
    daily: true,
    past: async (past) => {
      const former = await past.known(null, 'C');
      await past.known(former, 'C');
      past.live(former.value);
      return nothing;
    },
    perform: async ({ rotation }, { account }, signal) => told(await rotation.verify(account, actor, signal)),
  },
  /** Neither of two values that may hold does, but one from before them. */
  'resolve-former': {
    past: async (past) => {
      const first = await past.known(null, 'C');
      const second = await past.known(first, 'C');
      await past.known(second, 'U');
      past.live(first.value);
      return nothing;
    },
    perform: async ({ rotation }, { account }, signal) => told(await rotation.verify(account, actor, signal)),
  },
  force: {
    past: async (past) => {
      const { old, fresh } = await conflict(past);
      past.live(past.either(old, fresh).value);
      return nothing;
    },
    perform: async ({ byHand }, { account }, signal) => told(await byHand.conflicts.force(account, actor, signal)),
  },
  confirm: {
    past: async (past) => {
      const { fresh } = await conflict(past);
      past.live(fresh.value);
      return { sigkey: fresh.sigkey };
    },
    perform: decide('confirm'),
  },
  reject: {
    past: async (past) => {
      const { old, fresh } = await conflict(past);
      past.live(old.value);
      return { sigkey: fresh.sigkey };
    },
    perform: decide('reject'),
  },
  'set-current': {
    past: async (past) => {
      const root = await past.known(null, 'C');
      const here = await past.known(root, 'C');
      const there = await past.known(root, 'C', 'another');
      const { sigkey, value } = past.either(here, there);
      past.live(value);
      return { sigkey };
    },
    perform: decide('set-current'),
  },
  'record-known': {
    replaces: true,
    past: async (past) => ({ value: await lostInConflict(past) }),
    perform: recordKnown({ unverified: false }),
  },
  'record-unverified': {
    replaces: true,
    past: async (past) => ({ value: await lostInConflict(past) }),
    perform: recordKnown({ unverified: true }),
  },
  /** Settling what a dead process left, when its change had landed, and when it had not. */
  recover: {
    past: async (past) => {
      const old = await past.known(null, 'C');
      const fresh = await past.known(old, 'P');
      past.live(past.either(old, fresh).value);
      return nothing;
    },
    perform: async ({ rotation }, { account }, signal) => told(await rotation.verify(account, actor, signal)),
  },
  /** The same as the product does it by itself when it starts. */
  restart: {
    alone: true,
    past: async (past) => {
      const old = await past.known(null, 'C');
      const fresh = await past.known(old, 'P');
      past.live(past.either(old, fresh).value);
      return nothing;
    },
    perform: async ({ restarted }) => {
      await using rotation = await restarted();
      await rotation.settle();
      return 'settled';
    },
  },
  /** A start with an account whose value is lost: found, and replaced. */
  'restart-lost': {
    alone: true,
    replaces: true,
    past: async (past) => {
      await lostInConflict(past);
      return nothing;
    },
    perform: async ({ restarted }) => {
      await using rotation = await restarted();
      await rotation.settle();
      return 'settled';
    },
  },
  discover: {
    alone: true,
    most: 1,
    past: async (past) => {
      past.live((await past.known(null, 'C')).value);
      return nothing;
    },
    perform: async ({ rotation }, _task, signal) => JSON.stringify(await rotation.conflicts.discover(actor, signal)),
  },
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;
export const operationNames = Object.keys(operations) as readonly OperationName[];

export function operationNamed(name: OperationName): Operation {
  return operations[name];
}

function decide(what: 'confirm' | 'reject' | 'set-current'): Operation['perform'] {
  return async ({ byHand }, { account, said }, signal) => {
    if (said.sigkey === undefined) throw new Error('nobody said which value');
    return told(await byHand.conflicts.decide(account, said.sigkey, what, actor, signal));
  };
}

function recordKnown(how: { readonly unverified: boolean }): Operation['perform'] {
  return async ({ rotation }, { account, said }, signal) => {
    if (said.value === undefined) throw new Error('nobody said which value');
    using credential = credentialOf(said.value);
    return told(await rotation.recordKnown(account, credential, how, actor, signal));
  };
}

function told(answer: object): string {
  if (isRefusal(answer as { refused: true })) return `refused: ${JSON.stringify(answer)}`;
  return JSON.stringify(answer);
}

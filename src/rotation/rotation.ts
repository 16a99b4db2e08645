/**
 * The door of rotation: what an account's credential is, was and may be, and changing it on its target.
 *
 * INVARIANT: a value is durable in the vault and in the ledger before any connector hears of it. Nothing generated is
 * ever thrown away. Work is not queued: the ledger is the only memory, `plan` says from it what is to be done, and a
 * lease per account (with a fencing token) keeps two processes from doing it at once. A queue would be a second truth.
 */
import type { Actor } from '../audit/audit.ts';
import type { Clock } from '../base/clock.ts';
import type { AccountId, Sigkey } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import { newId } from '../base/new-id.ts';
import { orAborted } from '../base/signals.ts';
import type { Db } from '../db/db.ts';
import type { Credential, Vault } from '../vault/vault.ts';
import { processRunner, type RunConnector } from './connectors/run.ts';
import { type Context, type Rules, type Timing, usualRules, usualTiming } from './context.ts';
import { rotateAccount } from './change/engine.ts';
import { type History, historyOf } from './ledger/history.ts';
import { agendaOf, type AgendaEntry } from './agenda.ts';
import { recordKnown } from './change/known.ts';
import { wishFor } from './change/wishes.ts';
import { nodeName } from './ledger/ledger.ts';
import type { Trigger } from './plan/next.ts';
import type { RotationRefusal } from './refusal.ts';
import type { RotationResult, VerifyResult } from './result.ts';
import { nodesOf } from './management.ts';
import { peersOf } from './nodes/peers.ts';
import type { Peers } from './peers.ts';
import type { At } from './points.ts';
import { type BatchEntry, conflictedAccounts, resolveInBatches } from './resolution/batch.ts';
import { blankAccount, decideValue, type Decided, forceRandomization, setCurrentValue } from './resolution/by-hand.ts';
import { reconcileAccount } from './resolution/reconcile.ts';
import {
  type ConflictEntry,
  conflictList,
  discoverConflicts,
  type Discovery,
  lastDiscovery,
  type Tree,
  treeOf,
} from './resolution/show.ts';
import { verifyAccount } from './resolution/synchrony.ts';
import { verificationReport, type VerificationRow } from './resolution/verifications.ts';
import { addEventSource, type EventSource, eventSources, removeEventSource } from './event-sources.ts';
import { type EventMessage, type EventVerdict, judgeEvent } from './triggers/event.ts';
import { watch } from './triggers/watch.ts';

export { type Membership, openMembership, type OwnServer } from './nodes/membership.ts';
export type { NodesStatus, PeerStatus } from './nodes/status.ts';
export type { AnswerClass, Connector } from './connectors/connector.ts';
export { allConnectors, connectorNamed, connectorNames } from './connectors/registry.ts';
export { type Rules, type Timing, timingFor, usualRules, usualTiming } from './context.ts';
export {
  declareManagement,
  managedPolicies,
  type Management,
  type ManagementDeclaration,
  managements,
  type RotateOnCheckout,
} from './management.ts';
export { type Fault, faultOfSchedule, type Schedule, usualRetry, usualSkips } from './plan/schedule.ts';
export { declareSchedules, schedules } from './schedules.ts';
export { type EventSource, eventSources } from './event-sources.ts';
export type { EventMessage, EventVerdict } from './triggers/event.ts';
export type { History, HistoryAttempt, HistoryVersion } from './ledger/history.ts';
export type { Status } from './plan/facts.ts';
export type { Conflict } from './plan/fold.ts';
export type { Trigger } from './plan/next.ts';
export type { Verification } from './plan/verdict.ts';
export type { RotationRefusal } from './refusal.ts';
export type { RotationResult, VerifyResult } from './result.ts';
export type { Heard, MayRotate, Peers } from './peers.ts';
export type { BatchEntry } from './resolution/batch.ts';
export type { Decided } from './resolution/by-hand.ts';
export type { Resolved } from './resolution/automatic.ts';
export type { ConflictEntry, Discovery, Tree, TreeValue } from './resolution/show.ts';
export type { VerificationRow } from './resolution/verifications.ts';
export { type FoundKey, scanCertificate, scanHostKeys } from './scan.ts';

export interface RotationOptions {
  readonly db: Db;
  /** Of the app role, for LISTEN; without one only the timer looks. */
  readonly url?: string;
  readonly vault: Vault;
  readonly log: Log;
  readonly clock: Clock;
  readonly timing?: Partial<Timing>;
  /** How a connector is run; a process of its own unless told (tests put faults here). */
  readonly run?: RunConnector;
  readonly rules?: Partial<Rules>;
  /** The folder of the operator's own programs (connector `script`); none unless told. */
  readonly plugins?: string;
  /** What is to be known of other nodes; asked from the database unless told. */
  readonly peers?: Peers;
  /** Told at every point where the process may die; for tests. */
  readonly at?: At;
  /** False: no triggers and no settling of pending values, only what is asked. True unless told. */
  readonly watch?: boolean;
}

export interface Rotation extends AsyncDisposable {
  /**
   * Changes the credential on the target now and proves the new one by a login. Refused before anything is generated
   * when the account is conflicted, busy, in use or disabled, or when the target fails the checks.
   */
  rotate(
    account: AccountId,
    trigger: Trigger,
    actor: Actor,
    signal: AbortSignal,
  ): Promise<RotationResult | RotationRefusal>;
  /**
   * Tries the current credential at the target by a real login; changes nothing there. Where it is refused, every value
   * that was ever known is tried, and the one that works becomes current again. Of an account in conflict every candidate
   * is tried, and if exactly one works and the others are refused, it becomes current and the conflict is settled.
   */
  verify(account: AccountId, actor: Actor, signal: AbortSignal): Promise<VerifyResult | RotationRefusal>;
  /**
   * Sets a new value by the reconcile account, after every known value was tried and refused. Refused while one works, or
   * while that is not known.
   */
  reconcile(account: AccountId, actor: Actor, signal: AbortSignal): Promise<RotationResult | RotationRefusal>;
  /**
   * Keeps a wish for each of these accounts: they are changed as soon as each can be, also after a restart, and nobody
   * waits for the end of it.
   */
  wish(
    accounts: readonly AccountId[],
    wish: { readonly trigger: 'event' | 'bulk'; readonly reason: string },
    actor: Actor,
  ): Promise<void>;
  readonly conflicts: Conflicts;
  readonly events: Events;
  /** What will be changed when, and why not yet. */
  agenda(signal: AbortSignal): Promise<readonly AgendaEntry[]>;
  /** Everything known of the account's values, without the values. */
  history(account: AccountId): Promise<History | RotationRefusal>;
  /**
   * Records a value that the target has already. It is tried at the target first; if it works it is confirmed, becomes
   * current and settles a conflict. `unverified` stores it without asking: it is then uncertain, and the account is
   * conflicted until a value is proven. The credential is the caller's to dispose of.
   */
  recordKnown(
    account: AccountId,
    credential: Credential,
    how: { readonly unverified: boolean },
    actor: Actor,
    signal: AbortSignal,
  ): Promise<RotationResult | RotationRefusal>;
  /** Looks at every account now (the timer does the same); resolves when nothing is left to do for the moment. */
  settle(): Promise<void>;
}

/** Changes that others ask for by signed events. */
export interface Events {
  sources(): Promise<readonly EventSource[]>;
  /** The new source's key, which cannot be had again; the caller's to dispose of. */
  add(source: Pick<EventSource, 'name' | 'reach'>, actor: Actor): Promise<Secret | RotationRefusal>;
  remove(name: string, actor: Actor): Promise<RotationRefusal | undefined>;
  /** Takes a message that a gate got, or says no to it; whatever it asks for is a wish from then on. */
  judge(message: EventMessage): Promise<EventVerdict>;
}

/** What can be known and done about accounts in conflict. */
export interface Conflicts {
  list(signal: AbortSignal): Promise<readonly ConflictEntry[]>;
  show(account: AccountId, signal: AbortSignal): Promise<Tree | RotationRefusal>;
  /** Automatic resolution now, of these accounts or of all, in batches; `told` hears of each. */
  resolve(
    accounts: readonly AccountId[] | 'all',
    actor: Actor,
    told: (entry: BatchEntry) => void,
    signal: AbortSignal,
  ): Promise<void>;
  force(account: AccountId, actor: Actor, signal: AbortSignal): Promise<RotationResult | RotationRefusal>;
  decide(
    account: AccountId,
    sigkey: Sigkey,
    what: 'confirm' | 'reject' | 'set-current',
    actor: Actor,
    signal: AbortSignal,
  ): Promise<Decided | RotationRefusal>;
  blank(account: AccountId, actor: Actor, signal: AbortSignal): Promise<Decided | RotationRefusal>;
  discover(actor: Actor, signal: AbortSignal): Promise<Discovery>;
  lastDiscovery(): Promise<Discovery | undefined>;
  report(of: { readonly account?: AccountId; readonly limit: number }): Promise<readonly VerificationRow[]>;
}

/**
 * Opens rotation: settles what an earlier process left pending, then reacts to released holds and to the timer until
 * it is disposed of. A change that runs at disposal is broken off; it stays pending until its lease runs out, and is
 * then settled by whoever is there.
 */
export async function openRotation(options: RotationOptions, signal: AbortSignal): Promise<Rotation> {
  const { db, vault, log, clock, url } = options;
  await using undo = new AsyncDisposableStack();
  const end = new AbortController();
  const over = AbortSignal.any([signal, end.signal]);
  const context: Context = {
    db,
    vault,
    log,
    clock,
    timing: { ...usualTiming, ...options.timing },
    rules: { ...usualRules, ...options.rules },
    peers: options.peers ?? peersOf({ db, clock }, { managementOf: (policy) => nodesOf(db, policy) }),
    at: options.at ?? (() => {}),
    run: options.run ?? undo.use(processRunner()),
    plugins: options.plugins,
    node: await nodeName(db),
    holder: `${process.pid}/${newId(clock.now())}`,
  };
  const loop = options.watch === false ? undefined : await watch(context, url, over);
  const ours = undo.move();
  const asked = new Set<Promise<unknown>>();
  /** What was asked ends with rotation too, and disposal waits for it. */
  const during = <T>(running: Promise<T>): Promise<T> => {
    const settled: Promise<void> = running.then(
      () => void asked.delete(settled),
      () => void asked.delete(settled),
    );
    asked.add(settled);
    return running;
  };
  return {
    // A caller that goes away does not break off a change that a target is making.
    rotate: (account, trigger, actor, caller) =>
      orAborted(during(rotateAccount(context, account, trigger, actor, over)), caller),
    reconcile: (account, actor, caller) => orAborted(during(reconcileAccount(context, account, actor, over)), caller),
    verify: (account, actor, caller) =>
      during(verifyAccount(context, account, actor, { heartbeat: false }, AbortSignal.any([over, caller]))),
    wish: (accounts, wish, actor) => during(wishFor(context, accounts, wish, actor)),
    conflicts: conflictsOf(context, during, over),
    events: {
      sources: () => eventSources(db),
      add: (source, actor) => during(addEventSource(context, source, actor)),
      remove: (name, actor) => during(removeEventSource(db, name, actor)),
      judge: (message) => during(judgeEvent(context, message)),
    },
    agenda: (caller) => agendaOf(context, AbortSignal.any([over, caller])),
    history: (account) => historyOf(db, account),
    recordKnown: (account, credential, how, actor, caller) =>
      during(recordKnown(context, account, credential, how, actor, AbortSignal.any([over, caller]))),
    settle: async () => loop?.settle(),
    [Symbol.asyncDispose]: async () => {
      end.abort(new Error('rotation was closed'));
      await loop?.[Symbol.asyncDispose]();
      await Promise.all(asked);
      await ours[Symbol.asyncDispose]();
    },
  };
}

function conflictsOf(context: Context, during: <T>(running: Promise<T>) => Promise<T>, over: AbortSignal): Conflicts {
  const until = (caller: AbortSignal): AbortSignal => AbortSignal.any([over, caller]);
  return {
    list: (caller) => conflictList(context, until(caller)),
    show: (account, caller) => treeOf(context, account, until(caller)),
    resolve: (accounts, actor, told, caller) =>
      during(
        (async () => {
          const ids = accounts === 'all' ? await conflictedAccounts(context) : accounts;
          await resolveInBatches(context, ids, { actor, demanded: true }, told, until(caller));
        })(),
      ),
    force: (account, actor, caller) => orAborted(during(forceRandomization(context, account, actor, over)), caller),
    decide: (account, sigkey, what, actor, caller) =>
      during(
        what === 'set-current'
          ? setCurrentValue(context, account, sigkey, actor, until(caller))
          : decideValue(context, account, sigkey, what, actor, until(caller)),
      ),
    blank: (account, actor, caller) => during(blankAccount(context, account, actor, until(caller))),
    discover: (actor, caller) => during(discoverConflicts(context, actor, until(caller))),
    lastDiscovery: () => lastDiscovery(context),
    report: (of) => verificationReport(context.db, of),
  };
}

/**
 * A family's run: first each operation is performed and listened to, which gives the list of its points; then, in every
 * round, a process is killed at each of them, the product starts again, and what must be true is checked.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { isRefusal } from '../src/base/errors.ts';
import { processRunner, type RunConnector } from '../src/rotation/connectors/run.ts';
import { historyOf } from '../src/rotation/ledger/history.ts';
import { check, lostAmong } from './check.ts';
import type { Family } from './families/family.ts';
import { endsByItself, startVictim, type Victim } from './kill.ts';
import { operationNamed, type OperationName, operationNames } from './operations.ts';
import { type Happened, placesOf, wordsOfWhere } from './points.ts';
import { recover } from './recover.ts';
import { type Base, type Case, openStage, type Prepared, type Stage } from './stage.ts';

export interface RunOptions {
  readonly rounds: number;
  /** Accounts in one batch. */
  readonly lanes: number;
  /** Decides what is left to chance, the same way every time. */
  readonly seed: string;
  /** Each point by its name once, in one of the operations where it occurs, instead of everywhere. */
  readonly short: boolean;
  /** Only these. */
  readonly operation?: OperationName | undefined;
  readonly point?: string | undefined;
  readonly occurrence?: number | undefined;
  /** The program that dies, if it is not the real one. */
  readonly victim?: string;
  readonly tell: (words: string) => void;
}

export interface Report {
  /** `family, operation, point, occurrence` of all that was killed at. */
  readonly points: ReadonlySet<string>;
  /** Points by their names that occurred. */
  readonly occurred: ReadonlySet<string>;
  readonly kills: number;
  readonly recovered: number;
  readonly lost: number;
  /** What is wrong, in words, one for each kill, and for what the list does not name. */
  readonly failures: readonly string[];
}

/** Makes all kills of one family. Throws where the harness itself cannot go on. */
export async function runFamily(base: Base, family: Family, options: RunOptions): Promise<Report> {
  await using stage = await openStage(base, family, options.lanes);
  const run = new Run(stage, options);
  await using _ = run;
  const heard = await run.listen(options.operation === undefined ? operationNames : [options.operation], family.name);
  const occurred = new Set(
    [...heard.values()].flatMap((variants) =>
      [...variants.values()].flatMap((each) => placesOf(each).map(({ where }) => wordsOfWhere(where))),
    ),
  );
  const points = new Set<string>();
  for (let round = 1; round <= options.rounds; round++) {
    const cases = casesOf(heard, family.name, round, options);
    options.tell(`${family.name}: round ${round} of ${options.rounds}, ${cases.length} kills`);
    for (const one of cases) points.add(`${family.name}, ${wordsOf(one)}`);
    for (const batch of batchesOf(cases, options.lanes)) await run.kill(batch, heard);
  }
  return { points, occurred, ...run.result };
}

/** What happened in each operation, by variant; in a short run of one variant only. */
type Heard = ReadonlyMap<OperationName, ReadonlyMap<number, readonly Happened[]>>;

class Run implements AsyncDisposable {
  readonly result = { kills: 0, recovered: 0, lost: 0, failures: [] as string[] };
  readonly #stage: Stage;
  readonly #options: RunOptions;
  readonly #signal = new AbortController().signal;
  /** Of the product that starts again. */
  readonly #connectors: RunConnector;
  #next: Promise<Victim>;

  constructor(stage: Stage, options: RunOptions) {
    this.#stage = stage;
    this.#options = options;
    this.#connectors = stage.server.run ?? processRunner(stage.base.compiled.connectorFile, betweenBatchesMs);
    this.#next = this.#start();
  }

  #start(): Promise<Victim> {
    const file = this.#options.victim ?? join(import.meta.dirname, 'victim.ts');
    const next = startVictim(this.#stage, file);
    next.catch(() => {});
    return next;
  }

  /** Performs each operation in all its variants without a kill; all must be well afterwards too. */
  async listen(operations: readonly OperationName[], family: string): Promise<Heard> {
    const { short, seed } = this.#options;
    const heard = new Map<OperationName, Map<number, readonly Happened[]>>();
    let cases: Case[] = operations.map((operation) => ({
      operation,
      variant: short ? drawn(seed, family, operation) % 2 : 0,
    }));
    while (cases.length > 0) {
      const more: Case[] = [];
      for (const batch of batchesOf(cases, this.#options.lanes)) {
        const { prepared, happened } = await this.#perform(batch, () => 0);
        for (const one of prepared) {
          const { operation, variant } = one.case;
          const variants = heard.get(operation) ?? new Map<number, readonly Happened[]>();
          heard.set(operation, variants.set(variant, happened.get(one.task.lane) ?? []));
          if (variant === 0 && !short)
            for (let next = 1; next < one.variants; next++) more.push({ operation, variant: next });
        }
      }
      cases = more;
    }
    return heard;
  }

  async kill(batch: readonly Case[], heard: Heard): Promise<void> {
    const bytesOf = ({ case: { operation, variant, stop } }: Prepared): number => {
      const { where } = stop ?? {};
      if (where?.kind !== 'wire') return 0;
      const all = heard.get(operation)?.get(variant) ?? [];
      return all.find((one) => one.name === where.question && one.occurrence === stop?.occurrence)?.bytes ?? 0;
    };
    await this.#perform(batch, bytesOf);
  }

  async #perform(
    batch: readonly Case[],
    bytesOf: (one: Prepared) => number,
  ): Promise<{ prepared: readonly Prepared[]; happened: ReadonlyMap<number, readonly Happened[]> }> {
    const stage = this.#stage;
    const prepared = await stage.prepare(batch);
    const victim = await this.#next;
    const { missed, happened, unlisted } = await victim.run(prepared, bytesOf);
    this.#next = this.#start();
    for (const what of unlisted) this.#fail(`an unlisted point: ${what}`);

    await stage.server.quiet();
    // Where the target had a value that nobody knew, there was none to be kept.
    const gone = await lostAmong(
      stage,
      prepared.filter((one) => operationNamed(one.case.operation).replaces !== true),
    );
    const accounts = prepared.map(({ task }) => task.account);
    const daily = batch.some(({ operation }) => operationNamed(operation).daily === true);
    await recover(stage.base, accounts, { daily, run: this.#connectors }, this.#signal);
    for (const { one, kept, faults } of await check(stage, prepared)) {
      const stopped = missed.get(one.task.lane);
      const lost = gone.has(one) || !kept;
      const all = [
        ...faults,
        ...(lost ? ['the live value was in no vault'] : []),
        ...(stopped === undefined ? [] : [`it was not stopped there: ${stopped}`]),
      ];
      if (one.case.stop !== undefined) {
        this.result.kills++;
        if (lost) this.result.lost++;
        if (all.length === 0) this.result.recovered++;
      }
      if (all.length > 0) this.#fail(await this.#describe(one, all));
    }
    await stage.retire(accounts);
    return { prepared, happened };
  }

  #fail(words: string): void {
    this.result.failures.push(words);
    this.#options.tell(words);
  }

  async #describe(one: Prepared, faults: readonly string[]): Promise<string> {
    const { base, family } = this.#stage;
    const { operation, stop } = one.case;
    const where = stop === undefined ? 'not killed' : `${wordsOfWhere(stop.where)}, occurrence ${stop.occurrence}`;
    const at = stop === undefined ? '' : ` --point '${wordsOfWhere(stop.where)}' --occurrence ${stop.occurrence}`;
    const again = `npm run crash -- --family ${family.name} --operation ${operation}${at} --seed ${this.#options.seed}`;
    const history = await historyOf(base.db, one.task.account);
    const lines = isRefusal(history)
      ? [history.reason]
      : [
          ...history.versions.map(
            ({ sigkey, status, current, candidate, message }) =>
              `${sigkey} ${status}${current ? ' current' : ''}${candidate ? ' candidate' : ''}: ${message}`,
          ),
          ...history.attempts.map(({ trigger, result, message }) => `${trigger} ${result}: ${message}`),
        ];
    const how = stop !== undefined && endsByItself(one) ? ' (its connector alone)' : '';
    return [
      `${family.name}, ${operation}, variant ${one.case.variant}, ${where}${how}:`,
      ...faults.map((fault) => `  ${fault}`),
      `  again: ${again}`,
      `  ${one.label}:`,
      ...lines.map((line) => `    ${line}`),
    ].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#next)[Symbol.asyncDispose]();
  }
}

function wordsOf({ operation, stop }: Case): string {
  return stop === undefined ? operation : `${operation}, ${wordsOfWhere(stop.where)}, ${stop.occurrence}`;
}

/** A number that looks like chance and is the same for the same words. */
function drawn(...about: readonly (string | number)[]): number {
  return createHash('sha256').update(about.join('\n')).digest().readUInt32BE(0);
}

/** The kills of one round. */
function casesOf(heard: Heard, family: string, round: number, options: RunOptions): Case[] {
  const { seed } = options;
  const all = [...heard].flatMap(([operation, variants]) => {
    const known = [...variants.keys()];
    const variant = known[(drawn(seed, family, operation) + round) % known.length] ?? 0;
    const { most = Number.POSITIVE_INFINITY } = operationNamed(operation);
    return placesOf(variants.get(variant) ?? [])
      .filter(({ occurrence }) => occurrence <= most)
      .map((stop) => ({ operation, variant, stop }));
  });
  const wanted = all.filter(
    ({ stop }) =>
      (options.point === undefined || wordsOfWhere(stop.where) === options.point) &&
      (options.occurrence === undefined || stop.occurrence === options.occurrence),
  );
  if (!options.short) return wanted;
  const byName = Map.groupBy(wanted, ({ stop }) => wordsOfWhere(stop.where));
  return [...byName].map(([name, same]) => {
    // One that needs a process of its own only where there is no other.
    const shared = same.filter(({ operation }) => operationNamed(operation).alone !== true);
    const from = shared.length > 0 ? shared : same;
    return from[drawn(seed, family, round, name) % from.length] as Case;
  });
}

/** Batches in which nobody is in another's way; see `kill.ts`. */
function batchesOf(cases: readonly Case[], lanes: number): readonly (readonly Case[])[] {
  const batches: Case[][] = [];
  for (const one of cases) {
    const fitting = batches.find((batch) => batch.length < lanes && fits(one, batch));
    if (fitting === undefined) batches.push([one]);
    else fitting.push(one);
  }
  return batches;
}

function fits(one: Case, batch: readonly Case[]): boolean {
  if ([one, ...batch].some(({ operation }) => operationNamed(operation).alone === true)) return false;
  const kind = kindOf(one);
  const same = batch.filter((other) => kindOf(other) === kind).length;
  return kind === 'within' ? same < 1 : kind === 'connector' ? same < mostConnectors : true;
}

/** So long connector processes wait for the next batch, in milliseconds. */
const betweenBatchesMs = 10_000;

/** They die one after the other. */
const mostConnectors = 2;

function kindOf({ stop }: Case): 'within' | 'connector' | 'other' {
  const where = stop?.where;
  if (where?.kind === 'wire') return where.dies === 'connector' ? 'connector' : 'other';
  return where?.side === 'within' ? 'within' : 'other';
}

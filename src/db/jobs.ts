/**
 * Work that must happen though no one waits for it: stored in the database, done once by whichever keeper is free, again
 * after a crash. A small typed door before pg-boss. Data of a job are names and ids; never a secret, for a job is a row.
 */
import { fromKysely, PgBoss } from 'pg-boss';
import { codeOf, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Db, Tx } from './db.ts';
import { clientConfig } from './dsn.ts';
import { jobsSchema } from './jobs-schema.ts';

/** One kind of work. `Data` is what a job of it carries, as JSON. */
export interface JobQueue<Data extends object> {
  readonly name: string;
  /** How often a job that threw is tried again; 0 unless told. Waits grow from one second. */
  readonly retries?: number;
  /** A job that runs longer counts as lost and is tried again; 900 unless told. */
  readonly expireSeconds?: number;
  /** At most one job of a key waits or runs at a time: adding another one does nothing. */
  readonly exclusive?: boolean;
  readonly carries?: Data;
}

export interface AddOptions {
  /** The job appears when this transaction commits, and not otherwise. */
  readonly tx?: Tx;
  readonly after?: Date;
  /** With `exclusive`: what there may be only one job for. */
  readonly key?: string;
}

export interface Jobs extends AsyncDisposable {
  /** Adds a job; false if an exclusive one of its key is there already. */
  add<Data extends object>(queue: JobQueue<Data>, data: Data, options?: AddOptions): Promise<boolean>;
  /**
   * Does the jobs of a queue, `atOnce` at a time (1 unless told). A handler that throws fails its job. Its signal
   * fires when the job is lost or the keeper stops.
   */
  work<Data extends object>(
    queue: JobQueue<Data>,
    handler: (data: Data, signal: AbortSignal) => Promise<void>,
    atOnce?: number,
  ): Promise<void>;
  /** Adds a job at every time that `cron` names (UTC), on one keeper only. Repeating it changes the times. */
  schedule<Data extends object>(queue: JobQueue<Data>, cron: string, data: Data): Promise<void>;
  unschedule(queue: JobQueue<object>): Promise<void>;
}

const pollSeconds = 2;
/** A keeper that was killed is noticed by the silence of its jobs; they are tried again if their queue retries. */
const silenceSeconds = 30;
const stopMs = 20_000;

/**
 * Opens the jobs of a migrated database, as the app role. Disposing waits 20 s for running jobs, then aborts
 * them. Lost jobs are looked for every `lookAfterSeconds`, by one keeper.
 */
export async function openJobs(url: string, log: Log, lookAfterSeconds = 15): Promise<Jobs> {
  const { types: _, ...connection } = clientConfig(url, 'sallyport jobs');
  const boss = new PgBoss({
    ...(connection as Record<string, unknown>),
    schema: jobsSchema,
    max: 4,
    // The owner makes and alters the tables; the program may not, and need not.
    migrate: false,
    createSchema: false,
    reindex: false,
    useListenNotify: true,
    superviseIntervalSeconds: lookAfterSeconds,
    monitorIntervalSeconds: lookAfterSeconds,
  });
  boss.on('error', (error) => log.warn({ code: codeOf(error) }, `jobs: ${wordsOf(error)}`));
  await boss.start();
  const made = new Map<string, Promise<void>>();

  function make(queue: JobQueue<object>): Promise<void> {
    const known = made.get(queue.name);
    if (known !== undefined) return known;
    const making = createQueue(boss, queue);
    made.set(queue.name, making);
    making.catch(() => made.delete(queue.name));
    return making;
  }

  return {
    async add(queue, data, { tx, after, key } = {}) {
      await make(queue);
      const id = await boss.send(queue.name, data, {
        ...(tx === undefined ? {} : { db: fromKysely(tx as unknown as Db) }),
        ...(after === undefined ? {} : { startAfter: after }),
        ...(key === undefined ? {} : { singletonKey: key }),
      });
      return id !== null;
    },
    async work(queue, handler, atOnce = 1) {
      await make(queue);
      // A new job is notified; one that is tried again or falls due is found by looking, so we look often all the same.
      const often = { pollingIntervalSeconds: pollSeconds, notifyPollingIntervalSeconds: pollSeconds };
      const options = { ...often, localConcurrency: atOnce, batchSize: 1 };
      await boss.work<Parameters<typeof handler>[0]>(queue.name, options, async (jobs) => {
        for (const job of jobs) {
          try {
            await handler(job.data, job.signal);
          } catch (error) {
            log.warn({ queue: queue.name, job: job.id, code: codeOf(error) }, `a job failed: ${wordsOf(error)}`);
            // The row keeps the code only: the words of an error are for the log.
            throw Object.assign(new Error(codeOf(error)), { stack: undefined });
          }
        }
      });
    },
    async schedule(queue, cron, data) {
      await make(queue);
      await boss.schedule(queue.name, cron, data, { tz: 'UTC' });
    },
    async unschedule(queue) {
      await boss.unschedule(queue.name);
    },
    async [Symbol.asyncDispose]() {
      await boss.stop({ graceful: true, timeout: stopMs, close: true });
    },
  };
}

async function createQueue(boss: PgBoss, queue: JobQueue<object>): Promise<void> {
  const options = {
    retryLimit: queue.retries ?? 0,
    retryDelay: 1,
    retryBackoff: true,
    expireInSeconds: queue.expireSeconds ?? 900,
    heartbeatSeconds: silenceSeconds,
    notify: true,
  };
  if ((await boss.getQueue(queue.name)) === null)
    await boss.createQueue(queue.name, { ...options, policy: queue.exclusive === true ? 'exclusive' : 'standard' });
  else await boss.updateQueue(queue.name, options);
}

/**
 * One batch: several accounts in one process, each brought to its own point, and then the process and its connectors are
 * killed at once with SIGKILL. Nothing is waited for by time; a batch that does not come to its points in two minutes
 * is broken.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { codeOf } from '../src/base/errors.ts';
import type { Wire } from '../test/lab/wire.ts';
import type { FromVictim, Task, ToVictim } from './messages.ts';
import type { Happened } from './points.ts';
import type { Prepared, Stage } from './stage.ts';

/** What a batch came to, by lane. */
export interface Batch {
  /** Lanes whose operation ended although it was to be stopped before, with what came of it. */
  readonly missed: ReadonlyMap<number, string>;
  /** What happened in the lanes that ran to their end. */
  readonly happened: ReadonlyMap<number, readonly Happened[]>;
  readonly unlisted: readonly string[];
}

/** A process that waits for tasks. */
export interface Victim extends AsyncDisposable {
  readonly run: (prepared: readonly Prepared[], bytes: BytesOf) => Promise<Batch>;
}

/** How many bytes a question sent when nothing stopped it. */
export type BytesOf = (one: Prepared) => number;

const patienceMs = 120_000;

/** Starts one; it is warm when its first task comes. */
export async function startVictim({ base, wires }: Stage, file: string): Promise<Victim> {
  const argv = ['--no-warnings', file, base.url, base.rootKeyPath, base.dataDirectory, base.compiled.connectorFile];
  // A group of its own, so that it and its connectors die at the same moment.
  const child = spawn(process.execPath, argv, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
    env: { ...process.env, NODE_COMPILE_CACHE: base.compiled.folder },
  });
  const exited = once(child, 'exit');
  const kill = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, 'SIGKILL');
    await exited;
  };
  const ready = Promise.withResolvers<void>();
  child.on('message', (message: FromVictim) => {
    if (message.type === 'ready') ready.resolve();
  });
  child.once('exit', (code, signal) => ready.reject(new Error(`the process ended with ${code ?? signal}`)));
  ready.promise.catch(() => {});
  return {
    run: async (prepared, bytes) => {
      await ready.promise;
      try {
        return await runBatch(child, prepared, wires, bytes);
      } finally {
        await kill();
        // The kernel has closed what the dead had open; the wires pass that on, also those that were silent.
        for (const wire of wires) {
          wire.cut('close');
          wire.resume();
        }
      }
    },
    [Symbol.asyncDispose]: kill,
  };
}

async function runBatch(
  child: ChildProcess,
  prepared: readonly Prepared[],
  wires: readonly Wire[],
  bytes: BytesOf,
): Promise<Batch> {
  const missed = new Map<number, string>();
  const happened = new Map<number, readonly Happened[]>();
  const unlisted: string[] = [];
  const stopped = new Map(prepared.map(({ task }) => [task.lane, Promise.withResolvers<void>()]));
  const stop = (lane: number): void => stopped.get(lane)?.resolve();
  const measured = new Map<number, Map<string, number>>();

  const onQuestion = async (one: Prepared, message: FromVictim & { type: 'question' }): Promise<void> => {
    const { lane, question, occurrence, phase } = message;
    const wire = wires[lane];
    const go = (): void => send(child, { type: 'go', lane });
    if (wire === undefined) return go();
    const key = `${question} ${occurrence}`;
    const counts = measured.get(lane) ?? new Map<string, number>();
    measured.set(lane, counts);
    const { where, occurrence: wanted } = one.case.stop ?? {};
    const here = where?.kind === 'wire' && where.question === question && wanted === occurrence;
    if (phase === 'begin') counts.set(key, wire.bytes.up);
    else counts.set(key, wire.bytes.up - (counts.get(key) ?? 0));
    if (!here) return go();
    if (phase === 'begin') {
      const limit = Math.max(1, Math.floor((bytes(one) * where.percent) / 100));
      const reached = wire.reached('up', wire.bytes.up + limit);
      wire.silenceAfter('up', limit);
      go();
      await reached;
      if (where.dies === 'process') return stop(lane);
      for (const pid of await childrenOf(child.pid ?? 0)) killIfThere(pid);
      return;
    }
    // It had fewer bytes to send than last time: it dies with the answer in its hands.
    if (where.dies === 'process') return stop(lane);
    wire.cut('close');
    wire.resume();
    go();
  };

  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const listen = (message: FromVictim): void => {
    if (message.type === 'ready') return;
    const one = prepared.find(({ task }) => task.lane === message.lane);
    if (one === undefined) return;
    if (message.type === 'reached') stop(message.lane);
    else if (message.type === 'unlisted') unlisted.push(`${one.case.operation}: ${message.what}`);
    else if (message.type === 'question') void onQuestion(one, message).catch(failed.reject);
    else {
      if (endsByItself(one)) {
        const counts = measured.get(message.lane);
        happened.set(
          message.lane,
          message.happened.map((each) => {
            const sent = counts?.get(`${each.name} ${each.occurrence}`);
            return sent === undefined ? each : { ...each, bytes: sent };
          }),
        );
      } else missed.set(message.lane, message.words);
      stop(message.lane);
    }
  };
  const ended = (code: number | null, signal: string | null): void =>
    failed.reject(new Error(`the process ended by itself with ${code ?? signal}`));
  child.on('message', listen);
  child.once('exit', ended);
  const late = setTimeout(() => failed.reject(new Error('the batch did not come to its points in time')), patienceMs);
  const bring = async (some: readonly Prepared[]): Promise<void> => {
    for (const { task } of some) send(child, { type: 'task', task: toldOf(task) });
    const all = some.flatMap(({ task }) => stopped.get(task.lane)?.promise ?? []);
    await Promise.race([Promise.all(all), failed.promise]);
  };
  try {
    // Who holds a lock while it waits comes last, and before it those whose connectors die alone, one by one.
    await bring(prepared.filter((one) => order(one) === 0));
    for (const one of prepared.filter((each) => order(each) === 1)) await bring([one]);
    await bring(prepared.filter((one) => order(one) === 2));
    return { missed, happened, unlisted };
  } finally {
    clearTimeout(late);
    child.off('message', listen);
    child.off('exit', ended);
  }
}

/** Whether the operation runs to its end although something is killed in it, or because nothing is. */
export function endsByItself({ case: { stop } }: Prepared): boolean {
  return stop === undefined || (stop.where.kind === 'wire' && stop.where.dies === 'connector');
}

function order({ case: { stop } }: Prepared): 0 | 1 | 2 {
  if (stop?.where.kind === 'wire') return stop.where.dies === 'connector' ? 1 : 0;
  return stop?.where.kind === 'at' && stop.where.side === 'within' ? 2 : 0;
}

/** The process need not know of stops that are made outside. */
function toldOf({ stop, ...task }: Task): Task {
  return stop?.where.kind === 'at' ? { ...task, stop } : task;
}

function send(child: ChildProcess, message: ToVictim): void {
  if (child.connected) child.send(message);
}

/** A connector without a job ends by itself, perhaps at this moment. */
export function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '')),
  );
  return lists.flatMap((list) => list.trim().split(/\s+/).filter(Boolean).map(Number));
}

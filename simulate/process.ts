/**
 * A process of a node: one line of work that waits, is woken, stands still, dies and starts anew. What it does is written
 * as a generator (life.ts); it may die wherever that waits, and then forgets all that is in here.
 */
import type { Verdict } from '../src/rotation/plan/resolve.ts';
import type { Lease, Node } from './node.ts';
import type { World } from './world.ts';

/** What an operator, a schedule or a timer asks of a process. */
export type Demand =
  | { readonly kind: 'rotate' | 'heartbeat' | 'again' | 'force' | 'blank' }
  | { readonly kind: 'confirm' | 'reject' | 'set-current'; readonly right: boolean }
  | { readonly kind: 'record'; readonly unverified: boolean };

/** Asking the other nodes how far their facts go, since what is known says what it says. */
export interface Hearing {
  readonly digest: string;
  readonly since: number;
  /** How many facts each other node had when it answered. */
  readonly marks: Map<number, number>;
}

export interface Process {
  readonly node: Node;
  readonly name: string;
  alive: boolean;
  /** Rises with whatever makes an earlier plan to go on void. */
  ticket: number;
  /** It waits for nothing but the next thing to do. */
  idle: boolean;
  life: Generator<number, void> | undefined;
  readonly demands: Demand[];
  lastTry: { readonly digest: string; readonly at: number; readonly verdict: Verdict; readonly count: number } | null;
  hearing: Hearing | undefined;
}

/** Thrown where a process finds that its lease is another's: whatever it was doing ends there. */
export class LeaseLost extends Error {}

export function newProcess(node: Node, number: number): Process {
  const name = `${node.name}${number === 0 ? '' : `/${number + 1}`}`;
  return {
    node,
    name,
    alive: false,
    ticket: 0,
    idle: false,
    life: undefined,
    demands: [],
    lastTry: null,
    hearing: undefined,
  };
}

/** Starts (again) with an empty memory. */
export function start(world: World, process: Process): void {
  if (process.alive) return;
  process.alive = true;
  process.lastTry = null;
  process.hearing = undefined;
  process.life = world.lifeOf(process);
  goOn(world, process);
}

/** Dies where it is. Its lease runs out by itself. */
export function crash(world: World, process: Process, backAfter: number): void {
  if (!process.alive) return;
  world.tell?.(`${process.name} is killed${process.idle ? '' : ' in the middle of its work'}`);
  process.alive = false;
  process.life = undefined;
  process.ticket += 1;
  letRunOut(world, process);
  if (process.node.lease?.holder === process) process.node.lease.holder = undefined;
  world.agenda.plan(world.agenda.now + backAfter, () => {
    world.tell?.(`${process.name} starts again`);
    start(world, process);
  });
}

/** The last heartbeat was up to a third of the lease's time ago. */
function letRunOut(world: World, process: Process): void {
  const { lease } = process.node;
  if (lease?.holder !== process || lease.expiresAt !== Number.POSITIVE_INFINITY) return;
  const { leaseMs } = world.timing;
  lease.expiresAt = world.agenda.now + leaseMs - world.chance.between(0, leaseMs / 3);
  wakeOthers(world, process);
}

/** Something happened that it may have to do with. */
export function wake(world: World, process: Process): void {
  if (process.alive && process.idle) later(world, process, world.chance.between(1, 200));
}

function later(world: World, process: Process, ms: number): void {
  process.ticket += 1;
  const { ticket } = process;
  world.agenda.plan(world.agenda.now + ms, () => {
    if (process.ticket === ticket) goOn(world, process);
  });
}

function goOn(world: World, process: Process): void {
  const { lease } = process.node;
  // The heartbeat goes on with the process.
  if (lease?.holder === process) lease.expiresAt = Number.POSITIVE_INFINITY;
  process.idle = false;
  const step = process.life?.next();
  if (step === undefined || step.done === true) return;
  let ms = step.value;
  if (!process.idle && !world.calm) {
    const { chance, profile } = world;
    if (profile.crashAtStep > 0 && chance.likely(profile.crashAtStep)) {
      const { ticket } = process;
      world.agenda.plan(world.agenda.now + chance.between(0, ms), () => {
        if (process.ticket === ticket + 1) crash(world, process, chance.between(1_000, 300_000));
      });
    } else if (profile.pauseAtStep > 0 && chance.likely(profile.pauseAtStep)) {
      world.tell?.(`${process.name} stands still for a while`);
      letRunOut(world, process);
      ms += chance.between(10_000, 600_000);
    }
  }
  if (ms < Number.POSITIVE_INFINITY) later(world, process, ms);
  else process.ticket += 1;
}

/** Takes the account's lease, or undefined while somebody else has it. */
export function takeLease(world: World, process: Process): Lease | undefined {
  const { node } = process;
  if (node.lease !== undefined && node.lease.expiresAt > world.agenda.now) return undefined;
  node.token += 1;
  node.lease = { token: node.token, holder: process, expiresAt: Number.POSITIVE_INFINITY, sigkey: null };
  return node.lease;
}

/** Whether what is written under the lease may be written. */
export function stillLeased(process: Process, lease: Lease): boolean {
  return process.node.lease === lease;
}

/** Gives it back; one that was lost or is left to run out is not touched. */
export function release(world: World, process: Process, lease: Lease): void {
  if (!stillLeased(process, lease)) return;
  process.node.lease = undefined;
  wakeOthers(world, process);
}

function wakeOthers(world: World, process: Process): void {
  for (const other of process.node.processes) if (other !== process) wake(world, other);
}

/** Keeps the lease until it runs out: a change may still be landing. */
export function abandon(world: World, process: Process, lease: Lease): void {
  if (!stillLeased(process, lease)) return;
  lease.expiresAt = world.agenda.now + world.timing.leaseMs;
  lease.holder = undefined;
  wakeOthers(world, process);
}

/** Waiting for an answer under a lease. A loss is noticed before the next question, not in the middle of one. */
export function* waited(process: Process, lease: Lease | undefined, ms: number): Generator<number, void> {
  if (lease !== undefined && !stillLeased(process, lease)) throw new LeaseLost();
  yield ms;
}

/** Whether a process of this node is there to answer. */
export function answers(node: Node): boolean {
  return node.processes.some((process) => process.alive);
}

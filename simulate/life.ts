/** What a process does all its life: demands first, then what the plan says, then conflicts; and waits for the next thing. */
import { siteOf } from '../src/rotation/plan/site.ts';
import { questionOf, rotate, settlePending } from './engine.ts';
import type { Node } from './node.ts';
import { act } from './operator.ts';
import { type Demand, LeaseLost, type Process, release, stillLeased, takeLease, waited } from './process.ts';
import { callUncertain, heartbeat, resolve } from './resolver.ts';
import { foldOf, heardAt, type World } from './world.ts';

type Work<T> = Generator<number, T>;

/** Never ends by itself. */
export function* live(world: World, process: Process): Work<void> {
  // Starting takes a while.
  yield world.chance.between(10, 3_000);
  for (;;) {
    const demand = process.demands.shift();
    const until = demand === undefined ? yield* lookAfter(world, process) : yield* answer(world, process, demand);
    const more = process.demands.length > 0 ? 1 : until - world.agenda.now;
    process.idle = true;
    yield Math.max(1, more);
  }
}

function* answer(world: World, process: Process, demand: Demand): Work<number> {
  switch (demand.kind) {
    case 'rotate':
      yield* rotate(world, process, 'on-demand');
      break;
    case 'heartbeat':
      yield* heartbeat(world, process);
      break;
    case 'again':
      // "Automatically resolve": what was tried and whom was asked is forgotten.
      process.lastTry = null;
      process.hearing = undefined;
      break;
    default:
      yield* act(world, process, demand);
  }
  return world.agenda.now + 1;
}

/** When to look again, in simulated time. */
function* lookAfter(world: World, process: Process): Work<number> {
  const { node } = process;
  let until = Number.POSITIVE_INFINITY;
  for (const action of world.rules.plan(questionOf(world, process, { demanded: false, mine: false }))) {
    switch (action.kind) {
      case 'randomize':
        yield* rotate(world, process, action.trigger);
        return world.agenda.now + 10;
      case 'time-out':
        return yield* timeOut(world, process);
      case 'wait':
        until = Math.min(until, Math.max(action.until - node.skew, world.agenda.now + 10));
        break;
      case 'skip':
      case 'alert':
      case 'nothing':
        break;
      default:
        action satisfies never;
    }
  }
  if (foldOf(world, node).conflict !== 'none') until = Math.min(until, yield* resolve(world, process));
  return until;
}

/** Pending values: of dead processes of this node, and for the managing node of other nodes that say nothing. */
function* timeOut(world: World, process: Process): Work<number> {
  const { node } = process;
  const { agenda } = world;
  const due = dueAt(world, node);
  if (due > agenda.now) return due;
  const lease = takeLease(world, process);
  if (lease === undefined) return Number.POSITIVE_INFINITY;
  try {
    yield* waited(process, lease, world.chance.between(1, 50));
    yield* settlePending(world, process, lease);
    if (node.managing) {
      yield* waited(process, lease, world.chance.between(1, 20));
      if (!stillLeased(process, lease)) throw new LeaseLost();
      callUncertain(world, process);
    }
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
  }
  release(world, process, lease);
  return agenda.now + 10;
}

/** When something pending can be settled here: at once if it is this node's, after a while if it is another's. */
function dueAt(world: World, node: Node): number {
  const { status } = foldOf(world, node);
  let due = Number.POSITIVE_INFINITY;
  for (const fact of node.randomizations) {
    if (status.get(fact.sigkey) !== 'P') continue;
    if (siteOf(fact.node) === siteOf(node.name)) return 0;
    if (node.managing) due = Math.min(due, heardAt(node)(fact) + world.timing.leaseMs);
  }
  return due;
}

/**
 * What people do with a conflict, rightly or wrongly: confirm, reject, set as current, force, blank, record a value. An
 * action is refused while a change may still land: what somebody sees on the target then may not be so a moment later.
 * At any node and at any time, which is more than the product allows: there the node that resolves is asked while it is up.
 */
import type { Sigkey } from '../src/base/ids.ts';
import { clearToDraw, localTime, randomize, settlePending } from './engine.ts';
import { account, type Lease, type Node } from './node.ts';
import { answers, type Demand, LeaseLost, type Process, release, stillLeased, takeLease, waited } from './process.ts';
import { callUncertain, decide } from './resolver.ts';
import { commit, factsOf, foldOf, type World } from './world.ts';

type Work<T> = Generator<number, T>;

/** Does what the operator wants, or leaves it when it makes no sense just now. */
export function* act(world: World, process: Process, demand: Demand): Work<void> {
  if (world.agenda.now < process.node.healingUntil) return;
  const lease = takeLease(world, process);
  if (lease === undefined) return;
  try {
    yield* waited(process, lease, world.chance.between(10, 2_000));
    yield* settlePending(world, process, lease);
    // While nobody who resolves can be reached, what is pending elsewhere is called uncertain by whoever decides here.
    if (demand.kind !== 'blank' && demand.kind !== 'record' && standsIn(world, process.node)) {
      if (!stillLeased(process, lease)) throw new LeaseLost();
      callUncertain(world, process);
    }
    // Blanking is for when nothing else works: it looks at nothing. Whatever is drawn later waits for what may land.
    if (demand.kind !== 'blank' && !(yield* clearToDraw(world, process, lease))) return release(world, process, lease);
    if (demand.kind === 'record') yield* record(world, process, lease, demand.unverified);
    if (!stillLeased(process, lease)) throw new LeaseLost();
    if (demand.kind === 'force') yield* force(world, process, lease);
    else if (demand.kind !== 'record') decideByHand(world, process, demand);
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
  }
  release(world, process, lease);
}

function standsIn({ nodes, network }: World, node: Node): boolean {
  return !nodes.some(
    (other) => other.managing && (other === node || (answers(other) && network.connected(node.index, other.index))),
  );
}

function decideByHand(world: World, process: Process, demand: Demand): void {
  const { node } = process;
  const { rules, agenda } = world;
  const facts = factsOf(world, node);
  const fold = foldOf(world, node);
  const say = (what: string, right: boolean): void => {
    world.tell?.(`an operator at ${node.name} ${what}`);
    world.oracle.saidByHand(right);
  };
  switch (demand.kind) {
    case 'confirm':
    case 'reject': {
      const uncertain = fold.working.filter((sigkey) => fold.status.get(sigkey) === 'U');
      const sigkey = choose(world, uncertain, demand.kind === 'confirm' ? demand.right : !demand.right);
      if (sigkey === undefined) return;
      say(`${demand.kind}s ${sigkey}`, works(world, sigkey) === (demand.kind === 'confirm'));
      return decide(world, process, 'M', rules.decideValue(facts, demand.kind, sigkey), agenda.now);
    }
    case 'set-current': {
      // What is uncertain is decided first (B-29).
      if (fold.conflict !== 'tree') return;
      const sigkey = choose(world, fold.candidates, demand.right);
      if (sigkey === undefined) return;
      say(`sets ${sigkey} as current`, works(world, sigkey));
      return decide(world, process, 'M', rules.decideRoot(facts, sigkey, fold), agenda.now);
    }
    case 'blank':
      say('blanks the account', false);
      return decide(world, process, 'B', rules.decideRoot(facts, null, fold), agenda.now);
    default:
      return;
  }
}

/** B-27: the newest confirmed value is presumed to hold, and a new one is set at once. */
function* force(world: World, process: Process, lease: Lease): Work<void> {
  const { node } = process;
  const { rules } = world;
  const facts = factsOf(world, node);
  const fold = foldOf(world, node);
  if (fold.conflict === 'none' || fold.busy) return;
  const root = rules.forcedRoot(facts, fold);
  world.tell?.(`an operator at ${node.name} forces a randomization on top of ${root ?? 'nothing'}`);
  world.oracle.saidByHand(root !== null && works(world, root));
  decide(world, process, 'F', rules.decideRoot(facts, root, fold), world.agenda.now);
  yield* randomize(world, process, lease, root, 'on-demand', 'presumed');
}

/** A value that works, or one that does not, as the operator is right or wrong; any if there is none of that sort. */
function choose(world: World, sigkeys: readonly Sigkey[], right: boolean): Sigkey | undefined {
  const fitting = sigkeys.filter((sigkey) => works(world, sigkey) === right);
  const from = fitting.length > 0 ? fitting : sigkeys;
  return from.length === 0 ? undefined : world.chance.one(from);
}

function works(world: World, sigkey: Sigkey): boolean {
  return world.target.live().includes(world.secretOf(sigkey));
}

/**
 * The value that the target has is entered, as src/rotation/change/known.ts does it. What it hangs under, and what it
 * decides, is what was known before the target was asked: whatever comes in meanwhile may be newer than the answer.
 */
function* record(world: World, process: Process, lease: Lease, unverified: boolean): Work<void> {
  const { node } = process;
  const { rules, target, chance } = world;
  const facts = factsOf(world, node);
  const before = foldOf(world, node);
  const [secret] = target.live();
  if (secret === undefined) return;
  const answer = unverified ? 'unknown' : target.login(secret);
  yield* waited(process, lease, chance.between(50, 2_000));
  if (!stillLeased(process, lease)) throw new LeaseLost();
  if (!unverified && answer !== 'accepted') return;
  const sigkey = world.enter(secret);
  const createdAt = localTime(world, process);
  world.tell?.(`an operator at ${node.name} records the value of the target as ${sigkey}`);
  commit(world, node, 'randomization', { sigkey, account, parent: before.root, node: node.name, createdAt });
  const status = unverified ? 'U' : 'C';
  commit(world, node, 'outcome', { sigkey, node: node.name, seq: ++node.seq, status, at: createdAt });
  if (status !== 'C' || before.conflict === 'none') return;
  decide(world, process, 'M', rules.decideRoot(facts, sigkey, before), world.agenda.now);
}

/**
 * A history from beginning to end: what happens to the nodes and when is planned from chance; then everything heals and
 * comes to rest, the oracle judges, the managing node looks again, and the oracle judges for good.
 */
import { newWorld } from './begin.ts';
import { type Chance, chanceOf } from './chance.ts';
import { backUp, type Node, restore, type Fact, idOf } from './node.ts';
import type { Judgement, Seen } from './oracle.ts';
import { crash, type Demand, type Process, wake } from './process.ts';
import { drawProfile, type Profile } from './profile.ts';
import type { Rules } from './rules.ts';
import { foldOf, type World } from './world.ts';

const minute = 60_000;
/** Values that people make up are numbered from here. */
const byHandFrom = 1_000_000;
/** How often the managing node looks at what did not settle by itself, half an hour apart: locks and budgets are over then. */
const lastLooks = 3;

export interface HistoryOptions {
  readonly seed: number;
  readonly history: number;
  readonly nodes: number | undefined;
  readonly rules: Rules;
  readonly tell?: (at: number, text: string) => void;
}

/** Plays history number `history` of a seed. */
export function playHistory({ seed, history, nodes, rules, tell }: HistoryOptions): Judgement {
  const chance = chanceOf(seed, history);
  const profile = drawProfile(chance, nodes);
  const world = newWorld(profile, chance, rules, tell);
  world.tell?.(describe(profile));
  planTroubles(world, profile, chance);
  try {
    return playOut(world, profile.lasts);
  } catch (error) {
    // A rule that throws, and a world that never comes to rest, are faults like others.
    return world.oracle.broke(error instanceof Error ? error.message : String(error));
  }
}

/** Lets everything that is planned happen until `lasts`, and brings the world to rest. */
export function playOut(world: World, lasts: number): Judgement {
  const { agenda, target, oracle } = world;
  agenda.runUntil(lasts);
  world.calm = true;
  world.tell?.('— from here on nothing new goes wrong; everything heals and arrives');
  agenda.runUntil(Number.POSITIVE_INFINITY);
  agenda.now = Math.max(agenda.now, target.restAt());
  oracle.judgeAtRest(
    target.live(),
    world.nodes.map((node) => seen(world, node)),
  );
  for (let look = 0; look < lastLooks; look += 1) {
    if (look > 0) agenda.now += 31 * minute;
    world.tell?.('— the managing node looks again');
    for (const node of world.nodes) {
      const [first] = node.processes;
      if (node.managing && first !== undefined) ask(world, first, { kind: 'again' }, { kind: 'heartbeat' });
    }
    agenda.runUntil(Number.POSITIVE_INFINITY);
    agenda.now = Math.max(agenda.now, target.restAt());
  }
  return oracle.judgeAtLast(
    target.live(),
    world.nodes.map((node) => seen(world, node)),
  );
}

/** Asks a process for something; it is forgotten if it is not there. */
export function ask(world: World, process: Process, ...demands: readonly Demand[]): void {
  if (!process.alive) return;
  process.demands.push(...demands);
  wake(world, process);
}

function planTroubles(world: World, profile: Profile, chance: Chance): void {
  const { agenda, nodes, target } = world;
  const { lasts } = profile;
  const at = (run: () => void): void => agenda.plan(chance.between(0, lasts), run);
  const anybody = (): Process => chance.one(chance.one(nodes).processes);
  const manager = (): Process => chance.one((nodes.find((node) => node.managing) ?? chance.one(nodes)).processes);

  // Two rotations close to each other are what makes conflicts.
  const moments = Array.from({ length: profile.rotations }, () => chance.between(0, lasts));
  for (const [index, moment] of moments.entries()) {
    const close = index > 0 && chance.likely(0.5) ? (moments[index - 1] ?? 0) + chance.between(0, 20_000) : moment;
    agenda.plan(close, () => ask(world, anybody(), { kind: 'rotate' }));
  }
  for (let n = 0; n < profile.sessions; n += 1) at(() => endSession(world, chance.one(nodes), chance));
  for (let n = 0; n < profile.heartbeats; n += 1) at(() => ask(world, manager(), { kind: 'heartbeat' }));
  for (let n = 0; n < profile.operators; n += 1) {
    // People come when something has happened, and sometimes two at once, at two nodes.
    const when = chance.likely(0.6) ? chance.one(moments) + chance.between(0, 5 * minute) : chance.between(0, lasts);
    agenda.plan(when, () => ask(world, anybody(), wish(chance, profile)));
    if (chance.likely(0.4))
      agenda.plan(when + chance.between(0, 5_000), () => ask(world, anybody(), wish(chance, profile)));
  }
  for (let n = 0; n < profile.crashes; n += 1) at(() => crash(world, anybody(), chance.between(1_000, 10 * minute)));
  for (let n = 0; n < profile.target.silences; n += 1)
    at(() => {
      world.tell?.('the target falls silent');
      target.silence(agenda.now + chance.between(10_000, 10 * minute));
    });
  for (let n = 0; n < profile.target.byHand; n += 1) at(() => changeByHand(world, chance, n));
  if (nodes.length > 1) {
    for (let n = 0; n < profile.network.partitions; n += 1) at(() => partition(world, chance, lasts));
    for (let n = 0; n < profile.handovers; n += 1) at(() => handOver(world, chance));
  }
  for (let n = 0; n < profile.restores; n += 1) {
    const node = chance.one(nodes);
    const taken = chance.between(0, lasts);
    agenda.plan(taken, () => {
      node.backup = backUp(node);
    });
    agenda.plan(chance.between(taken, lasts), () => comeBack(world, node, chance));
  }
  agenda.plan(lasts, () => {
    const chosen = chance.one(nodes);
    for (const node of nodes) {
      node.managing = node === chosen;
      for (const process of node.processes) wake(world, process);
    }
  });
}

function wish(chance: Chance, profile: Profile): Demand {
  const right = chance.likely(profile.operatorsAreRight);
  const kind = chance.one(['confirm', 'reject', 'set-current', 'force', 'blank', 'record', 'again'] as const);
  if (kind === 'confirm' || kind === 'reject' || kind === 'set-current') return { kind, right };
  return kind === 'record' ? { kind, unverified: chance.likely(0.2) } : { kind };
}

function endSession(world: World, node: Node, chance: Chance): void {
  const now = world.agenda.now + node.skew;
  node.uses.push({ kind: 'session', since: now - chance.between(1_000, 10 * minute), releasedAt: now });
  world.tell?.(`a session ends at ${node.name}`);
  for (const process of node.processes) wake(world, process);
}

function changeByHand(world: World, chance: Chance, n: number): void {
  const { target, oracle } = world;
  // Sometimes to what it was before.
  const known = world.nodes[0]?.randomizations ?? [];
  const old = known.length > 0 && chance.likely(0.3) ? chance.one(known).sigkey : undefined;
  target.changeByHand(old === undefined ? byHandFrom + n : world.secretOf(old));
  world.tell?.(`a person sets ${old ?? 'a value of their own'} on the target by hand`);
  oracle.changedByHand();
}

/** Some nodes on one side, the others on the other, for a while. */
function partition(world: World, chance: Chance, lasts: number): void {
  const { network, nodes, agenda } = world;
  const side = nodes.filter(() => chance.likely(0.5));
  const others = nodes.filter((node) => !side.includes(node));
  const until = Math.min(lasts, agenda.now + chance.between(10_000, 20 * minute));
  world.tell?.(`the network is cut: ${names(side)} | ${names(others)}`);
  for (const a of side) for (const b of others) network.cut(a.index, b.index);
  agenda.plan(until, () => {
    world.tell?.(`the network between ${names(side)} and ${names(others)} is whole again`);
    for (const a of side) for (const b of others) network.heal(a.index, b.index);
  });
}

function names(nodes: readonly Node[]): string {
  return nodes.map(({ name }) => name).join(' ') || 'nobody';
}

/** Another node becomes the managing one; each hears of it in its own time, so that there may be two or none for a while. */
function handOver(world: World, chance: Chance): void {
  const chosen = chance.one(world.nodes);
  for (const node of world.nodes)
    world.agenda.plan(world.agenda.now + chance.between(0, 5 * minute), () => {
      if (world.calm) return;
      node.managing = node === chosen;
      world.tell?.(`${node.name} takes ${node === chosen ? 'itself' : chosen.name} for the managing node`);
      for (const process of node.processes) wake(world, process);
    });
}

/** The database is as it was when it was backed up; then the others send what they have. */
function comeBack(world: World, node: Node, chance: Chance): void {
  const { backup } = node;
  if (backup === undefined) return;
  for (const process of node.processes) crash(world, process, chance.between(10_000, 5 * minute));
  const before: Fact[] = everything(node);
  restore(node, backup);
  const gone = before.filter(({ id }) => !node.heard.has(id));
  const only = gone.filter(({ id, kind }) => kind === 'randomization' && !world.nodes.some((one) => one.heard.has(id)));
  world.oracle.restored(
    new Set(gone.map(({ id }) => id)),
    only.map(({ id }) => id),
  );
  world.tell?.(
    `the database of ${node.name} is lost and comes back from a backup without ${gone.map(({ id }) => id).join(' ') || 'anything missing'}`,
  );
  node.healingUntil = chance.likely(0.5) ? world.agenda.now + 10 * minute : 0;
  world.agenda.plan(node.healingUntil, () => {
    for (const process of node.processes) wake(world, process);
  });
  for (const other of world.nodes)
    if (other !== node) for (const fact of everything(other)) world.network.send(other.index, node.index, fact);
}

function everything(node: Node): Fact[] {
  return [
    ...node.randomizations.map((fact): Fact => ({ id: idOf(fact), kind: 'randomization', fact })),
    ...node.outcomes.map((fact): Fact => ({ id: idOf(fact), kind: 'outcome', fact })),
    ...node.resolutions.map((fact): Fact => ({ id: idOf(fact), kind: 'resolution', fact })),
  ];
}

/** What the oracle gets to see of a node at the end. */
function seen(world: World, node: Node): Seen {
  const facts = everything(node)
    .map(({ id, fact }) => `${id} ${JSON.stringify(fact)}`)
    .sort()
    .join('\n');
  return {
    node: node.name,
    fold: world.rules.canonical(foldOf(world, node)),
    facts,
    flagged: node.outOfSync,
  };
}

/** The first line of a story. */
function describe({ nodes, target, network, ...rest }: Profile): string {
  const clocks = nodes.map(({ skew, processes }, index) => {
    const minutes = Math.round(skew / minute);
    return `${String.fromCharCode(65 + index)} (clock ${minutes >= 0 ? '+' : ''}${minutes} min${processes > 1 ? `, ${processes} processes` : ''})`;
  });
  return `nodes ${clocks.join(', ')}; target ${JSON.stringify(target)}; network ${JSON.stringify(network)}; ${JSON.stringify(rest)}`;
}

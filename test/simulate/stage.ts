/** Worlds in which nothing goes wrong but what a test says. */
import type { Fate } from '../../simulate/target.ts';
import { newWorld } from '../../simulate/begin.ts';
import { chanceOf } from '../../simulate/chance.ts';
import { ask, playOut } from '../../simulate/history.ts';
import type { Judgement } from '../../simulate/oracle.ts';
import { crash, type Demand, type Process } from '../../simulate/process.ts';
import type { Profile, TargetProfile } from '../../simulate/profile.ts';
import { realRules, type Rules } from '../../simulate/rules.ts';
import { foldOf, type World } from '../../simulate/world.ts';

export const second = 1000;
export const minute = 60 * second;

const calmTarget: TargetProfile = {
  kind: 'password',
  graceMs: 0,
  by: 'admin',
  fence: 'time',
  tries: 'stored',
  refused: 0,
  refusedAndChanged: 0,
  acknowledgedAndNot: 0,
  answerLost: 0,
  requestLost: 0,
  unsent: 0,
  tooLate: 0,
  unknown: 0,
  silences: 0,
  byHand: 0,
};

function calmProfile(skews: readonly number[], target: Partial<TargetProfile>): Profile {
  return {
    nodes: skews.map((skew) => ({ processes: 1, skew })),
    target: { ...calmTarget, ...target },
    network: { order: 'kept', duplicates: 0, latencyMs: 20, partitions: 0 },
    lasts: 30 * minute,
    rotations: 0,
    sessions: 0,
    everyDays: 0,
    operators: 0,
    operatorsAreRight: 1,
    crashAtStep: 0,
    crashes: 0,
    pauseAtStep: 0,
    restores: 0,
    automatic: true,
    fallback: true,
    handovers: 0,
    heartbeats: 0,
  };
}

export interface Script {
  readonly world: World;
  /** The process of node A, B, … */
  readonly at: (node: number) => Process;
  readonly demand: (at: number, node: number, demand: Demand) => void;
  readonly kill: (at: number, node: number, backAfter: number) => void;
  readonly cut: (from: number, until: number, a: number, b: number) => void;
}

export interface Played {
  readonly judgement: Judgement;
  readonly story: string;
  /** What each node takes for current in the end. */
  readonly current: readonly (string | null)[];
  readonly conflicts: readonly string[];
}

/** Plays a history that a test wrote. Nodes are A (the managing one), B, …, with these clocks. */
export function play(
  write: (script: Script) => void,
  options: {
    readonly skews?: readonly number[];
    readonly target?: Partial<TargetProfile>;
    readonly rules?: Rules;
    readonly fates?: readonly Fate[];
    readonly seed?: number;
  } = {},
): Played {
  const story: string[] = [];
  const profile = calmProfile(options.skews ?? [0, 0], options.target ?? {});
  const world = newWorld(profile, chanceOf(options.seed ?? 1, 0), options.rules ?? realRules, (_, text) =>
    story.push(text),
  );
  world.target.fates.push(...(options.fates ?? []));
  const at = (node: number): Process => {
    const process = world.nodes[node]?.processes[0];
    if (process === undefined) throw new Error(`there is no node ${node}`);
    return process;
  };
  write({
    world,
    at,
    demand: (when, node, demand) => world.agenda.plan(when, () => ask(world, at(node), demand)),
    kill: (when, node, backAfter) => world.agenda.plan(when, () => crash(world, at(node), backAfter)),
    cut: (from, until, a, b) => {
      world.agenda.plan(from, () => world.network.cut(a, b));
      world.agenda.plan(until, () => world.network.heal(a, b));
    },
  });
  const judgement = playOut(world, profile.lasts);
  const folds = world.nodes.map((node) => foldOf(world, node));
  return {
    judgement,
    story: story.join('\n'),
    current: folds.map(({ root }) => root),
    conflicts: folds.map(({ conflict }) => conflict),
  };
}

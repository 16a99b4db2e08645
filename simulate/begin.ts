/** The beginning of a world: its parts put together, and one confirmed value on the target and on every node. */
import type { Sigkey } from '../src/base/ids.ts';
import { timingFor } from '../src/rotation/context.ts';
import type { OutcomeFact, RandomizationFact } from '../src/rotation/plan/facts.ts';
import { newAgenda } from './agenda.ts';
import type { Chance } from './chance.ts';
import { live } from './life.ts';
import { newNetwork } from './network.ts';
import { account, idOf, newNode, store } from './node.ts';
import { newOracle } from './oracle.ts';
import { newProcess, start } from './process.ts';
import type { Profile } from './profile.ts';
import type { Rules } from './rules.ts';
import { newTarget, type Secret } from './target.ts';
import { receive, type World } from './world.ts';

/** More events than any history needs whose nodes come to rest. */
const eventsPerNode = 3_000;
/** A connector is started within this after its value was committed, unless its process stands still. */
const promptMs = 2_000;

/** A history that has not begun: one confirmed value, on every node and on the target. */
export function newWorld(
  profile: Profile,
  chance: Chance,
  rules: Rules,
  tell: ((at: number, text: string) => void) | undefined,
): World {
  const agenda = newAgenda(eventsPerNode * (1 + profile.nodes.length));
  const timing = timingFor(60);
  const targetMs = timing.targetSeconds * 1000;
  const oracle = newOracle();
  const secrets = new Map<Sigkey, Secret>();
  const nodes = profile.nodes.map(({ skew }, index) => newNode(index, skew));
  const target = newTarget(profile.target, agenda, chance, 0, targetMs);
  let drawn = 0;

  const world: World = {
    profile,
    chance,
    rules,
    agenda,
    timing,
    quietMs: targetMs + 2_000,
    target,
    network: newNetwork(nodes.length, profile.network, agenda, chance, (to, fact, from) =>
      receive(world, to, fact, from),
    ),
    nodes,
    oracle,
    tell: tell === undefined ? undefined : (text) => tell(agenda.now, text),
    calm: false,
    lifeOf: (process) => live(world, process),
    secretOf: (sigkey) => {
      const secret = secrets.get(sigkey);
      if (secret === undefined) throw new Error(`${sigkey} was never drawn`);
      return secret;
    },
    draw: () => world.enter(drawn),
    enter: (secret) => {
      const sigkey = `p${drawn}` as Sigkey;
      drawn += 1;
      secrets.set(sigkey, secret);
      oracle.drew(sigkey, secret);
      return sigkey;
    },
    change: (process, sigkey, by, committedAt) => {
      const startedAt = agenda.now;
      return target.change(sigkey, world.secretOf(sigkey), by === null ? undefined : world.secretOf(by), () => {
        const bySessions = profile.target.fence === 'sessions';
        const inTime = startedAt - committedAt <= promptMs && (bySessions || agenda.now - startedAt <= targetMs);
        world.tell?.(`the target has ${sigkey} now${inTime ? '' : ', later than it may'}`);
        oracle.landed(sigkey, inTime);
      });
    },
  };
  first(world);
  for (const [index, { processes }] of profile.nodes.entries()) {
    const node = nodes[index];
    for (let number = 0; node !== undefined && number < processes; number += 1) {
      const process = newProcess(node, number);
      node.processes.push(process);
      start(world, process);
    }
  }
  return world;
}

/** What the target has at the beginning, recorded by the first node and known to all. */
function first(world: World): void {
  const sigkey = world.draw();
  const origin = world.nodes[0]?.name ?? 'A';
  const drawn: RandomizationFact = { sigkey, account, parent: null, node: origin, createdAt: -1 };
  const outcome: OutcomeFact = { sigkey, node: origin, seq: 0, status: 'C', at: -1 };
  for (const node of world.nodes) {
    store(node, { id: sigkey, kind: 'randomization', fact: drawn }, 0);
    store(node, { id: idOf(outcome), kind: 'outcome', fact: outcome }, 0);
  }
}

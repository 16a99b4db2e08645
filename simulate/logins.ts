/** Trying values at the target (src/rotation/change/logins.ts): by a login, or so that no account is ever locked. */
import type { Sigkey } from '../src/base/ids.ts';
import { budgetMs, type Tested } from '../src/rotation/plan/resolve.ts';
import type { Verification } from '../src/rotation/plan/verdict.ts';
import type { Lease } from './node.ts';
import { type Process, waited } from './process.ts';
import type { World } from './world.ts';

type Work<T> = Generator<number, T>;

/** Refused logins that trying candidates may cost within half an hour, where refused logins lock. */
const loginBudget = 2;

/** A real login with a stored value. */
export function* tryLogin(world: World, process: Process, lease: Lease, sigkey: Sigkey): Work<Verification> {
  yield* waited(process, lease, world.chance.between(50, 3_000));
  const answer = world.target.login(world.secretOf(sigkey));
  if (answer === 'rejected') process.node.refused.push(world.agenda.now);
  return answer;
}

/** One answer each, in their order: compared with what is stored where that can be seen, else by logins within the budget. */
export function* tryCandidates(
  world: World,
  process: Process,
  lease: Lease,
  sigkeys: readonly Sigkey[],
): Work<readonly Tested[]> {
  const { tries } = world.profile.target;
  const tested: Tested[] = [];
  for (const sigkey of sigkeys) {
    if (tries === 'stored') {
      yield* waited(process, lease, world.chance.between(20, 500));
      tested.push({ sigkey, answer: world.target.compare(world.secretOf(sigkey)) });
    } else if (tries === 'budget' && isSpent(world, process)) tested.push({ sigkey, answer: 'unknown', spared: true });
    else tested.push({ sigkey, answer: yield* tryLogin(world, process, lease, sigkey) });
  }
  return tested;
}

function isSpent(world: World, process: Process): boolean {
  const since = world.agenda.now - budgetMs;
  return process.node.refused.filter((at) => at > since).length >= loginBudget;
}

export function inWords(tested: readonly Tested[]): string {
  return tested.map(({ sigkey, answer }) => `${sigkey}: ${answer}`).join(', ') || 'there is none';
}

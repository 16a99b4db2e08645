/** Answers about event sources: who may ask for changes by a signed event. A source's key is given once, when it is made. */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import type { RouteAnswers } from '../../contract/contract.ts';
import type { Rooms } from '../rooms.ts';

type Names = Extract<keyof RouteAnswers, `event-source.${string}`>;

export function eventSourceAnswers(
  { rotation: { events } }: Pick<Rooms, 'rotation'>,
  actor: Actor,
): Pick<RouteAnswers, Names> {
  return {
    'event-source.list': async () => ({
      sources: (await events.sources()).map(({ name, reach, madeBy, madeAt, lastUsedAt }) => ({
        source: name,
        accounts: [...reach],
        madeBy,
        madeAt: madeAt.toISOString(),
        ...(lastUsedAt === null ? {} : { lastUsedAt: lastUsedAt.toISOString() }),
      })),
    }),
    'event-source.add': async ({ name, accounts }) => {
      const added = await events.add({ name, reach: accounts }, actor);
      if (isRefusal(added)) return added;
      using key = added;
      return { source: name, signingKey: Uint8Array.from(key.reveal()) };
    },
    'event-source.remove': async ({ name }) => (await events.remove(name, actor)) ?? { done: true },
  };
}

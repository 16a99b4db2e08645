/**
 * What the audit trail is told of a session while it runs: in order, one at a time, and again while the keeper is away. The
 * session does not wait for it, its end does.
 */
import { codeOf, wordsOf } from '../base/errors.ts';
import type { Keeper } from '../link/link.ts';
import type { Session } from './open-session.ts';
import type { Place } from './place.ts';

export type KeeperEvent = Parameters<Keeper['session.event']>[0]['event'];

/** Events that wait for the keeper; above so many the sides are no longer read. */
const maxWaiting = 128;
const tellAgainMs = 200;

export interface Telling {
  readonly tell: (event: KeeperEvent) => void;
  /** More events wait for the keeper than should: whoever makes them should pause. */
  readonly congested: boolean;
  /** Called each time that ends. */
  onDrain(listener: () => void): void;
  /** Resolves when the keeper has all events, or cannot be told any more. */
  settled(): Promise<void>;
}

/** Goes on when the session has ended: what happened in it is told all the same. */
export function openTelling(session: Session, { clock, keeper, log, comebackMs }: Place): Telling {
  const drained: (() => void)[] = [];
  let told: Promise<void> = Promise.resolve();
  let waiting = 0;

  /** An event told twice is better than one that is missing. */
  async function tellUntilKnown(event: KeeperEvent): Promise<void> {
    const late = AbortSignal.timeout(comebackMs);
    for (;;) {
      try {
        await keeper['session.event']({ session: session.id, event }, late);
        return;
      } catch (error) {
        if (late.aborted || codeOf(error) !== 'link.lost') {
          log.warn({ session: session.id, event: event.type, reason: wordsOf(error) }, 'an event could not be told');
          return;
        }
        await clock.sleep(tellAgainMs, late).catch(() => {});
      }
    }
  }

  return {
    tell: (event) => {
      waiting++;
      told = told.then(async () => {
        await tellUntilKnown(event);
        if (waiting-- === maxWaiting + 1) for (const listener of drained) listener();
      });
    },
    get congested() {
      return waiting > maxWaiting;
    },
    onDrain: (listener) => void drained.push(listener),
    settled: async () => await told,
  };
}

/**
 * Once a night all accounts are looked at for conflicts (B-39), as `conflicts discover` does by hand: what is in conflict
 * is found although its own notice was lost. The saved runs are the only memory: a night in which nobody was there is made
 * up once, and of several processes on one database one saves its run.
 */
import type { Actor } from '../../audit/audit.ts';
import { wordsOf } from '../../base/errors.ts';
import type { Context } from '../context.ts';
import { occurrences } from '../plan/schedule.ts';
import { discoverConflicts, lastDiscovery } from '../resolution/show.ts';

const self: Actor = { kind: 'system', part: 'rotation' };

/** The night that has come since the last run, in milliseconds; undefined where none has, or none is wanted. */
async function owed(context: Context): Promise<number | undefined> {
  const { discovery } = context.rules;
  if (discovery === null) return undefined;
  const last = await lastDiscovery(context);
  return occurrences(discovery, last?.at.getTime() ?? 0, 0, context.clock.now()).last ?? undefined;
}

export interface Nightly {
  /** Looks whether a night is owed; resolves when its run is over. Never rejects, and begins nothing after the signal. */
  look(): Promise<void>;
}

/** One run at a time; what asks meanwhile waits for it. */
export function discoverNightly(context: Context, signal: AbortSignal): Nightly {
  let running: Promise<void> | undefined;
  async function run(): Promise<void> {
    const night = await owed(context);
    if (night === undefined) return;
    const { accounts, found } = await discoverConflicts(context, self, signal, { notSince: night });
    context.log.info({ accounts, found }, 'all accounts were looked at for conflicts');
  }
  return {
    look: async () => {
      if (signal.aborted) return running;
      running ??= run()
        .catch((error: unknown) => {
          if (!signal.aborted) context.log.warn({}, `accounts could not be looked at for conflicts: ${wordsOf(error)}`);
        })
        .finally(() => {
          running = undefined;
        });
      return running;
    },
  };
}

/**
 * The life of the process that dies: the real database, vault and rotation with real connector processes, all under watch;
 * it does what it is told for several accounts at once, and each of them stops at its own point. Nothing here kills: the
 * harness does, when all have stopped. It ends by itself when the harness is gone.
 *
 *   victim.ts URL ROOT-KEY DATA CONNECTOR-PROGRAM
 */
import { systemClock } from '../src/base/clock.ts';
import { wordsOf } from '../src/base/errors.ts';
import { silent } from '../src/base/log.ts';
import { processRunner } from '../src/rotation/connectors/run.ts';
import type { Question } from '../src/rotation/points.ts';
import { openRotation, type Rotation, type RotationOptions, usualRules } from '../src/rotation/rotation.ts';
import { openVault } from '../src/vault/vault.ts';
import type { FromVictim, Task, ToVictim } from './messages.ts';
import { operationNamed, type Ways } from './operations.ts';
import { timing } from './timing.ts';
import { Watch, watched, watchedAt, watchedDatabase, watchedRunner } from './watched.ts';

/** Everything goes over one pipe; `alter` lets a test break what is to be found broken. */
export async function live(alter: (options: RotationOptions) => RotationOptions = (options) => options): Promise<void> {
  const [url = '', rootKeyPath = '', dataDirectory = '', connectorFile = ''] = process.argv.slice(2);
  process.once('disconnect', () => process.exit(0));
  const never = new AbortController().signal;
  const db = watchedDatabase(url, 40);
  const clock = systemClock;
  const vault = await openVault({ db, rootKeyPath, dataDirectory, log: silent, clock }, never);
  const options = {
    db,
    vault,
    log: silent,
    clock,
    timing,
    watch: false,
    run: processRunner(connectorFile),
    at: watchedAt,
  };
  const open = (more: Partial<RotationOptions>): Promise<Rotation> => {
    const altered = alter({ ...options, ...more });
    return openRotation({ ...altered, run: watchedRunner(altered.run ?? options.run) }, never);
  };
  const ways: Ways = {
    rotation: await open({}),
    byHand: await open({ rules: { ...usualRules, automaticResolution: false } }),
    restarted: () => open({ watch: true }),
  };

  const waiting = new Map<number, () => void>();
  const perform = async (task: Task): Promise<void> => {
    const { lane } = task;
    const question = (name: Question, occurrence: number, phase: 'begin' | 'end'): Promise<void> => {
      const go = Promise.withResolvers<void>();
      waiting.set(lane, go.resolve);
      say({ type: 'question', lane, question: name, occurrence, phase });
      return go.promise;
    };
    const watch = new Watch(task.stop, {
      reached: () => say({ type: 'reached', lane }),
      unlisted: (what) => say({ type: 'unlisted', lane, what }),
      question,
    });
    const words = await watched(watch, () => operationNamed(task.operation).perform(ways, task, never)).catch(
      (error: unknown) => `broken: ${wordsOf(error)}`,
    );
    say({ type: 'finished', lane, happened: watch.happened, words });
  };
  process.on('message', (message: ToVictim) => {
    if (message.type === 'task') void perform(message.task);
    else waiting.get(message.lane)?.();
  });
  say({ type: 'ready' });
}

function say(message: FromVictim): void {
  process.send?.(message);
}

/**
 * A small process that keeps to a schedule by the system's own clock: it asks the plan, sleeps until the plan says, and
 * tells each answer as a line of JSON. It ends with the first change, or with an answer that is more than an hour away.
 */
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId } from '../../src/base/ids.ts';
import { fold } from '../../src/rotation/plan/fold.ts';
import { plan } from '../../src/rotation/plan/next.ts';
import type { Schedule } from '../../src/rotation/plan/schedule.ts';
import { facts } from './plan/ledger-notation.ts';

const { schedule, currentSince } = JSON.parse(process.argv[2] ?? '') as { schedule: Schedule; currentSince: number };
const hour = 3_600_000;

for (;;) {
  const now = systemClock.now();
  const [action] = plan({
    account: 'account' as AccountId,
    fold: fold(facts(['r0 C'])),
    settings: { enabled: true, connector: true, rotateAfterSession: false, skipWhileInUse: true, localFallback: true },
    calendar: { schedule, since: 0, maxAgeDays: null },
    uses: [],
    attempts: [],
    notes: [],
    currentSince,
    lease: null,
    demanded: false,
    wishes: [],
    here: 'yes',
    now,
  });
  process.stdout.write(`${JSON.stringify({ now, ...action })}\n`);
  if (action?.kind !== 'wait' || action.until - now > hour) break;
  await systemClock.sleep(action.until - now, new AbortController().signal);
}

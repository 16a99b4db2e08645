/** Windows by the real clock of the system: across midnight, and across both changes of the clocks in Paris. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, expect, test } from 'vitest';
import { findProgram, requirePackages } from '../lab/install.ts';

const at = (when: string): number => Date.parse(when);
const usual = {
  name: 's',
  zone: 'Europe/Paris',
  jitterMinutes: 0,
  retry: { count: 3, minutes: 30 },
  alertAfterSkips: 5,
};

beforeAll(async () => await requirePackages(['faketime']));

interface Line {
  readonly now: number;
  readonly kind: string;
  readonly because?: string;
  readonly until?: number;
  readonly occurrence?: number;
}

/** What the process says whose system clock shows `begin` when it starts. */
async function live(begin: string, currentSince: string, schedule: object): Promise<Line[]> {
  const program = join(import.meta.dirname, '../rotation/clock-process.ts');
  const told = JSON.stringify({ schedule: { ...usual, ...schedule }, currentSince: at(currentSince) });
  const clock = begin.replace('T', ' ').replace('Z', '');
  const child = spawn(findProgram('faketime') ?? 'faketime', ['-f', `@${clock}`, process.execPath, program, told], {
    env: { ...process.env, TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return (await text(child.stdout))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

test.concurrent.each([
  {
    name: 'midnight: what is due waits until the window of the new day opens',
    begin: '2026-05-10T21:59:50Z',
    since: '2026-05-09T12:00:00Z',
    schedule: { cron: '0 20 * * *', window: { start: '00:00', end: '04:00', weekdays: [1] } },
    because: 'outside-window',
    opens: '2026-05-10T22:00:00Z',
    occurrence: '2026-05-10T18:00:00Z',
  },
  {
    name: 'midnight: a window that began on Sunday is open for what falls due on Monday',
    begin: '2026-05-10T21:59:50Z',
    since: '2026-05-09T12:00:00Z',
    schedule: { cron: '0 0 * * 1', window: { start: '22:00', end: '04:00', weekdays: [7] } },
    because: 'not-due',
    opens: '2026-05-10T22:00:00Z',
    occurrence: '2026-05-10T22:00:00Z',
  },
  {
    name: 'spring: 02:30 does not come, and the change begins when the clock leaps to 03:00',
    begin: '2026-03-29T00:59:50Z',
    since: '2026-03-28T12:00:00Z',
    schedule: { cron: '30 2 * * *', window: { start: '02:30', end: '04:00' } },
    because: 'not-due',
    opens: '2026-03-29T01:00:00Z',
    occurrence: '2026-03-29T01:00:00Z',
  },
  {
    name: 'autumn: 02:30 comes twice, and the change begins the first time',
    begin: '2026-10-25T00:29:50Z',
    since: '2026-10-24T12:00:00Z',
    schedule: { cron: '30 2 * * *', window: { start: '02:30', end: '04:00' } },
    because: 'not-due',
    opens: '2026-10-25T00:30:00Z',
    occurrence: '2026-10-25T00:30:00Z',
  },
])('$name', async ({ begin, since, schedule, because, opens, occurrence }) => {
  const lines = await live(begin, since, schedule);
  expect(lines[0]).toMatchObject({ kind: 'wait', because, until: at(opens) });
  const begun = lines.at(-1);
  expect(begun).toMatchObject({ kind: 'randomize', trigger: 'scheduled', occurrence: at(occurrence) });
  expect(begun?.now).toBeGreaterThanOrEqual(at(opens));
});

test.concurrent('autumn: once it was made, the second 02:30 brings nothing', async () => {
  const schedule = { cron: '30 2 * * *', window: { start: '02:30', end: '04:00' } };
  const lines = await live('2026-10-25T01:30:00Z', '2026-10-25T00:30:01Z', schedule);
  expect(lines).toMatchObject([{ kind: 'wait', because: 'not-due', until: at('2026-10-26T01:30:00Z') }]);
});

test.concurrent('missed runs: after a week in which nobody was there it begins once, at once', async () => {
  const schedule = { cron: '30 2 * * *', window: null };
  const lines = await live('2026-10-25T06:00:00Z', '2026-10-17T12:00:00Z', schedule);
  expect(lines).toMatchObject([{ kind: 'randomize', occurrence: at('2026-10-25T00:30:00Z') }]);
});

test.concurrent('thirty days after the last success, and not before', async () => {
  const schedule = { every: { days: 30 }, zone: null, window: null };
  const lines = await live('2026-04-30T11:59:55Z', '2026-03-31T12:00:00Z', schedule);
  expect(lines[0]).toMatchObject({ kind: 'wait', until: at('2026-04-30T12:00:00Z') });
  expect(lines.at(-1)).toMatchObject({ kind: 'randomize', occurrence: at('2026-04-30T12:00:00Z') });
});

/** Answers about when credentials are changed: schedules, how policies are managed, what is due. */
import type { RouteAnswers } from '../../contract/contract.ts';
import { managements, schedules } from '../../rotation/rotation.ts';
import type { Rooms } from '../rooms.ts';

export function scheduleAnswers({
  db,
  rotation,
}: Pick<Rooms, 'db' | 'rotation'>): Pick<RouteAnswers, 'schedule.list' | 'schedule.due'> {
  return {
    'schedule.list': async () => ({
      schedules: (await schedules(db)).map(({ schedule }) => ({
        schedule: schedule.name,
        times: 'cron' in schedule ? schedule.cron : `every ${schedule.every.days} days`,
        ...(schedule.zone === null ? {} : { zone: schedule.zone }),
        ...(schedule.window === null ? {} : { window: `${schedule.window.start}-${schedule.window.end}` }),
        jitterMinutes: schedule.jitterMinutes,
        retries: `${schedule.retry.count} every ${schedule.retry.minutes} min`,
      })),
      management: [...(await managements(db)).values()].map(
        ({ policy, schedule, managingNode, localFallback, automaticResolution, calendar }) => ({
          policy,
          ...(schedule === null ? {} : { schedule }),
          ...(calendar.maxAgeDays === null ? {} : { maxAgeDays: calendar.maxAgeDays }),
          ...(managingNode === null ? {} : { managingNode }),
          localFallback,
          automaticResolution,
        }),
      ),
    }),
    'schedule.due': async (_fields, _part, signal) => ({
      accounts: (await rotation.agenda(signal)).map(({ account, when, why }) => ({
        account,
        why,
        ...(when === null ? {} : { when: when === 'now' ? 'now' : when.toISOString() }),
      })),
    }),
  };
}

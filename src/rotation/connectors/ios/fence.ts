/**
 * After a change that was cut off: whatever is still logged in as we were is ended where the device can do that, and what
 * is running is saved. A session of a person under the same name from the same address is ended too: connectors get an
 * account of their own.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChangeAnswer, Work } from '../connector.ts';
import { isFault, unsent } from '../target.ts';
import { save } from './change.ts';
import { privileged } from './login.ts';
import type { CommandLine } from './session.ts';
import { sessionsIn, terminalsIn } from './wire/answers.ts';

/** `confirmed`: no other session of ours is there any more, and the configuration is saved. */
export async function fence(work: Work, signal: AbortSignal): Promise<ChangeAnswer> {
  const session = await privileged(work, work.by.login, signal);
  if (isFault(session)) return unsent(session);
  await using _ = session;
  const alone = await endOthers(session.cli, work, signal);
  const done = await save(session, signal);
  if (done.said !== 'confirmed' || alone) return done;
  return { said: 'uncertain', class: 'cut', words: 'saved, but other sessions are open that may still be ours' };
}

/** Whether no session but this one can be ours. */
async function endOthers(cli: CommandLine, work: Work, signal: AbortSignal): Promise<boolean> {
  const users = await cli.run('show users', signal);
  if (isFault(users)) return false;
  const sessions = sessionsIn(users.output);
  if (sessions === undefined) return await aloneAtLast(cli, work, signal);
  for (const vty of sessions.ours) if (isFault(await cli.run(`clear line vty ${vty}`, signal))) return false;
  const after = await cli.run('show users', signal);
  return !isFault(after) && sessionsIn(after.output)?.ours.length === 0;
}

/** FRR ends nobody's session; but one that was cut off goes away by itself, and then we are alone. */
async function aloneAtLast(cli: CommandLine, work: Work, signal: AbortSignal): Promise<boolean> {
  for (let left = work.targetSeconds * 2; ; left--) {
    const who = await cli.run('who', signal);
    if (isFault(who)) return false;
    const terminals = terminalsIn(who.output);
    if (terminals === undefined || terminals === 1 || left <= 0) return terminals === 1;
    await sleep(500, undefined, { signal });
  }
}

/** A target that is a script: it has one password, and does what a test says when it is asked to change it. */
import type { Answer, Job } from '../../src/rotation/connectors/job.ts';
import type { RunConnector } from '../../src/rotation/connectors/run.ts';
import { passwordOf } from './room.ts';

export const yes: Answer = { outcome: 'confirmed', class: 'none', words: '' };

export class ScriptedTarget {
  live: string;
  reachable = true;
  readonly jobs: Job['operation'][] = [];
  onChange: (next: string) => Answer | Promise<Answer> = (next) => {
    this.live = next;
    return yes;
  };

  constructor(live: string) {
    this.live = live;
  }

  readonly run: RunConnector = async (job) => {
    this.jobs.push(job.operation);
    if (!this.reachable)
      return {
        outcome: job.operation === 'verify' ? 'unknown' : 'unsent',
        class: 'unreachable-timeout',
        words: 'silence',
      };
    const password = passwordOf(job);
    if (job.operation === 'verify')
      return password === this.live
        ? { outcome: 'accepted', class: 'none', words: '' }
        : { outcome: 'rejected', class: 'authentication', words: 'no' };
    return job.operation === 'change' ? this.onChange(password ?? '') : yes;
  };
}

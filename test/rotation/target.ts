/** A target that is a script: it has one password, and does what a test says when it is asked to change it. */
import type { Answer, Job } from '../../src/rotation/connectors/job.ts';
import type { RunConnector } from '../../src/rotation/connectors/run.ts';
import { tryWithin } from '../../src/rotation/connectors/budget.ts';
import type { VerifyAnswer } from '../../src/rotation/connectors/connector.ts';
import { passwordOf, textOf } from './room.ts';

export const yes: Answer = { outcome: 'confirmed', class: 'none', words: '' };

export class ScriptedTarget {
  live: string;
  reachable = true;
  /** What it lets in. */
  accepts: (password: string) => boolean = (password) => password === this.live;
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
        outcome: job.operation === 'verify' || job.operation === 'adminverify' ? 'unknown' : 'unsent',
        class: 'unreachable-timeout',
        words: 'silence',
      };
    const answerTo = (password: string | undefined): VerifyAnswer =>
      password !== undefined && this.accepts(password)
        ? { answer: 'accepted', class: 'none', words: '' }
        : { answer: 'rejected', class: 'authentication', words: 'no' };
    if (job.operation === 'verify') {
      const { answer, ...rest } = answerTo(passwordOf(job));
      return { outcome: answer, ...rest };
    }
    if (job.operation === 'adminverify')
      return {
        ...yes,
        each: await tryWithin(job.budget, job.candidates, async (candidate) => answerTo(textOf(candidate))),
      };
    if (job.operation === 'change' || job.operation === 'reconcile') return this.onChange(passwordOf(job) ?? '');
    return yes;
  };
}

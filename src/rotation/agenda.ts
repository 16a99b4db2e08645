/** What will be changed when, and why not yet: the plan of every account, for people. */
import { isRefusal } from '../base/errors.ts';
import { accountsOf } from '../vault/vault.ts';
import { questionOf } from './change/question.ts';
import { subjectOf } from './change/subject.ts';
import type { Context } from './context.ts';
import { plan } from './plan/next.ts';

export interface AgendaEntry {
  readonly account: string;
  /** `now`: it begins as soon as it is its turn. */
  readonly when: Date | 'now' | null;
  /** The trigger, or why nothing is done. */
  readonly why: string;
}

/** Every account that has a connector, soonest first; those of which nothing is due come last. */
export async function agendaOf(context: Context, signal: AbortSignal): Promise<readonly AgendaEntry[]> {
  const entries: AgendaEntry[] = [];
  for (const { id, label, connector } of await accountsOf(context.db)) {
    signal.throwIfAborted();
    if (connector === null) continue;
    const subject = await subjectOf(context.db, id);
    if (isRefusal(subject)) {
      entries.push({ account: label, when: null, why: subject.reason });
      continue;
    }
    const [action] = plan(await questionOf(context, subject, { demanded: false, mine: false }));
    if (action?.kind === 'randomize') entries.push({ account: label, when: 'now', why: action.trigger });
    else if (action?.kind === 'time-out') entries.push({ account: label, when: 'now', why: 'recovery' });
    else if (action?.kind === 'wait') entries.push({ account: label, when: finite(action.until), why: action.because });
    else
      entries.push({
        account: label,
        when: null,
        why: action !== undefined && 'because' in action ? action.because : '',
      });
  }
  return entries.toSorted((a, b) => order(a) - order(b) || (a.account < b.account ? -1 : 1));
}

function finite(at: number): Date | null {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? null : date;
}

function order({ when }: AgendaEntry): number {
  if (when === 'now') return 0;
  return when === null ? Number.MAX_VALUE : when.getTime();
}

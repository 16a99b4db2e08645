/**
 * What a Linux machine says about an account, read from labelled lines (linux-account.ts asks for them): passwd(1) -S, its
 * clock, faillock(8) and its settings. A line that is not understood tells nothing; nothing is guessed from it. Pure.
 */

export interface AccountState {
  /** The password cannot be used: `!` or `*` in the shadow file. */
  readonly locked: boolean;
  /** It is in the machine's own shadow file, not in a directory. */
  readonly local: boolean;
  /** Nobody but root may change it again for so many seconds. */
  readonly tooYoungFor: number;
  /** Refused logins that pam_faillock remembers. */
  readonly strikes: number;
  /** So many of them lock the account; undefined where pam_faillock is not used. */
  readonly deny: number | undefined;
  /** pam_faillock lets nobody in now. */
  readonly lockedOut: boolean;
  /** Where unix_chkpwd(8) is, if it is there. */
  readonly chkpwd: string | undefined;
}

const day = 86_400;
/** faillock.conf(5). */
const usual = { deny: 3, unlockSeconds: 600 };

/** Lines `label rest`; the longest answer that is looked at is 256 KiB. */
export function parseAccountState(answer: string): AccountState {
  const said = new Map<string, string[]>();
  for (const line of answer.slice(0, 256 * 1024).split('\n')) {
    const [, label = '', rest = ''] = /^([a-z]{1,16}) (.{0,1000})/.exec(line) ?? [];
    said.set(label, [...(said.get(label) ?? []), rest.trim()]);
  }
  const one = (label: string): string => said.get(label)?.[0] ?? '';
  const [, code = '', changed = '', least = ''] = one('status').split(/\s+/);
  const now = Number(one('now')) || 0;
  const age = dateOf(changed) === undefined ? Number.POSITIVE_INFINITY : now / day - (dateOf(changed) ?? 0) / day;
  const minimum = /^\d{1,6}$/.test(least) ? Number(least) : 0;
  const failures = (said.get('failure') ?? []).filter((line) => /\sV$/.test(line));
  const limits = limitsOf(said.get('pam') ?? [], said.get('conf') ?? []);
  const newest = failures.map((line) => timeOf(line) ?? Number.NaN).reduce((a, b) => (b > a ? b : a), 0);
  const clock = timeOf(one('clock')) ?? 0;
  const passed = limits.unlockSeconds > 0 && newest > 0 && clock - newest >= limits.unlockSeconds;
  return {
    locked: code.startsWith('L'),
    local: one('local') === '1',
    tooYoungFor: Math.max(0, Math.ceil((minimum - Math.floor(age)) * day)),
    strikes: failures.length,
    deny: limits.deny,
    lockedOut: limits.deny !== undefined && failures.length >= limits.deny && !passed,
    chkpwd: /^\/[\w/.-]{1,100}$/.exec(one('chkpwd'))?.[0],
  };
}

/** Refused logins that can be afforded: one is always kept, and never more than `budget`. */
export function triesLeft({ deny, strikes }: Pick<AccountState, 'deny' | 'strikes'>, budget: number): number {
  return deny === undefined ? budget : Math.max(0, Math.min(budget, deny - strikes - 1));
}

/** Settings in a PAM line win over those of faillock.conf; of several lines the strictest counts. */
function limitsOf(
  pam: readonly string[],
  conf: readonly string[],
): { readonly deny: number | undefined; readonly unlockSeconds: number } {
  const lines = pam.filter((line) => !line.startsWith('#') && line.includes('pam_faillock'));
  if (lines.length === 0) return { deny: undefined, unlockSeconds: usual.unlockSeconds };
  const setting = (name: string, strictest: (values: readonly number[]) => number): number | undefined => {
    const inLine = new RegExp(`\\b${name}=(\\d{1,9})\\b`);
    const inFile = new RegExp(`^${name}\\s*=\\s*(\\d{1,9})\\s*$`);
    const values = (from: readonly string[], shape: RegExp): number[] =>
      from.flatMap((line) => {
        const found = shape.exec(line)?.[1];
        return found === undefined ? [] : [Number(found)];
      });
    const [given, filed] = [values(lines, inLine), values(conf, inFile)];
    return given.length > 0 ? strictest(given) : filed.at(-1);
  };
  // 0: never locked; 0 as a time, or `never`: until somebody lifts it.
  const deny = setting('deny', (values) => Math.min(...values)) ?? usual.deny;
  const never = [...lines, ...conf].some((line) => /\bunlock_time\s*=\s*never\b/.test(line));
  const longest = (values: readonly number[]): number => (values.includes(0) ? 0 : Math.max(...values));
  const unlockSeconds = never ? 0 : (setting('unlock_time', longest) ?? usual.unlockSeconds);
  return { deny: deny === 0 ? undefined : deny, unlockSeconds };
}

/** Midnight of `2026-11-25` or `11/25/2026`, in seconds; undefined for anything else, `never` among it. */
function dateOf(text: string): number | undefined {
  const iso = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  const american = /^(\d\d)\/(\d\d)\/(\d{4})$/.exec(text);
  const [year, month, date] = iso ? [iso[1], iso[2], iso[3]] : american ? [american[3], american[1], american[2]] : [];
  return year === undefined ? undefined : Date.UTC(Number(year), Number(month) - 1, Number(date)) / 1000;
}

/** The time at the beginning of a line, `2026-11-25 09:50:00`; both sides of a comparison are in the machine's own zone. */
function timeOf(line: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d):(\d\d):(\d\d)/.exec(line);
  const date = match === null ? undefined : dateOf(match[1] ?? '');
  return match === null || date === undefined
    ? undefined
    : date + Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4]);
}

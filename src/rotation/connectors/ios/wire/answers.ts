/**
 * What a command line's words mean: refusals, successful saving, users that are there, sessions that are open. Both
 * dialects are known, IOS and FRR. Words that are not known are no success. Pure.
 */

export interface Refused {
  readonly why: 'syntax' | 'permission' | 'policy' | 'other';
  /** The lines of the device that say so, and nothing else: an echo could hold a secret. */
  readonly words: string;
}

const refusing =
  /^(?:% ?(?![A-Z0-9_-]+-[0-7]-)|%?error\b|command rejected|please specify|can't |cannot |failed |.*\bfile open failed\b|configuration mode is locked)/i;

/** The refusal in a command's output, or undefined. Warnings that do not begin like one are none. */
export function refusalIn(output: string): Refused | undefined {
  const lines = output.split('\n').map((line) => line.trim());
  const saying = lines.filter((line) => refusing.test(line));
  if (saying.length === 0) return undefined;
  return { why: whyOf(saying.join(' ')), words: saying.join('; ').slice(0, 300) };
}

function whyOf(words: string): Refused['why'] {
  if (/authori[sz]ation failed|access denied|not authori[sz]ed|permission denied/i.test(words)) return 'permission';
  if (/please specify string|password|secret|too short|too long|length|complexity|policy/i.test(words)) return 'policy';
  if (/invalid input|unknown command|ambiguous|incomplete|unrecognized/i.test(words)) return 'syntax';
  return 'other';
}

/** Whether `write memory` said that it saved. */
export function saved(output: string): boolean {
  return /\[OK\]|^Configuration saved to |\bbytes copied\b/im.test(output) && refusalIn(output) === undefined;
}

/** Words of a refused login or a refused `enable`. */
export function rejectedLogin(screen: string): boolean {
  return /% ?(?:login invalid|bad (?:enable )?(?:passwords?|secrets?)|authentication failed|access denied|error in authentication)/i.test(
    screen,
  );
}

/** Words of a line that lets nobody in. */
export function closedLine(screen: string): boolean {
  return /password required, but none set|vty password is not set|% no password set/i.test(screen);
}

/** One `username` line of a running configuration. */
export interface KnownUser {
  readonly privilege: number | undefined;
  /** `secret`, `password` or `none`. */
  readonly form: 'secret' | 'password' | 'none';
}

/** What the running configuration says of a user; undefined when there is none of that name. Names count by case. */
export function userIn(configuration: string, name: string): KnownUser | undefined {
  let found: KnownUser | undefined;
  for (const line of configuration.split('\n')) {
    const words = line.trim().split(/\s+/);
    if (words[0] !== 'username' || words[1] !== name) continue;
    // Its parts may stand on several lines.
    const at = words.indexOf('privilege', 2);
    const level = at === -1 ? undefined : Number(words[at + 1]);
    const form = words.includes('secret', 2) ? 'secret' : words.includes('password', 2) ? 'password' : found?.form;
    found = {
      privilege: level !== undefined && level >= 0 && level <= 15 ? level : found?.privilege,
      form: form ?? 'none',
    };
  }
  return found;
}

export interface Sessions {
  /** Terminals of others that have our name and come from where we come from. */
  readonly ours: readonly number[];
}

/** From `show users` of IOS, by the columns of its head line. Undefined when this is no such list, or we are not in it. */
export function sessionsIn(output: string): Sessions | undefined {
  const lines = output.split('\n');
  const head = lines.find((line) => /^\s*Line\s+User\s+Host\(s\)\s+Idle\s+Location/.test(line));
  if (head === undefined) return undefined;
  const [user, hosts, location] = [head.indexOf('User'), head.indexOf('Host(s)'), head.indexOf('Location')];
  const rows = lines.flatMap((line) => {
    const match = /^(\*?)\s*\d+\s+vty\s+(\d{1,4})\b/.exec(line);
    if (match === null) return [];
    const who = `${line.slice(user, hosts).trim()} from ${line.slice(location).trim()}`;
    return [{ mine: match[1] === '*', vty: Number(match[2]), who }];
  });
  const me = rows.find((row) => row.mine);
  if (me === undefined) return undefined;
  return { ours: rows.filter((row) => !row.mine && row.who === me.who).map((row) => row.vty) };
}

/** From `who` of FRR: how many terminals are open, ours among them. Undefined when this is no such list. */
export function terminalsIn(output: string): number | undefined {
  const count = output.split('\n').filter((line) => /^\s*vty\[\d+\] connected from /.test(line)).length;
  return count === 0 ? undefined : count;
}

/** Text of a device for people: lines that hold a secret, or eight characters of one in a row, are taken out. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const pieces = secrets.flatMap((secret) => {
    if (secret.length <= 8) return secret === '' ? [] : [secret];
    return Array.from({ length: secret.length - 7 }, (_, at) => secret.slice(at, at + 8));
  });
  return text
    .split('\n')
    .map((line) => (pieces.some((piece) => line.includes(piece)) ? '[secret]' : line))
    .join('\n');
}

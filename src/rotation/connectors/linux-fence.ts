/**
 * A change that can be found again and ends in time: it runs under timeout(1), below a shell that carries the change's tag
 * as its name and nothing secret. Its time begins when the target's clock was read, not when it gets its turn, so that one
 * that was delayed somewhere does less or nothing. `fence` kills every process group that carries the tag, until none does.
 */
import { utf8 } from '../../base/bytes.ts';
import type { SshClient } from '../../protocol/ssh/ssh.ts';
import type { ChangeAnswer, Work } from './connector.ts';
import { type RootWay, rootOf, run, type Way, wayOf } from './linux-run.ts';
import { quote } from './linux-shell.ts';
import { isFault, onTarget, unsent } from './target.ts';

/** What the wrapper ends with when the change's time was over before it began. */
export const tooLate = 75;

/** A script under the change's tag. `how`: further options of timeout(1), as `--foreground` on a terminal. */
export function tagged({ tag, targetSeconds }: Work, { now }: Pick<RootWay, 'now'>, script: string, how = ''): string {
  if (!/^[\w-]{1,80}$/.test(tag)) throw new TypeError('a tag is a word');
  const end = now + targetSeconds + 1;
  const begin = `n=$((${end} - $(date +%s))); [ "$n" -gt 0 ] || exit ${tooLate}`;
  const limited = `exec timeout ${how} -k 1 "$n" sh -c "$1" "$0"`;
  return `exec sh -c ${quote(`${begin}; ${limited}`)} ${tag} ${quote(script)}`;
}

/** What timeout(1) says when it ended the command: by TERM, or by KILL. */
export function ranOut(status: number | undefined): boolean {
  return status === 124 || status === 137;
}

/** What the script below ends with when it may not see everything. */
const hidden = 4;

/**
 * The tag comes by standard input, so that nothing of the fence carries it. Whatever has it in its arguments is ended, its
 * process group, and all that these have started. Twice nothing, a moment apart: what was being started in between is seen
 * by the second look. Of /proc/PID/stat the fields behind the last parenthesis are state, parent and group. Where /proc is
 * mounted with `hidepid`, only root sees what runs for others: then nothing found is no answer.
 */
const killAll = `IFS= read -r tag || exit 3
cat /proc/1/stat >/dev/null 2>&1 || exit ${hidden}
round=0; none=0
while [ $round -lt 60 ]; do
  found=
  for file in $(printf '%s\\n' "$tag" | grep -lsF -f - /proc/[0-9]*/cmdline); do
    file=\${file#/proc/}; found="$found \${file%/cmdline} "
  done
  if [ -z "$found" ]; then
    none=$((none + 1)); [ $none -lt 2 ] || exit 0
  else
    none=0
    kill -9 $(cat /proc/[0-9]*/stat 2>/dev/null | awk -v found="$found" '
      { pid = $1; sub(/^.*\\) /, ""); parent[pid] = $2; group[pid] = $3 }
      index(found, " " pid " ") { hit[pid] = 1; if ($3 > 1) groups[$3] = 1 }
      END {
        for (p in group) if (group[p] in groups) hit[p] = 1
        do { more = 0
          for (p in parent) if (!(p in hit) && (parent[p] in hit)) { hit[p] = 1; more = 1 }
        } while (more)
        for (p in hit) print p
      }') 2>/dev/null
  fi
  round=$((round + 1)); sleep 0.1
done
exit 1`;

/**
 * Ends what is left of this change: as root, or, where the account changes itself, as far as its own rights go. Where it
 * may not see the processes of others it becomes root if it can, and says that it does not know if it cannot.
 */
export function fence(work: Work, signal: AbortSignal): Promise<ChangeAnswer> {
  const { login, mode } = work.by;
  return onTarget(work.place, login, signal, async (client) => {
    const own = mode === 'self' ? await endAll(client, wayOf(login), work, signal) : undefined;
    if (own !== undefined && own !== 'hidden') return own;
    const ended = await endAsRoot(client, work, signal);
    return own === 'hidden' && ended.said === 'unsent' ? blind : ended;
  });
}

/** The same for a change that is made as root also where the account changes itself: its processes are root's. */
export function fenceAsRoot(work: Work, signal: AbortSignal): Promise<ChangeAnswer> {
  return onTarget(work.place, work.by.login, signal, (client) => endAsRoot(client, work, signal));
}

async function endAsRoot(client: SshClient, work: Work, signal: AbortSignal): Promise<ChangeAnswer> {
  const root = await rootOf(client, work.by.login, signal);
  if (isFault(root)) return unsent(root);
  const ended = await endAll(client, root, work, signal);
  return ended === 'hidden' ? blind : ended;
}

const blind: ChangeAnswer = {
  said: 'uncertain',
  class: 'permission',
  words: 'what runs for others cannot be seen there (hidepid)',
};

async function endAll(client: SshClient, way: Way, work: Work, signal: AbortSignal): Promise<ChangeAnswer | 'hidden'> {
  const ran = await run(client, way, killAll, utf8(`${work.tag}\n`), signal);
  if (ran.fault !== undefined) return unsent(ran.fault);
  if (ran.status === 0) return { said: 'confirmed', class: 'none', words: '' };
  if (ran.status === hidden) return 'hidden';
  return { said: 'uncertain', class: 'timeout', words: `something of ${work.tag} does not end: ${ran.stderr}` };
}

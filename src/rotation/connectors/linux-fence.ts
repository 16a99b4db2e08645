/**
 * A change that can be found again and ends in time: it runs under timeout(1), below a shell that carries the change's tag
 * as its name and nothing secret. Its time begins when the target's clock was read, not when it gets its turn, so that one
 * that was delayed somewhere does less or nothing. `fence` kills every process group that carries the tag, until none does.
 */
import { utf8 } from '../../base/bytes.ts';
import type { ChangeAnswer, Work } from './connector.ts';
import { type RootWay, rootOf, run, wayOf } from './linux-run.ts';
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

/**
 * The tag comes by standard input, so that nothing of the fence carries it. Whatever has it in its arguments is ended, its
 * process group, and all that these have started. Twice nothing, a moment apart: what was being started in between is seen
 * by the second look. Of /proc/PID/stat the fields behind the last parenthesis are state, parent and group.
 */
const killAll = `IFS= read -r tag || exit 3
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

/** Ends what is left of this change: as root, or, where the account changes itself, as far as its own rights go. */
export function fence(work: Work, signal: AbortSignal): Promise<ChangeAnswer> {
  const { login, mode } = work.by;
  return onTarget(work.place, login, signal, async (client) => {
    const root = mode === 'self' ? wayOf(login) : await rootOf(client, login, signal);
    if (isFault(root)) return unsent(root);
    const ran = await run(client, root, killAll, utf8(`${work.tag}\n`), signal);
    if (ran.fault !== undefined) return unsent(ran.fault);
    if (ran.status === 0) return { said: 'confirmed', class: 'none', words: '' };
    return { said: 'uncertain', class: 'timeout', words: `something of ${work.tag} does not end: ${ran.stderr}` };
  });
}

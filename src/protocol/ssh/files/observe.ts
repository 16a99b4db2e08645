/** Observers of file transfers: what passes through a channel, said as files. They see copies and change nothing. */
import type { FileFact, FileObserver, Hasher } from './wire/facts.ts';
import { observeRcp } from './wire/rcp.ts';
import { observeSftp } from './wire/sftp.ts';

/** Watches one channel: `sftp` version 3, or an scp that the target runs as sink (`-t`) or source (`-f`). */
export function observeFiles(
  kind: 'sftp' | 'scp-up' | 'scp-down',
  hasher: () => Hasher,
  emit: (fact: FileFact) => void,
): FileObserver {
  if (kind === 'sftp') return observeSftp(hasher, emit);
  return observeRcp(kind === 'scp-up' ? 'up' : 'down', hasher, emit);
}

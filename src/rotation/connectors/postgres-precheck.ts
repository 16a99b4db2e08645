/** What PostgreSQL is asked before a new password is drawn: one question that changes nothing. */
import { wordsOf } from '../../base/errors.ts';
import type { AnswerClass, ChangeAnswer, Work } from './connector.ts';
import type { PostgresSession } from './postgres-client.ts';

interface State {
  readonly version: number;
  readonly standby: boolean;
  readonly super: boolean;
  readonly creator: boolean;
  /** Null when there is no such role, as everything after it. */
  readonly login: boolean | null;
  readonly expired: boolean | null;
  readonly target_super: boolean | null;
  readonly self: boolean | null;
  readonly admin_of: boolean | null;
}

const question = `SELECT pg_catalog.current_setting('server_version_num')::int AS version,
    pg_catalog.pg_is_in_recovery() AS standby, me.rolsuper AS super, me.rolcreaterole AS creator,
    r.rolcanlogin AS login, coalesce(r.rolvaliduntil < now(), false) AS expired, r.rolsuper AS target_super,
    r.rolname = me.rolname AS self, pg_catalog.pg_has_role(me.oid, r.oid, 'MEMBER WITH ADMIN OPTION') AS admin_of
  FROM pg_catalog.pg_roles me LEFT JOIN pg_catalog.pg_roles r ON r.rolname = $1 WHERE me.rolname = current_user`;

/** Whether this session may change the role's password, and whether a login could prove it. */
export async function preconditions(session: PostgresSession, work: Work): Promise<ChangeAnswer> {
  const { account } = work;
  try {
    const [state] = await session.query<State>(question, [account]);
    const fault = state === undefined ? undefined : faultOf(state, account, work.by.login.user);
    return fault === undefined ? { said: 'confirmed', class: 'none', words: '' } : { said: 'unsent', ...fault };
  } catch (error) {
    return { said: 'unsent', class: 'unexpected', words: wordsOf(error) };
  }
}

function faultOf(state: State, account: string, user: string): { class: AnswerClass; words: string } | undefined {
  if (state.version < 100_000) return { class: 'unsupported', words: 'PostgreSQL before version 10 knows no SCRAM' };
  if (state.standby)
    return { class: 'unsupported', words: 'this server is a standby; roles are changed on its primary' };
  if (state.login === null) return { class: 'missing', words: `there is no role ${account}` };
  if (!state.login) return { class: 'locked', words: `${account} may not log in (NOLOGIN)` };
  // The date stays when the password changes, so that the new one would be refused like the old one.
  if (state.expired === true)
    return { class: 'expired', words: `${account} is past its VALID UNTIL, and so would be every new password` };
  return mayChange(state)
    ? undefined
    : { class: 'permission', words: `${user} may not change ${account}: ${needs(state)}` };
}

/** As ALTER ROLE decides it. */
function mayChange(state: State): boolean {
  if (state.super || state.self === true) return true;
  if (!state.creator || state.target_super === true) return false;
  return state.version < 160_000 || state.admin_of === true;
}

function needs({ target_super: aboveAll, version }: State): string {
  if (aboveAll === true) return 'only a superuser may change a superuser';
  return version < 160_000 ? 'CREATEROLE is needed' : 'CREATEROLE and ADMIN OPTION on that role are needed';
}

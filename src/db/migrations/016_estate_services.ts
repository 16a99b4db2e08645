/** Services that people do not log in to through a gate, but whose accounts are kept: databases, directories, devices. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table service drop constraint service_protocol_known`.execute(db);
  await sql`alter table service add constraint service_protocol_known
    check (protocol in ('ssh', 'rdp', 'telnet', 'postgres', 'mysql', 'ldap', 'ldaps'))`.execute(db);
  await sql`alter table service add constraint service_settings_object
    check (jsonb_typeof(settings) = 'object')`.execute(db);
}

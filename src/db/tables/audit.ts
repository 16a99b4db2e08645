/** Tables of the audit room, as kysely sees them. Migrations: `db/migrations/`. */

// biome-ignore lint/complexity/noBannedTypes: filled by the room
export type AuditTables = {};

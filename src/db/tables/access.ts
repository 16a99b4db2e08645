/** Tables of the access room, as kysely sees them. Migrations: `db/migrations/`. */

// biome-ignore lint/complexity/noBannedTypes: filled by the room
export type AccessTables = {};

/** Tables of the recording room, as kysely sees them. Migrations: `db/migrations/`. */

// biome-ignore lint/complexity/noBannedTypes: filled by the room
export type RecordingTables = {};

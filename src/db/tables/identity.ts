/** Tables of the identity room, as kysely sees them. Migrations: `db/migrations/`. */

// biome-ignore lint/complexity/noBannedTypes: filled by the room
export type IdentityTables = {};

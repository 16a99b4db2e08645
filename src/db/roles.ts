/** The two database roles. */

/** Owns every table; migrates. */
export const ownerRole = 'sallyport_owner';
/** Runs the program: reads and writes rows, changes no table, and no row of an append-only one. */
export const appRole = 'sallyport_app';

/** The times that the processes of a run go by: short where something waits for them, so long elsewhere that they never pass. */
import type { Timing } from '../src/rotation/rotation.ts';

export const timing: Timing = { connectorMs: 30_000, leaseMs: 600_000, targetSeconds: 8, pollMs: 3_600_000 };

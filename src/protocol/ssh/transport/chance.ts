/**
 * Random bytes from a pool: padding needs a few for each packet, and asking the system for each would cost as much as
 * encrypting it. The pool is refilled before a byte would be used twice, and used bytes are wiped.
 */
import { randomFillSync } from 'node:crypto';
import type { Chance } from './output.ts';

const pool = new Uint8Array(16384);
let used = pool.length;

export const drawRandom: Chance = (into, at, count) => {
  if (count > pool.length) {
    randomFillSync(into, at, count);
    return;
  }
  if (used + count > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (let i = 0; i < count; i++) {
    into[at + i] = pool[used] as number;
    pool[used++] = 0;
  }
};

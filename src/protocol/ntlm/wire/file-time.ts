/** FILETIME (MS-DTYP §2.3.3): units of 100 ns since 1601-01-01 UTC. Pure: the time is the caller's. */

const of1970 = 116_444_736_000_000_000n;

/** Of milliseconds since 1970, as clocks here count. */
export function fileTime(milliseconds: number): bigint {
  return BigInt(Math.trunc(milliseconds)) * 10_000n + of1970;
}

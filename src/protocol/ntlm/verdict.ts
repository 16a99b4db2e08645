/**
 * Whether somebody knows a password, from what he sent and the NT hash (MS-NLMP §3.3.2). Whoever holds the hash runs this;
 * the acceptor, which faces strangers, only asks and gets a key for this one exchange.
 */
import { equal, ntowfv2, ntProof, sessionBaseKey } from './keys.ts';

/** What a client claims in its AUTHENTICATE. */
export interface NtlmClaim {
  readonly user: string;
  readonly domain: string;
  /** The 8 bytes that the acceptor sent. */
  readonly serverChallenge: Uint8Array;
  /** NTProofStr, 16 bytes. */
  readonly proof: Uint8Array;
  /** The response after NTProofStr. */
  readonly blob: Uint8Array;
}

/** In place of a hash that is not there. Nobody's password: the outcome is refused whatever it hashes to. */
const nobody = new Uint8Array(16);

/**
 * The session base key if the claim's proof was made with this NT hash, else undefined. Without a hash it does the same
 * work and answers undefined, so that time does not tell who exists. The key is the caller's to send on and zero.
 */
export function ntlmVerdict(hash: Uint8Array | undefined, claim: NtlmClaim): Uint8Array | undefined {
  const owf = ntowfv2(hash ?? nobody, claim.user, claim.domain);
  const due = ntProof(owf, claim.serverChallenge, claim.blob);
  const key = sessionBaseKey(owf, due);
  owf.fill(0);
  const proven = equal(due, claim.proof);
  if (proven && hash !== undefined) return key;
  key.fill(0);
  return undefined;
}

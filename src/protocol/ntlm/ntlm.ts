/**
 * The door of NTLM for whoever keeps hashes: what a password becomes, and whether a claim was made with it (MS-NLMP
 * §3.3.2). MD5 and MD4 are broken as hashes; here they only carry secrets of 140 random bits.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { Secret } from '../../base/secret.ts';
import { LittleWriter } from '../wire/little-writer.ts';
import { md4 } from './wire/md4.ts';

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

/** The NT hash of a password in UTF-8: as good as the password itself to whoever holds it. */
export function ntHash(password: Secret): Secret {
  return new Secret(md4(new LittleWriter().utf16(password.revealText()).finish()));
}

const nobody = new Uint8Array(16);

/** The session base key if the proof was made with this hash, else undefined; without a hash after the same work. */
export function ntlmVerdict(hash: Uint8Array | undefined, claim: NtlmClaim): Uint8Array | undefined {
  const name = new LittleWriter().utf16(claim.user.toUpperCase()).utf16(claim.domain).finish();
  const owf = hmacMd5(hash ?? nobody, name);
  const due = hmacMd5(owf, claim.serverChallenge, claim.blob);
  const key = hmacMd5(owf, due);
  owf.fill(0);
  const proven = claim.proof.length === due.length && timingSafeEqual(claim.proof, due);
  if (proven && hash !== undefined) return key;
  key.fill(0);
  return undefined;
}

function hmacMd5(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('md5', key);
  for (const part of parts) hmac.update(part);
  return new Uint8Array(hmac.digest());
}

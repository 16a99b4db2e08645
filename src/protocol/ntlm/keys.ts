/**
 * The keys of NTLMv2 (MS-NLMP §3.3.2, §3.4.5) and the two bindings to the TLS channel (MS-NLMP §2.2.2.1, MS-CSSP §3.1.5).
 * MD5 and HMAC-MD5 come from Node; where it has none, as in FIPS mode, `requireHashes` says so before anything starts.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { concat, utf8 } from '../../base/bytes.ts';
import { Secret } from '../../base/secret.ts';
import { LittleWriter } from '../wire/little-writer.ts';
import { NtlmError } from './errors.ts';
import { md4 } from './wire/md4.ts';
import { utf16FromUtf8 } from './wire/transcode.ts';

/** Throws `ntlm.hash-forbidden` where this Node may not compute MD5. Both roles ask before their first message. */
export function requireHashes(): void {
  try {
    createHash('md5').digest();
    createHmac('md5', new Uint8Array(16)).digest();
  } catch (error) {
    throw new NtlmError('ntlm.hash-forbidden', undefined, { cause: error });
  }
}

export function md5(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

export function hmacMd5(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('md5', key);
  for (const part of parts) hmac.update(part);
  return new Uint8Array(hmac.digest());
}

/** The NT hash of a password in UTF-8: as good as the password itself to whoever holds it. */
export function ntHash(password: Secret): Secret {
  const utf16 = utf16FromUtf8(password.reveal());
  if (utf16 === undefined) throw new NtlmError('ntlm.password-text');
  try {
    return new Secret(md4(utf16));
  } finally {
    utf16.fill(0);
  }
}

/** NTOWFv2: the user in upper case, the domain exactly as the client sent it. */
export function ntowfv2(hash: Uint8Array, user: string, domain: string): Uint8Array {
  return hmacMd5(hash, new LittleWriter().utf16(upperCase(user)).utf16(domain).finish());
}

/** One unit for one unit, as Windows does it: what would become longer (ß) stays. */
function upperCase(text: string): string {
  let out = '';
  for (let i = 0; i < text.length; i++) {
    const unit = text.charAt(i);
    const upper = unit.toUpperCase();
    out += upper.length === 1 ? upper : unit;
  }
  return out;
}

/** NTProofStr: what shows that the client knows the key, for this challenge and this blob. */
export function ntProof(owf: Uint8Array, serverChallenge: Uint8Array, blob: Uint8Array): Uint8Array {
  return hmacMd5(owf, serverChallenge, blob);
}

/** SessionBaseKey, which with NTLMv2 is the key exchange key as well. */
export function sessionBaseKey(owf: Uint8Array, proof: Uint8Array): Uint8Array {
  return hmacMd5(owf, proof);
}

export type Direction = 'client-to-server' | 'server-to-client';

function magic(direction: Direction, duty: 'signing' | 'sealing'): Uint8Array {
  return utf8(`session key to ${direction} ${duty} key magic constant\0`);
}

/** SIGNKEY of §3.4.5.2. */
export function signKey(exported: Uint8Array, direction: Direction): Uint8Array {
  return md5(exported, magic(direction, 'signing'));
}

/** SEALKEY of §3.4.5.3, for 128 bits. */
export function sealKey(exported: Uint8Array, direction: Direction): Uint8Array {
  return md5(exported, magic(direction, 'sealing'));
}

/** The MIC of a whole exchange; in `authenticate` the place of the MIC is zero. */
export function messagesMic(
  exported: Uint8Array,
  negotiate: Uint8Array,
  challenge: Uint8Array,
  authenticate: Uint8Array,
): Uint8Array {
  return hmacMd5(exported, negotiate, challenge, authenticate);
}

/** The AV pair that binds to a certificate (RFC 5929 §4): MD5 of a gss_channel_bindings_struct without addresses. */
export function channelBindings(certificate: Uint8Array, hash: 'sha256' | 'sha384' | 'sha512'): Uint8Array {
  const data = concat([utf8('tls-server-end-point:'), createHash(hash).update(certificate).digest()]);
  return md5(new LittleWriter(20).zeros(16).u32(data.length).finish(), data);
}

/**
 * What `pubKeyAuth` holds when it is opened: from version 5 on a hash over nonce and key, before that the key itself,
 * and as the server's answer the key with its first byte raised by one.
 */
export function keyBinding(
  direction: Direction,
  version: number,
  nonce: Uint8Array,
  publicKey: Uint8Array,
): Uint8Array {
  if (version >= 5) {
    const words = direction === 'client-to-server' ? 'Client-To-Server' : 'Server-To-Client';
    const hash = createHash('sha256').update(utf8(`CredSSP ${words} Binding Hash\0`));
    return new Uint8Array(hash.update(nonce).update(publicKey).digest());
  }
  const key = new Uint8Array(publicKey);
  if (direction === 'server-to-client') key[0] = (key[0] ?? 0) + 1;
  return key;
}

/** Constant-time in the content; the lengths are not hidden. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

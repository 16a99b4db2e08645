/**
 * The client's half of one NTLM exchange, without CredSSP around it: NTLMv2 with MIC, channel bindings and the name of the
 * service, whatever the server would have been content with.
 */
import { type Refusal, refuse } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { LittleReader } from '../wire/little-reader.ts';
import { isViolation } from '../wire/violation.ts';
import type { NtlmErrorCode } from './errors.ts';
import { messagesMic, ntHash, ntowfv2, ntProof, sessionBaseKey } from './keys.ts';
import { av, avFlags, avFlagsValue, avHasMic, avText, decodeAvPairs, encodeClientChallenge } from './wire/av-pairs.ts';
import {
  decodeChallenge,
  encodeAuthenticate,
  encodeNegotiate,
  flag,
  hasAll,
  micOffset,
  neededFlags,
} from './wire/messages.ts';
import { Rc4 } from './wire/rc4.ts';
import { concat } from '../../base/bytes.ts';

/** Who logs in where. The password stays the caller's. */
export interface NtlmClient {
  readonly user: string;
  /** As it is to be sent; empty for an account of the machine itself, or with a user of the form `name@domain`. */
  readonly domain: string;
  readonly password: Secret;
  /** The service principal, such as `TERMSRV/web-01`. */
  readonly service: string;
  /** Channel bindings of the certificate that the server showed; undefined where there is no channel to bind to. */
  readonly bindings: Uint8Array | undefined;
  /** FILETIME, used only where the server tells no time. */
  readonly now: bigint;
  readonly chance: (count: number) => Uint8Array;
}

const offered =
  (neededFlags | flag.seal | flag.requestTarget | flag.ntlm | flag.alwaysSign | flag.version | flag.key56) >>> 0;

/** The first message, the same for everybody. */
export function ourNegotiate(): Uint8Array {
  return encodeNegotiate({ flags: offered });
}

/** AUTHENTICATE for a challenge, and the key of what follows, which is the caller's to zero. */
export function answerChallenge(
  client: NtlmClient,
  negotiate: Uint8Array,
  challengeBytes: Uint8Array,
): { readonly authenticate: Uint8Array; readonly exported: Uint8Array } | Refusal<NtlmErrorCode> {
  const challenge = decodeChallenge(challengeBytes);
  if (isViolation(challenge)) return refuse('ntlm.malformed', challenge.violation);
  if (!hasAll(challenge.flags, neededFlags | flag.targetInfo))
    return refuse('ntlm.weak', `flags of CHALLENGE are 0x${challenge.flags.toString(16).padStart(8, '0')}`);
  // It comes back inside a field of 16 bits; real ones have a few hundred bytes.
  if (challenge.targetInfo.length > 8192) return refuse('ntlm.malformed', 'target information is too large');
  const theirs = decodeAvPairs(challenge.targetInfo);
  if (isViolation(theirs)) return refuse('ntlm.malformed', theirs.violation);
  const pairs = new Map(theirs);
  pairs.set(av.flags, avFlagsValue((avFlags(theirs) | avHasMic) >>> 0));
  if (client.bindings !== undefined) pairs.set(av.channelBindings, client.bindings);
  pairs.set(av.targetName, avText(client.service));
  const told = theirs.get(av.timestamp);
  const timestamp = told?.length === 8 ? new LittleReader(told).u64() : client.now;
  const blob = encodeClientChallenge({ timestamp, challenge: client.chance(8), pairs });

  using hash = ntHash(client.password);
  const owf = ntowfv2(hash.reveal(), client.user, client.domain);
  const proof = ntProof(owf, challenge.serverChallenge, blob);
  const baseKey = sessionBaseKey(owf, proof);
  const exported = new Uint8Array(client.chance(16));
  const rc4 = new Rc4(baseKey);
  const authenticate = encodeAuthenticate({
    flags: (challenge.flags & (offered | flag.targetInfo)) >>> 0,
    // no LM response: 24 zeros, as a client sends them whose server told the time (MS-NLMP §3.1.5.1.2)
    lmResponse: new Uint8Array(24),
    ntResponse: concat([proof, blob]),
    domain: client.domain,
    user: client.user,
    workstation: '',
    encryptedKey: rc4.apply(exported),
  });
  authenticate.set(messagesMic(exported, negotiate, challengeBytes, authenticate), micOffset);
  rc4.wipe();
  owf.fill(0);
  baseKey.fill(0);
  return { authenticate, exported };
}

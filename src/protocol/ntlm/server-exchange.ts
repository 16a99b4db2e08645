/**
 * The server's half of one NTLM exchange, without CredSSP around it: the challenge, the claim in the answer, and the session
 * key once the claim was judged. Only NTLMv2 with a MIC passes; LM and NTLMv1 answers are refused unread.
 */
import { type Refusal, refuse } from '../../base/errors.ts';
import { isViolation } from '../wire/violation.ts';
import type { NtlmErrorCode } from './errors.ts';
import { equal, messagesMic } from './keys.ts';
import type { NtlmClaim } from './verdict.ts';
import { av, avFlags, avHasMic, avText, decodeClientChallenge, encodeAvPairs } from './wire/av-pairs.ts';
import {
  type Authenticate,
  decodeAuthenticate,
  decodeNegotiate,
  encodeChallenge,
  flag,
  hasAll,
  neededFlags,
} from './wire/messages.ts';
import { Rc4 } from './wire/rc4.ts';
import { LittleWriter } from '../wire/little-writer.ts';

/** How the server calls itself. Clients mix the names into their answer and otherwise take no notice. */
export interface ServerNames {
  readonly netbios: string;
  readonly dns: string;
}

/** What must be kept of the first two messages until the third. */
export interface Challenged {
  readonly negotiate: Uint8Array;
  readonly challenge: Uint8Array;
  readonly serverChallenge: Uint8Array;
}

/** A claim that is well-formed and still unproven. */
export interface Claimed {
  readonly claim: NtlmClaim;
  readonly message: Authenticate;
  readonly bytes: Uint8Array;
  readonly micAt: number;
}

type Refused = Refusal<NtlmErrorCode>;

/** Answers NEGOTIATE. `now` is FILETIME, 100 ns since 1601; `chance` gives so many random bytes. */
export function challengeFor(
  bytes: Uint8Array,
  names: ServerNames,
  now: bigint,
  chance: (count: number) => Uint8Array,
): Challenged | Refused {
  const negotiate = decodeNegotiate(bytes);
  if (isViolation(negotiate)) return refuse('ntlm.malformed', negotiate.violation);
  if (!hasAll(negotiate.flags, neededFlags)) return refuse('ntlm.weak', flagWords('NEGOTIATE', negotiate.flags));
  const agreed = flag.seal | flag.ntlm | flag.alwaysSign | flag.key56 | flag.requestTarget;
  const ours = neededFlags | flag.targetTypeServer | flag.targetInfo | flag.version | flag.ntlm;
  const serverChallenge = chance(8);
  const challenge = encodeChallenge({
    flags: ((negotiate.flags & agreed) | ours) >>> 0,
    targetName: names.netbios,
    serverChallenge,
    // The timestamp obliges the client to send a MIC (MS-NLMP §3.1.5.1.2).
    targetInfo: encodeAvPairs(
      new Map([
        [av.netbiosDomain, avText(names.netbios)],
        [av.netbiosComputer, avText(names.netbios)],
        [av.dnsDomain, avText(names.dns)],
        [av.dnsComputer, avText(names.dns)],
        [av.timestamp, new LittleWriter(8).u64(now).finish()],
      ]),
    ),
  });
  return { negotiate: new Uint8Array(bytes), challenge, serverChallenge };
}

function flagWords(name: string, flags: number): string {
  return `flags of ${name} are 0x${flags.toString(16).padStart(8, '0')}`;
}

/** Reads AUTHENTICATE as far as it can be judged without a key. `bindings` are those of our own certificate. */
export function claimIn(bytes: Uint8Array, asked: Challenged, bindings: Uint8Array): Claimed | Refused {
  const message = decodeAuthenticate(bytes);
  if (isViolation(message)) return refuse('ntlm.malformed', message.violation);
  if (message.user === '' || (message.flags & flag.anonymous) !== 0)
    return refuse('ntlm.anonymous', 'AUTHENTICATE names no user');
  if (!hasAll(message.flags, neededFlags)) return refuse('ntlm.weak', flagWords('AUTHENTICATE', message.flags));
  // 24 bytes and less are LM and NTLMv1; an NTLMv2 response has 16 of proof and 28 before its pairs
  if (message.ntResponse.length < 16 + 28 + 4) return refuse('ntlm.weak', 'the response is not NTLMv2');
  if (message.encryptedKey.length !== 16) return refuse('ntlm.malformed', 'session key has not 16 bytes');
  const blob = message.ntResponse.subarray(16);
  const theirs = decodeClientChallenge(blob);
  if (isViolation(theirs)) return refuse('ntlm.malformed', theirs.violation);
  if ((avFlags(theirs.pairs) & avHasMic) === 0 || message.micAt === undefined)
    return refuse('ntlm.weak', 'AUTHENTICATE carries no MIC');
  const bound = theirs.pairs.get(av.channelBindings);
  // All zero says that the client knows no bindings; those of another channel were made by somebody between.
  if (bound?.some((byte) => byte !== 0) && !equal(bound, bindings))
    return refuse('ntlm.channel-bindings', 'channel bindings are of another certificate');
  const { user, domain, ntResponse, micAt } = message;
  const proof = ntResponse.subarray(0, 16);
  const claim = { user, domain, serverChallenge: asked.serverChallenge, proof, blob };
  return { claim, message, bytes: new Uint8Array(bytes), micAt };
}

/** The exported session key of a claim that was judged good, if the three messages arrived as they were sent. */
export function exportedKey(baseKey: Uint8Array, asked: Challenged, claimed: Claimed): Uint8Array | Refused {
  const rc4 = new Rc4(baseKey);
  const exported = rc4.apply(claimed.message.encryptedKey);
  rc4.wipe();
  const bare = new Uint8Array(claimed.bytes);
  const mic = bare.slice(claimed.micAt, claimed.micAt + 16);
  bare.fill(0, claimed.micAt, claimed.micAt + 16);
  if (equal(messagesMic(exported, asked.negotiate, asked.challenge, bare), mic)) return exported;
  exported.fill(0);
  return refuse('ntlm.altered', 'the MIC over the three messages is wrong');
}

/**
 * The client of CredSSP (MS-CSSP §3.1), version 6 and down to the server's, as a machine without sockets. NTLM goes bare,
 * without SPNEGO around it.
 *
 * INVARIANT: the credentials are sealed only after the server proved, with the key that came from the password, that it owns
 * the TLS key that was shown to us. A server that cannot is refused, and has learnt nothing but an NTLMv2 response.
 */
import { isRefusal, type Refusal, refuse } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { isViolation } from '../wire/violation.ts';
import { credsspVersion } from './acceptor.ts';
import { answerChallenge, ourNegotiate } from './client-exchange.ts';
import { NtlmError, type NtlmErrorCode } from './errors.ts';
import { channelBindings, equal, keyBinding, requireHashes } from './keys.ts';
import { Sealing } from './sealing.ts';
import { refusalOfStatus } from './status.ts';
import { type CertificateParts, decodeCertificate } from './wire/certificate.ts';
import { encodeTsCredentials } from './wire/ts-credentials.ts';
import { decodeTsRequest, encodeTsRequest, type TsRequest } from './wire/ts-request.ts';
import { utf16FromUtf8 } from './wire/transcode.ts';

export interface InitiatorOptions {
  readonly user: string;
  /** Empty for an account of the machine itself, or with a user of the form `name@domain`. */
  readonly domain: string;
  /** Stays the caller's, and must live until the login is done. */
  readonly password: Secret;
  /** The name in the service principal `TERMSRV/host`. */
  readonly host: string;
  /** DER of the leaf certificate that the server showed. Whether it is the right one is the caller's to know. */
  readonly certificate: Uint8Array;
  /** FILETIME (`fileTime`), used only where the server tells no time. */
  readonly now: bigint;
  /** So many bytes of good chance. */
  readonly chance: (count: number) => Uint8Array;
  /** Servers below this version are refused; 2 unless given. Below 5, a `pubKeyAuth` can be replayed (CVE-2018-0886). */
  readonly leastVersion?: number | undefined;
}

export type InitiatorStep =
  | { readonly send: Uint8Array; readonly done: boolean; readonly refused?: undefined }
  | { readonly send?: undefined; readonly done?: undefined; readonly refused: Refusal<NtlmErrorCode> };

export interface Initiator extends Disposable {
  /** The first TSRequest. */
  readonly first: Uint8Array;
  /** Takes one whole TSRequest. When `done`, the login is over once `send` is sent: the server answers nothing. */
  step(answer: Uint8Array): InitiatorStep;
}

type State =
  | { readonly at: 'negotiated' }
  | { readonly at: 'authenticated'; readonly sealing: Sealing; readonly nonce: Uint8Array; readonly version: number }
  | { readonly at: 'ended' };

type Outcome = { readonly next: State; readonly message: Omit<TsRequest, 'version'> };

/** Throws `ntlm.hash-forbidden` where there is no MD5. A certificate that cannot be read is refused with the first step. */
export function openInitiator(options: InitiatorOptions): Initiator {
  requireHashes();
  return new CredsspInitiator(options);
}

class CredsspInitiator implements Initiator {
  readonly first: Uint8Array;
  readonly #options: InitiatorOptions;
  readonly #negotiate = ourNegotiate();
  #state: State = { at: 'negotiated' };

  constructor(options: InitiatorOptions) {
    this.#options = options;
    this.first = encodeTsRequest({ version: credsspVersion, negoToken: this.#negotiate });
  }

  step(bytes: Uint8Array): InitiatorStep {
    const state = this.#state;
    this.#state = { at: 'ended' };
    const outcome = this.#take(state, bytes);
    if (isRefusal(outcome)) {
      wipe(state);
      return { refused: outcome };
    }
    this.#state = outcome.next;
    const send = encodeTsRequest({ version: credsspVersion, ...outcome.message });
    return { send, done: outcome.next.at === 'ended' };
  }

  [Symbol.dispose](): void {
    wipe(this.#state);
    this.#state = { at: 'ended' };
  }

  #take(state: State, bytes: Uint8Array): Outcome | Refusal<NtlmErrorCode> {
    const answer = decodeTsRequest(bytes);
    if (isViolation(answer)) return refuse('ntlm.malformed', answer.violation);
    if (state.at === 'ended') return refuse('ntlm.protocol', 'the login has ended');
    if (answer.errorCode !== undefined) return refusalOfStatus(answer.errorCode);
    if (answer.version < Math.max(2, this.#options.leastVersion ?? 2))
      return refuse('ntlm.version', `server speaks version ${answer.version}`);
    const parts = decodeCertificate(this.#options.certificate);
    if (isViolation(parts)) return refuse('ntlm.malformed', `certificate of the server: ${parts.violation}`);
    if (state.at === 'negotiated') return this.#authenticate(answer, parts);
    return this.#delegate(state, answer, parts);
  }

  #authenticate(answer: TsRequest, parts: CertificateParts): Outcome | Refusal<NtlmErrorCode> {
    if (answer.negoToken === undefined) return refuse('ntlm.protocol', 'a challenge is due');
    const { certificate, host, ...who } = this.#options;
    const bindings = channelBindings(certificate, parts.endPointHash);
    const client = { ...who, service: `TERMSRV/${host}`, bindings };
    const answered = answerChallenge(client, this.#negotiate, answer.negoToken);
    if (isRefusal(answered)) return answered;
    const sealing = new Sealing(answered.exported, 'client');
    answered.exported.fill(0);
    const version = Math.min(credsspVersion, answer.version);
    const nonce = this.#options.chance(32);
    const pubKeyAuth = sealing.seal(keyBinding('client-to-server', version, nonce, parts.subjectPublicKey));
    const message = { negoToken: answered.authenticate, pubKeyAuth };
    const next = { at: 'authenticated', sealing, nonce, version } as const;
    return { next, message: version >= 5 ? { ...message, clientNonce: nonce } : message };
  }

  #delegate(
    state: Extract<State, { at: 'authenticated' }>,
    answer: TsRequest,
    parts: CertificateParts,
  ): Outcome | Refusal<NtlmErrorCode> {
    if (Math.min(credsspVersion, answer.version) !== state.version)
      return refuse('ntlm.protocol', 'server changed its version');
    if (answer.pubKeyAuth === undefined) return refuse('ntlm.protocol', 'pubKeyAuth is due');
    const seen = state.sealing.open(answer.pubKeyAuth);
    const due = keyBinding('server-to-client', state.version, state.nonce, parts.subjectPublicKey);
    if (seen === undefined || !equal(seen, due))
      return refuse('ntlm.public-key', 'server did not prove that the TLS key is its own');
    const { user, domain } = this.#options;
    const password = utf16FromUtf8(this.#options.password.reveal());
    if (password === undefined) throw new NtlmError('ntlm.password-text');
    const credentials = encodeTsCredentials({ domain, user, password });
    password.fill(0);
    const authInfo = state.sealing.seal(credentials);
    credentials.fill(0);
    wipe(state);
    return { next: { at: 'ended' }, message: { authInfo } };
  }
}

function wipe(state: State): void {
  if (state.at === 'authenticated') state.sealing[Symbol.dispose]();
}

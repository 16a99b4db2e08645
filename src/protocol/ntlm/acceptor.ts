/**
 * The server of CredSSP (MS-CSSP §3.1), versions 2 to 6, as a machine without sockets: one whole TSRequest in, at most one
 * out. It takes NTLM bare and inside SPNEGO.
 *
 * INVARIANT: no password and no hash of one is here before the client delegates its own: who somebody is decides `judge`,
 * elsewhere. INVARIANT: what the client delegates is opened only after it proved that it saw our TLS key. Whatever is
 * refused, the client is told one thing, and the machine is dead afterwards: a message that comes again finds nothing.
 *
 * A proof that `judge` finds good may still fail at the MIC or at the TLS key (somebody sits between), so a one-time
 * password is used up when `done` comes and not before.
 */
import { isRefusal, type Refusal, refuse } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { isViolation } from '../wire/violation.ts';
import type { NtlmErrorCode } from './errors.ts';
import { channelBindings, equal, keyBinding, requireHashes } from './keys.ts';
import { Sealing } from './sealing.ts';
import { type Challenged, challengeFor, claimIn, exportedKey, type ServerNames } from './server-exchange.ts';
import { logonFailure } from './status.ts';
import type { NtlmClaim } from './verdict.ts';
import { decodeCertificate } from './wire/certificate.ts';
import { startsAsNtlm } from './wire/messages.ts';
import { decodeSpnego, encodeResp, mech, negState } from './wire/spnego.ts';
import { decodeTsCredentials } from './wire/ts-credentials.ts';
import { decodeTsRequest, encodeTsRequest, type TsRequest } from './wire/ts-request.ts';
import { utf8FromUtf16 } from './wire/transcode.ts';

/** Our highest version. The one that holds is the lower of both sides'. */
export const credsspVersion = 6;

/** The session base key of a good claim (see `ntlmVerdict`), or undefined. The key is the acceptor's to zero. */
export type Judge = (claim: NtlmClaim, signal: AbortSignal) => Promise<Uint8Array | undefined>;

export interface AcceptorOptions {
  /** DER of our own leaf certificate, which the TLS channel shows. */
  readonly certificate: Uint8Array;
  readonly names: ServerNames;
  /** FILETIME (`fileTime`). Clients refuse a server whose clock is far from theirs. */
  readonly now: bigint;
  /** So many bytes of good chance. */
  readonly chance: (count: number) => Uint8Array;
  readonly judge: Judge;
  /** Clients below this version are refused; 2 unless given. Below 5, a `pubKeyAuth` can be replayed (CVE-2018-0886). */
  readonly leastVersion?: number | undefined;
}

/** A login that is proven. */
export interface Accepted {
  /** User and domain of the NTLM proof, as the client sent them. */
  readonly user: string;
  readonly domain: string;
  /** What the client delegated; it need not be the same account. The password is the caller's to dispose. */
  readonly credentials: { readonly domain: string; readonly user: string; readonly password: Secret };
}

export type AcceptorStep =
  | { readonly send?: Uint8Array; readonly done?: Accepted; readonly refused?: undefined }
  | { readonly send?: Uint8Array; readonly done?: undefined; readonly refused: Refusal<NtlmErrorCode> };

export interface Acceptor extends Disposable {
  /** Takes one whole TSRequest (cut with `tsRequestLength`), one at a time. Throws only what `judge` throws. */
  step(request: Uint8Array, signal: AbortSignal): Promise<AcceptorStep>;
}

/** What SPNEGO needs until both sides signed the list; undefined when NTLM came bare. */
interface Negotiation {
  readonly mechList: Uint8Array;
  /** The client preferred something else, so the list must be signed (RFC 4178 §5). */
  readonly micDue: boolean;
}

type State =
  | { readonly at: 'start' }
  | { readonly at: 'mechanism'; readonly spnego: Negotiation }
  | { readonly at: 'challenged'; readonly asked: Challenged; readonly spnego: Negotiation | undefined }
  | { readonly at: 'proven'; readonly sealing: Sealing; readonly user: string; readonly domain: string }
  | { readonly at: 'bound'; readonly sealing: Sealing; readonly user: string; readonly domain: string }
  | { readonly at: 'ended' };

type Refused = Refusal<NtlmErrorCode>;
type Outcome = { readonly next: State; readonly reply?: Omit<TsRequest, 'version'>; readonly done?: Accepted };

/** Throws `ntlm.hash-forbidden` where there is no MD5, and RangeError if the certificate is none. */
export function openAcceptor(options: AcceptorOptions): Acceptor {
  requireHashes();
  return new CredsspAcceptor(options);
}

class CredsspAcceptor implements Acceptor {
  readonly #options: AcceptorOptions;
  readonly #publicKey: Uint8Array;
  readonly #bindings: Uint8Array;
  #state: State = { at: 'start' };
  #closed = false;
  /** The version that the client named in its first message. */
  #theirs: number | undefined;

  constructor(options: AcceptorOptions) {
    const parts = decodeCertificate(options.certificate);
    if (isViolation(parts)) throw new RangeError(`our own certificate: ${parts.violation}`);
    this.#options = options;
    this.#publicKey = parts.subjectPublicKey;
    this.#bindings = channelBindings(options.certificate, parts.endPointHash);
  }

  async step(bytes: Uint8Array, signal: AbortSignal): Promise<AcceptorStep> {
    const state = this.#state;
    // Until a step has succeeded there is nothing to go on from: a failure in it ends the login.
    this.#state = { at: 'ended' };
    let outcome: Outcome | Refused;
    try {
      outcome = await this.#take(state, bytes, signal);
    } catch (error) {
      wipe(state);
      throw error;
    }
    if (isRefusal(outcome)) {
      wipe(state);
      return { ...this.#failure(), refused: outcome };
    }
    const { next, reply, done } = outcome;
    if (this.#closed) wipe(next);
    else this.#state = next;
    const send = reply === undefined ? {} : { send: encodeTsRequest({ version: credsspVersion, ...reply }) };
    return done === undefined ? send : { ...send, done };
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    wipe(this.#state);
    this.#state = { at: 'ended' };
  }

  /** One answer for all that is refused. Version 5 and those before 3 know none (MS-CSSP §2.2.1). */
  #failure(): { readonly send?: Uint8Array } {
    const version = Math.min(credsspVersion, this.#theirs ?? 0);
    if (version < 3 || version === 5) return {};
    return { send: encodeTsRequest({ version: credsspVersion, errorCode: logonFailure }) };
  }

  async #take(state: State, bytes: Uint8Array, signal: AbortSignal): Promise<Outcome | Refused> {
    const request = decodeTsRequest(bytes);
    if (isViolation(request)) return refuse('ntlm.malformed', request.violation);
    const { version } = request;
    if (this.#theirs === undefined && version >= 2) this.#theirs = version;
    if (version < Math.max(2, this.#options.leastVersion ?? 2))
      return refuse('ntlm.version', `client speaks version ${version}`);
    if (version !== this.#theirs) return refuse('ntlm.protocol', 'client changed its version');
    switch (state.at) {
      case 'start':
        return this.#start(request.negoToken);
      case 'mechanism':
        return this.#mechanism(state.spnego, request.negoToken);
      case 'challenged':
        return await this.#judge(state.asked, state.spnego, request, signal);
      case 'proven':
        return this.#bind(state, request);
      case 'bound':
        return this.#credentials(state, request);
      case 'ended':
        return refuse('ntlm.protocol', 'the login has ended');
      default:
        return state satisfies never;
    }
  }

  #start(token: Uint8Array | undefined): Outcome | Refused {
    if (token === undefined) return refuse('ntlm.protocol', 'first message without a token');
    if (startsAsNtlm(token)) return this.#challenge(token, undefined, false);
    const init = decodeSpnego(token);
    if (isViolation(init)) return refuse('ntlm.malformed', init.violation);
    if (init.kind !== 'init') return refuse('ntlm.protocol', 'SPNEGO starts with an answer');
    if (!init.mechs.includes(mech.ntlm))
      return refuse('ntlm.no-common-mechanism', `client offers ${init.mechs.join(', ')}`);
    const preferred = init.mechs[0] === mech.ntlm;
    const spnego = { mechList: new Uint8Array(init.mechList), micDue: !preferred };
    if (preferred && init.token !== undefined) return this.#challenge(init.token, spnego, true);
    // The first message is of another mechanism, or missing: name ours and let the client begin again.
    const state = preferred ? negState.incomplete : negState.requestMic;
    const negoToken = encodeResp({ state, mech: mech.ntlm, token: undefined, mic: undefined });
    return { next: { at: 'mechanism', spnego }, reply: { negoToken } };
  }

  #mechanism(spnego: Negotiation, token: Uint8Array | undefined): Outcome | Refused {
    const answer = answerIn(token);
    if (isRefusal(answer)) return answer;
    return this.#challenge(answer.token, spnego, false);
  }

  #challenge(negotiate: Uint8Array, spnego: Negotiation | undefined, first: boolean): Outcome | Refused {
    const { names, now, chance } = this.#options;
    const asked = challengeFor(negotiate, names, now, chance);
    if (isRefusal(asked)) return asked;
    const named = first ? mech.ntlm : undefined;
    const state = negState.incomplete;
    const token = asked.challenge;
    const negoToken = spnego === undefined ? token : encodeResp({ state, mech: named, token, mic: undefined });
    return { next: { at: 'challenged', asked, spnego }, reply: { negoToken } };
  }

  async #judge(
    asked: Challenged,
    spnego: Negotiation | undefined,
    request: TsRequest,
    signal: AbortSignal,
  ): Promise<Outcome | Refused> {
    const answer = spnego === undefined ? bareIn(request.negoToken) : answerIn(request.negoToken);
    if (isRefusal(answer)) return answer;
    const claimed = claimIn(answer.token, asked, this.#bindings);
    if (isRefusal(claimed)) return claimed;
    if (spnego?.micDue === true && answer.mic === undefined)
      return refuse('ntlm.protocol', 'list of mechanisms is not signed');
    const { user, domain } = claimed.claim;
    const baseKey = await this.#options.judge(claimed.claim, signal);
    if (baseKey === undefined) return refuse('ntlm.login-rejected', 'the proof is not of this user’s password');
    const exported = exportedKey(baseKey, asked, claimed);
    baseKey.fill(0);
    if (isRefusal(exported)) return exported;
    const sealing = new Sealing(exported, 'server');
    exported.fill(0);
    const proven = { at: 'proven', sealing, user, domain } as const;

    let negoToken: Uint8Array | undefined;
    if (spnego !== undefined) {
      if (answer.mic !== undefined && !sealing.verify(spnego.mechList, answer.mic))
        return refusedAfter(proven, 'ntlm.altered', 'the signature over the list of mechanisms is wrong');
      const mic = answer.mic === undefined ? undefined : sealing.sign(spnego.mechList);
      if (mic !== undefined) sealing.restartCiphers();
      negoToken = encodeResp({ state: negState.completed, mech: undefined, token: undefined, mic });
    }
    if (request.pubKeyAuth !== undefined) {
      const bound = this.#bind(proven, request);
      if (isRefusal(bound)) wipe(proven);
      return isRefusal(bound) ? bound : { ...bound, reply: { ...bound.reply, negoToken } };
    }
    // With nothing to say back, the client would wait for ever.
    if (negoToken === undefined) return refusedAfter(proven, 'ntlm.protocol', 'AUTHENTICATE without pubKeyAuth');
    return { next: proven, reply: { negoToken } };
  }

  #bind(state: Extract<State, { at: 'proven' }>, request: TsRequest): Outcome | Refused {
    const { pubKeyAuth, clientNonce } = request;
    if (pubKeyAuth === undefined) return refuse('ntlm.protocol', 'pubKeyAuth is due');
    const version = Math.min(credsspVersion, request.version);
    if (version >= 5 && clientNonce?.length !== 32) return refuse('ntlm.protocol', 'nonce of 32 bytes is due');
    const nonce = clientNonce ?? new Uint8Array(0);
    const seen = state.sealing.open(pubKeyAuth);
    if (seen === undefined) return refuse('ntlm.altered', 'pubKeyAuth does not open');
    if (!equal(seen, keyBinding('client-to-server', version, nonce, this.#publicKey)))
      return refuse('ntlm.public-key', 'client saw another TLS key than ours');
    const ours = state.sealing.seal(keyBinding('server-to-client', version, nonce, this.#publicKey));
    return { next: { ...state, at: 'bound' }, reply: { pubKeyAuth: ours } };
  }

  #credentials(state: Extract<State, { at: 'bound' }>, request: TsRequest): Outcome | Refused {
    if (request.authInfo === undefined) return refuse('ntlm.protocol', 'credentials are due');
    const opened = state.sealing.open(request.authInfo);
    if (opened === undefined) return refuse('ntlm.altered', 'credentials do not open');
    try {
      const credentials = decodeTsCredentials(opened);
      if (isViolation(credentials)) return refuse('ntlm.malformed', credentials.violation);
      if (credentials.kind !== 'password')
        return refuse('ntlm.no-password', `credentials are of type ${credentials.type}`);
      if (credentials.password.length === 0) return refuse('ntlm.no-password', 'delegated password is empty');
      const password = utf8FromUtf16(credentials.password);
      if (password === undefined) return refuse('ntlm.malformed', 'delegated password is not text');
      wipe(state);
      const { domain, user } = credentials;
      const delegated = { domain, user, password: new Secret(password) };
      return { next: { at: 'ended' }, done: { user: state.user, domain: state.domain, credentials: delegated } };
    } finally {
      opened.fill(0);
    }
  }
}

interface Answer {
  readonly token: Uint8Array;
  readonly mic: Uint8Array | undefined;
}

function bareIn(token: Uint8Array | undefined): Answer | Refused {
  return token === undefined ? refuse('ntlm.protocol', 'message without a token') : { token, mic: undefined };
}

/** The mechanism's token in a NegTokenResp. */
function answerIn(bytes: Uint8Array | undefined): Answer | Refused {
  if (bytes === undefined) return refuse('ntlm.protocol', 'message without a token');
  const answer = decodeSpnego(bytes);
  if (isViolation(answer)) return refuse('ntlm.malformed', answer.violation);
  if (answer.kind !== 'resp' || answer.token === undefined || answer.state === negState.reject)
    return refuse('ntlm.protocol', 'SPNEGO answer carries no token');
  return { token: answer.token, mic: answer.mic };
}

function refusedAfter(state: State, code: NtlmErrorCode, reason: string): Refused {
  wipe(state);
  return refuse(code, reason);
}

function wipe(state: State): void {
  if (state.at === 'proven' || state.at === 'bound') state.sealing[Symbol.dispose]();
}

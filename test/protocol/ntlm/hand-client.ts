/** A CredSSP client whose every part can be a lie, inside SPNEGO if wanted. Written for tests: it checks nothing. */
import { concat } from '../../../src/base/bytes.ts';
import { Secret } from '../../../src/base/secret.ts';
import type { Acceptor, AcceptorStep } from '../../../src/protocol/ntlm/acceptor.ts';
import {
  channelBindings,
  keyBinding,
  messagesMic,
  ntHash,
  ntowfv2,
  ntProof,
  sessionBaseKey,
} from '../../../src/protocol/ntlm/keys.ts';
import { Sealing } from '../../../src/protocol/ntlm/sealing.ts';
import { av, avFlagsValue, decodeAvPairs, encodeClientChallenge } from '../../../src/protocol/ntlm/wire/av-pairs.ts';
import {
  decodeChallenge,
  encodeAuthenticate,
  encodeNegotiate,
  micOffset,
} from '../../../src/protocol/ntlm/wire/messages.ts';
import { Rc4 } from '../../../src/protocol/ntlm/wire/rc4.ts';
import { decodeSpnego, encodeInit, encodeMechList, encodeResp, mech } from '../../../src/protocol/ntlm/wire/spnego.ts';
import { utf16FromUtf8 } from '../../../src/protocol/ntlm/wire/transcode.ts';
import { encodeTsCredentials } from '../../../src/protocol/ntlm/wire/ts-credentials.ts';
import { encodeTsRequest, type TsRequest } from '../../../src/protocol/ntlm/wire/ts-request.ts';
import { isViolation, type Violation } from '../../../src/protocol/wire/violation.ts';
import { acceptor, certificate, chance, decoded, goodPassword, never, now } from './stage.ts';

export interface Lies {
  readonly version?: number;
  readonly user?: string;
  readonly spnego?: boolean;
  readonly mechs?: readonly string[];
  /** The list that arrives, if it is not the one that is signed. */
  readonly sentMechs?: readonly string[];
  readonly unsigned?: boolean;
  /** No first message with the list of mechanisms. */
  readonly silent?: boolean;
  /** pubKeyAuth with the last token; bare NTLM knows no other way. */
  readonly together?: boolean;
  readonly noNonce?: boolean;
  readonly dropFlag?: number;
  readonly ntResponse?: Uint8Array;
  readonly avFlags?: number;
  readonly flipMic?: boolean;
  readonly bindings?: Uint8Array | undefined;
  readonly publicKey?: Uint8Array;
  readonly delegated?: Uint8Array;
  readonly credentials?: Uint8Array;
}

function sure<T extends object>(value: T | Violation | undefined): T {
  if (value === undefined || isViolation(value)) throw new Error(value?.violation ?? 'nothing there');
  return value as T;
}

export class HandClient {
  readonly #lies: Lies;
  readonly #server: Acceptor;
  readonly #mechs: readonly string[];

  constructor(lies: Lies, server: Acceptor = acceptor()) {
    this.#lies = lies;
    this.#server = server;
    this.#mechs = lies.mechs ?? [mech.ntlm];
  }

  #send(message: Omit<TsRequest, 'version'>): Promise<AcceptorStep> {
    return this.#server.step(encodeTsRequest({ version: this.#lies.version ?? 6, ...message }), never);
  }

  #wrap(token: Uint8Array, mic?: Uint8Array): Uint8Array {
    return this.#lies.spnego === true ? encodeResp({ state: undefined, mech: undefined, token, mic }) : token;
  }

  #unwrap(step: AcceptorStep): Uint8Array {
    const token = sure(decoded(step.send ?? new Uint8Array()).negoToken);
    if (this.#lies.spnego !== true) return token;
    return sure(sure(decodeSpnego(token)).token);
  }

  async #challenge(negotiate: Uint8Array): Promise<AcceptorStep> {
    if (this.#lies.spnego !== true) return await this.#send({ negoToken: negotiate });
    const preferred = this.#mechs[0] === mech.ntlm;
    const token = preferred ? negotiate : Uint8Array.of(0x60, 0);
    const mechList = encodeMechList(this.#lies.sentMechs ?? this.#mechs);
    const silent = this.#lies.silent === true;
    const init = encodeInit({ mechList, token: silent ? undefined : token, mic: undefined });
    const first = await this.#send({ negoToken: init });
    if (first.refused !== undefined || (preferred && !silent)) return first;
    return await this.#send({ negoToken: this.#wrap(negotiate) });
  }

  async logIn(): Promise<AcceptorStep> {
    const lies = this.#lies;
    const negotiate = encodeNegotiate({ flags: 0xe2088235 });
    const asked = await this.#challenge(negotiate);
    if (asked.refused !== undefined) return asked;
    const challengeBytes = this.#unwrap(asked);
    const challenge = sure(decodeChallenge(challengeBytes));
    const pairs = new Map(sure(decodeAvPairs(challenge.targetInfo)));
    pairs.set(av.flags, avFlagsValue(lies.avFlags ?? 2));
    const bindings = 'bindings' in lies ? lies.bindings : channelBindings(certificate.der, 'sha256');
    if (bindings !== undefined) pairs.set(av.channelBindings, bindings);
    const blob = encodeClientChallenge({ timestamp: now, challenge: chance(8), pairs });
    using hash = ntHash(Secret.fromText(goodPassword));
    const user = lies.user ?? 'alice';
    const owf = ntowfv2(hash.reveal(), user, '');
    const proof = ntProof(owf, challenge.serverChallenge, blob);
    const exported = chance(16);
    const authenticate = encodeAuthenticate({
      flags: (challenge.flags & ~(lies.dropFlag ?? 0)) >>> 0,
      lmResponse: new Uint8Array(24),
      ntResponse: lies.ntResponse ?? concat([proof, blob]),
      domain: '',
      user,
      workstation: 'HAND',
      encryptedKey: new Rc4(sessionBaseKey(owf, proof)).apply(exported),
    });
    const mic = messagesMic(exported, negotiate, challengeBytes, authenticate);
    if (lies.flipMic === true) mic[3] = (mic[3] ?? 0) ^ 1;
    authenticate.set(mic, micOffset);
    return await this.#prove(authenticate, exported);
  }

  async #prove(authenticate: Uint8Array, exported: Uint8Array): Promise<AcceptorStep> {
    const lies = this.#lies;
    using sealing = new Sealing(exported, 'client');
    const signed = lies.spnego === true && lies.unsigned !== true;
    const mic = signed ? sealing.sign(encodeMechList(this.#mechs)) : undefined;
    if (signed) sealing.restartCiphers();
    const version = lies.version ?? 6;
    const nonce = chance(32);
    const key = keyBinding('client-to-server', version, nonce, lies.publicKey ?? certificate.publicKey);
    const binding = {
      pubKeyAuth: sealing.seal(key),
      ...(version >= 5 && lies.noNonce !== true ? { clientNonce: nonce } : {}),
    };
    const negoToken = this.#wrap(authenticate, mic);
    let step: AcceptorStep;
    if (lies.spnego === true && lies.together !== true) {
      step = await this.#send({ negoToken });
      if (step.refused === undefined) step = await this.#send(binding);
    } else step = await this.#send({ negoToken, ...binding });
    if (step.refused !== undefined) return step;
    const password = lies.delegated ?? sure(utf16FromUtf8(new TextEncoder().encode(goodPassword)));
    const credentials = lies.credentials ?? encodeTsCredentials({ domain: '', user: 'alice', password });
    return await this.#send({ authInfo: sealing.seal(credentials) });
  }
}

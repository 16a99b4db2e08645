/**
 * Key exchange as a machine (RFC 4253 §7–9): from the two KEXINITs over the shares and the host key's signature to the
 * two NEWKEYS, for the first exchange and every later one, in both roles. It seals into the output and changes the keys
 * of both directions; signatures and the decision about a host key are asked for and answered later.
 *
 * It refuses: a signature that is not the negotiated key's over this exchange, a host key that changes within the
 * connection, kex messages out of turn, and with strict KEX anything before or between the messages of the first exchange.
 */
import { same, utf8 } from '../../../base/bytes.ts';
import { SshError } from '../errors.ts';
import { verifySignature } from '../keys/verify.ts';
import type { AlgorithmLists, Negotiated, Role } from '../types.ts';
import { agree, type Agreement, decodeKexinit, encodeKexinit, type Kexinit } from '../wire/kexinit.ts';
import { msg } from '../wire/numbers.ts';
import { isViolation, Reader, type Violation } from '../wire/reader.ts';
import { decodeKexInit, decodeKexReply, encodeKexInit, encodeKexReply } from '../wire/transport-messages.ts';
import { keyTypeOf } from './algorithms.ts';
import { isAead, makeOpener, makeSealer, type Opener } from './ciphers.ts';
import { deriveKeys, exchangeHash, forget, type KeySource, type Transcript } from './derive.ts';
import { type ClientExchange, type KexMethod, kexMethod } from './exchange.ts';
import type { PacketInput } from './input.ts';
import type { Chance, PacketOutput } from './output.ts';

/** A host key that a server can show. Which signer it is, only the driver knows. */
export interface ShownKey {
  readonly publicKey: Uint8Array;
  readonly algorithms: readonly string[];
}

/** What the machine cannot decide alone. Until it is answered nothing that arrives is looked at. */
export type Question =
  | { readonly ask: 'signature'; readonly key: number; readonly algorithm: string; readonly data: Uint8Array }
  | { readonly ask: 'host-key'; readonly algorithm: string; readonly publicKey: Uint8Array };

export interface KeyingConfig {
  readonly role: Role;
  readonly version: string;
  readonly lists: AlgorithmLists;
  readonly hostKeys: readonly ShownKey[];
  readonly chance: Chance;
}

export interface KeyingEvents {
  ask(question: Question): void;
  /** Our NEWKEYS is out: whatever was held back may go. `first`: and this was the first. */
  ourKeysInUse(first: boolean): void;
  /** Both directions have new keys. */
  done(by: 'us' | 'them'): void;
}

interface Terms {
  readonly by: 'us' | 'them';
  readonly agreement: Agreement;
  readonly method: KexMethod;
  readonly seen: Pick<Transcript, 'clientVersion' | 'serverVersion' | 'clientKexinit' | 'serverKexinit'>;
}

type State =
  | { readonly step: 'none' }
  | { readonly step: 'proposed'; readonly by: 'us' | 'them'; readonly kexinit: Kexinit; readonly payload: Uint8Array }
  | { readonly step: 'agreed'; readonly terms: Terms; readonly client: ClientExchange | undefined; ignoreNext: boolean }
  | {
      readonly step: 'signing';
      readonly terms: Terms;
      readonly source: KeySource;
      readonly hostKey: Uint8Array;
      readonly share: Uint8Array;
    }
  | { readonly step: 'judging'; readonly terms: Terms; readonly source: KeySource; readonly hostKey: Uint8Array }
  | { readonly step: 'confirming'; readonly terms: Terms; readonly opener: Opener };

export class Keying {
  sessionId: Uint8Array | undefined;
  negotiated: Negotiated | undefined;
  /** Both sides keep to strict KEX; known with the peer's first KEXINIT. */
  strict = false;
  /** The peer's first KEXINIT asks for EXT_INFO. */
  peerWantsExtensions = false;
  peerVersion: Uint8Array = new Uint8Array(0);
  #config: KeyingConfig;
  #input: PacketInput;
  #output: PacketOutput;
  #events: KeyingEvents;
  #state: State = { step: 'none' };
  #hostKey: Uint8Array | undefined;
  /** The fast ciphers that the peer offered in both directions at first. */
  #fastOfBoth: readonly string[] = [];

  constructor(config: KeyingConfig, input: PacketInput, output: PacketOutput, events: KeyingEvents) {
    this.#config = config;
    this.#input = input;
    this.#output = output;
    this.#events = events;
  }

  /** An exchange is under way: from our KEXINIT to the later NEWKEYS. */
  get running(): boolean {
    return this.#state.step !== 'none';
  }

  /** Between our KEXINIT and our NEWKEYS: we may send nothing but the exchange itself (RFC 4253 §7.1). */
  get holding(): boolean {
    return this.running && this.#state.step !== 'confirming';
  }

  /** Between the peer's KEXINIT and its NEWKEYS: the same for the peer. */
  get peerHolding(): boolean {
    return this.running && this.#state.step !== 'proposed';
  }

  /** A question waits for its answer. */
  get blocked(): boolean {
    return this.#state.step === 'signing' || this.#state.step === 'judging';
  }

  /**
   * A server whose client chose a slow cipher although both have a fast one (OpenSSH prefers chacha20 and AES-CTR to
   * AES-GCM). Every exchange after the first offers only the fast ones, so a rekey changes that; it costs nothing at
   * login, and a session that never carries much never pays for it.
   */
  get slow(): boolean {
    const { negotiated } = this;
    if (negotiated === undefined || this.#config.role === 'client' || this.#fastOfBoth.length === 0) return false;
    return !isFast(negotiated.cipherIn) || !isFast(negotiated.cipherOut);
  }

  /** Sends our KEXINIT, if no exchange is running. */
  propose(by: 'us' | 'them'): void {
    if (this.running) return;
    const { role, lists, hostKeys, chance } = this.#config;
    const cookie = new Uint8Array(16);
    chance(cookie, 0, 16);
    const first = this.sessionId === undefined;
    const side = role === 'client' ? 'c' : 's';
    const cipher = this.#fastOfBoth.length > 0 ? this.#fastOfBoth : lists.cipher;
    const kexinit: Kexinit = {
      cookie,
      kex: first ? [...lists.kex, `ext-info-${side}`, `kex-strict-${side}-v00@openssh.com`] : lists.kex,
      hostKey:
        role === 'client'
          ? lists.hostKey
          : hostKeys.flatMap((key) => key.algorithms.filter((name) => lists.hostKey.includes(name))),
      cipherToServer: cipher,
      cipherToClient: cipher,
      macToServer: lists.mac,
      macToClient: lists.mac,
      compressionToServer: ['none'],
      compressionToClient: ['none'],
      languagesToServer: [],
      languagesToClient: [],
      firstKexPacketFollows: false,
    };
    const payload = encodeKexinit(kexinit);
    this.#output.packet(payload);
    this.#state = { step: 'proposed', by, kexinit, payload };
  }

  /** The peer's KEXINIT. */
  takeKexinit(payload: Uint8Array): void {
    if (this.peerHolding) throw new SshError('ssh.protocol', 'KEXINIT within a key exchange');
    const theirs = good(decodeKexinit(payload));
    const { role, version, lists } = this.#config;
    if (this.sessionId === undefined) {
      const side = role === 'client' ? 's' : 'c';
      this.strict = theirs.kex.includes(`kex-strict-${side}-v00@openssh.com`);
      this.peerWantsExtensions = theirs.kex.includes(`ext-info-${side}`);
      if (this.strict && this.#input.lastSequence !== 0)
        throw new SshError('ssh.protocol', 'strict KEX: KEXINIT is not first');
    }
    this.propose('them');
    if (this.#state.step !== 'proposed') return;
    const { by, kexinit: ours, payload: ourPayload } = this.#state;
    if (role === 'server' && this.sessionId === undefined)
      this.#fastOfBoth = lists.cipher.filter(
        (name) => isFast(name) && theirs.cipherToServer.includes(name) && theirs.cipherToClient.includes(name),
      );
    const isClient = role === 'client';
    const agreement = isClient
      ? agree(ours, theirs, (name) => !isAead(name))
      : agree(theirs, ours, (name) => !isAead(name));
    if (isViolation(agreement)) throw new SshError('ssh.no-common-algorithm', agreement.violation);
    const method = kexMethod(agreement.kex);
    const ourVersion = utf8(version);
    const theirPayload = new Uint8Array(payload);
    const seen = isClient
      ? {
          clientVersion: ourVersion,
          serverVersion: this.peerVersion,
          clientKexinit: ourPayload,
          serverKexinit: theirPayload,
        }
      : {
          clientVersion: this.peerVersion,
          serverVersion: ourVersion,
          clientKexinit: theirPayload,
          serverKexinit: ourPayload,
        };
    const client = isClient ? method.start() : undefined;
    if (client !== undefined) this.#output.packet(encodeKexInit(client.share));
    const ignoreNext = theirs.firstKexPacketFollows && agreement.wrongGuess;
    this.#state = { step: 'agreed', terms: { by, agreement, method, seen }, client, ignoreNext };
  }

  /** A message of the method, 30–49. */
  takeMessage(payload: Uint8Array): void {
    const state = this.#state;
    if (state.step !== 'agreed') throw new SshError('ssh.protocol', `key exchange message ${payload[0]} out of turn`);
    if (state.ignoreNext) {
      state.ignoreNext = false;
    } else if (state.client !== undefined && payload[0] === msg.kexReply) {
      this.#takeReply(state.terms, state.client, payload);
    } else if (state.client === undefined && payload[0] === msg.kexInit) {
      this.#takeInit(state.terms, payload);
    } else {
      throw new SshError('ssh.protocol', `key exchange message ${payload[0]} out of turn`);
    }
  }

  #takeInit(terms: Terms, payload: Uint8Array): void {
    const { algorithm, key, hostKey } = this.#shownKey(terms.agreement.hostKey);
    const clientShare = new Uint8Array(good(decodeKexInit(payload)));
    const server = terms.method.respond(clientShare);
    if (isViolation(server)) throw new SshError('ssh.key-exchange', server.violation);
    const source = this.#source(
      terms,
      { ...terms.seen, hostKey, clientShare, serverShare: server.share },
      server.encodedSecret,
    );
    this.#state = { step: 'signing', terms, source, hostKey, share: server.share };
    this.#events.ask({ ask: 'signature', key, algorithm, data: source.exchangeHash });
  }

  #shownKey(algorithm: string): { algorithm: string; key: number; hostKey: Uint8Array } {
    const key = this.#config.hostKeys.findIndex((shown) => shown.algorithms.includes(algorithm));
    const hostKey = this.#config.hostKeys[key]?.publicKey;
    if (hostKey === undefined) throw new SshError('ssh.signing', `no host key for ${algorithm}`);
    return { algorithm, key, hostKey };
  }

  /** Server: the answer to the question for a signature. */
  signed(signature: Uint8Array): void {
    const state = this.#state;
    if (state.step !== 'signing') return;
    const { terms, source, hostKey, share } = state;
    this.#output.packet(encodeKexReply({ hostKey, share, signature }));
    this.#newKeys(terms, source);
  }

  #takeReply(terms: Terms, client: ClientExchange, payload: Uint8Array): void {
    const { hostKey, share, signature } = good(decodeKexReply(payload));
    const agreed = client.finish(share);
    if (isViolation(agreed)) throw new SshError('ssh.key-exchange', agreed.violation);
    const algorithm = terms.agreement.hostKey;
    const seen = { ...terms.seen, hostKey, clientShare: client.share, serverShare: share };
    const source = this.#source(terms, seen, agreed.encodedSecret);
    // the algorithm is the negotiated one, not the one that the signature names (RFC 8332 §3)
    if (firstName(hostKey) !== keyTypeOf(algorithm) || firstName(signature) !== algorithm)
      throw new SshError('ssh.host-key-signature', `not made with ${algorithm}`);
    if (!verifySignature(hostKey, algorithm, source.exchangeHash, signature))
      throw new SshError('ssh.host-key-signature');
    if (this.#hostKey !== undefined) {
      if (!same(this.#hostKey, hostKey))
        throw new SshError('ssh.host-key-refused', 'another host key than at the start');
      this.#newKeys(terms, source);
      return;
    }
    this.#state = { step: 'judging', terms, source, hostKey };
    this.#events.ask({ ask: 'host-key', algorithm, publicKey: hostKey });
  }

  /** Client: the answer to the question about the host key. */
  judged(trusted: boolean): void {
    const state = this.#state;
    if (state.step !== 'judging') return;
    if (!trusted) throw new SshError('ssh.host-key-refused');
    this.#hostKey = state.hostKey;
    this.#newKeys(state.terms, state.source);
  }

  #source(terms: Terms, seen: Transcript, encodedSecret: Uint8Array): KeySource {
    const { hash } = terms.method;
    const h = exchangeHash(hash, seen, encodedSecret);
    return { hash, encodedSecret, exchangeHash: h, sessionId: this.sessionId ?? h };
  }

  /** Sends NEWKEYS and seals with the new key from then on; the peer's new key waits for its NEWKEYS. */
  #newKeys(terms: Terms, source: KeySource): void {
    const { role } = this.#config;
    const { agreement } = terms;
    const first = this.sessionId === undefined;
    this.sessionId ??= source.sessionId;
    const isClient = role === 'client';
    const [cipherOut, macOut] = isClient
      ? [agreement.cipherToServer, agreement.macToServer]
      : [agreement.cipherToClient, agreement.macToClient];
    const [cipherIn, macIn] = isClient
      ? [agreement.cipherToClient, agreement.macToClient]
      : [agreement.cipherToServer, agreement.macToServer];
    const keysOut = deriveKeys(source, role, cipherOut, macOut);
    const keysIn = deriveKeys(source, isClient ? 'server' : 'client', cipherIn, macIn);
    source.encodedSecret.fill(0);
    this.#output.packet(Uint8Array.of(msg.newkeys));
    this.#output.rekey(makeSealer(cipherOut, macOut, keysOut), this.strict);
    const opener = makeOpener(cipherIn, macIn, keysIn);
    forget(keysOut);
    forget(keysIn);
    const { kex, hostKey } = agreement;
    this.negotiated = { kex, hostKey, cipherOut, cipherIn, macOut, macIn, strict: this.strict };
    this.#state = { step: 'confirming', terms, opener };
    this.#events.ourKeysInUse(first);
  }

  /** The peer's NEWKEYS. */
  takeNewkeys(payload: Uint8Array): void {
    if (this.#state.step !== 'confirming') throw new SshError('ssh.protocol', 'NEWKEYS out of turn');
    if (payload.length !== 1) throw new SshError('ssh.malformed', 'NEWKEYS with a body');
    const { opener, terms } = this.#state;
    this.#input.rekey(opener, this.strict);
    this.#state = { step: 'none' };
    this.#events.done(terms.by);
  }
}

function good<T>(decoded: T | Violation): T {
  if (isViolation(decoded)) throw new SshError('ssh.malformed', decoded.violation);
  return decoded;
}

function isFast(cipher: string): boolean {
  return cipher.endsWith('-gcm@openssh.com');
}

function firstName(blob: Uint8Array): string {
  return new Reader(blob).text(64);
}

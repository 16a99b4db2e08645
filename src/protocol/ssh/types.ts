/**
 * The shapes that cross the files of this room, and its users'.
 *
 * A *payload* is one SSH message without packet framing: the message number, then its fields (RFC 4253 §6).
 * Payloads handed to a callback are views into a buffer that is used again: copy what you keep.
 */

export type Role = 'client' | 'server';

/** What both sides agreed on (RFC 4253 §7.1); written into the session's audit event. */
export interface Negotiated {
  readonly kex: string;
  readonly hostKey: string;
  readonly cipherOut: string;
  readonly cipherIn: string;
  /** Empty for AEAD ciphers. */
  readonly macOut: string;
  readonly macIn: string;
  readonly strict: boolean;
}

/** A private key that may live elsewhere: in the keeper, a token, an agent. */
export interface Signer {
  /** Public key blob (RFC 4253 §6.6), as in `authorized_keys` after decoding. */
  readonly publicKey: Uint8Array;
  /** Signature algorithms this key can make, best first: `ssh-ed25519`, `rsa-sha2-512`, `ecdsa-sha2-nistp256`… */
  readonly algorithms: readonly string[];
  /** The whole signature blob: string algorithm, string signature (RFC 4253 §6.6). */
  sign(data: Uint8Array, algorithm: string, signal: AbortSignal): Promise<Uint8Array>;
}

export interface TransportLimits {
  /** From the first byte to the end of the first key exchange. */
  readonly handshakeMs: number;
  /** Largest packet_length accepted once a USERAUTH_SUCCESS has passed (OpenSSH sends up to 256 KiB). */
  readonly maxPacket: number;
  /** The same before that (RFC 4253 §6.1 asks for at least 35000). */
  readonly maxPacketUnauthenticated: number;
  /** Rekey after so many bytes in one direction, or so long, whichever is first. */
  readonly rekeyBytes: number;
  readonly rekeyMs: number;
  /** Server: rekey already after so many bytes when that replaces a slow cipher by AES-GCM, which both sides have. */
  readonly upgradeBytes: number;
  /** A rekey that the peer does not finish in this time ends the connection. */
  readonly rekeyAnswerMs: number;
  /** Above so many unsent bytes the transport says it is congested. */
  readonly highWater: number;
}

export interface TransportOptions {
  readonly role: Role;
  /** Without CR LF, e.g. `SSH-2.0-Sallyport_0.1`. */
  readonly version: string;
  readonly limits?: Partial<TransportLimits>;
  /** Algorithm lists in order of preference; each defaults to the room's own choice. */
  readonly algorithms?: Partial<AlgorithmLists>;
  /** Server: its host keys, best first. */
  readonly hostKeys?: readonly Signer[];
  /** Client: decides about the host key before anything else is sent; false ends the connection. */
  readonly checkHostKey?: (publicKey: Uint8Array, algorithm: string) => Promise<boolean> | boolean;
  /** EXT_INFO extensions to announce besides `server-sig-algs` and `ping@openssh.com` (RFC 8308). */
  readonly extensions?: ReadonlyMap<string, Uint8Array>;
  /** Server: signature algorithms for `server-sig-algs`; defaults to what this room verifies. */
  readonly signatureAlgorithms?: readonly string[];
  /** Client: host key algorithms to ask for first, because keys of these types are pinned. */
  readonly hostKeyAlgorithms?: readonly string[];
}

export interface AlgorithmLists {
  readonly kex: readonly string[];
  readonly hostKey: readonly string[];
  readonly cipher: readonly string[];
  readonly mac: readonly string[];
}

/** Why a transport ended. `peer` said goodbye by DISCONNECT; `eof` just closed; `broken` is everything else. */
export type TransportEnd =
  | { readonly kind: 'local' }
  | { readonly kind: 'peer'; readonly reason: number; readonly message: string }
  | { readonly kind: 'eof' }
  | { readonly kind: 'broken'; readonly error: Error };

/**
 * One encrypted SSH transport over one socket, after its first key exchange. Payloads of the transport layer itself
 * never come out: disconnect, ignore, unimplemented, debug, ext_info, kex, and OpenSSH's ping and pong (192, 193).
 * SERVICE_REQUEST, SERVICE_ACCEPT (5, 6) and everything from 50 up do, in order.
 */
export interface Transport extends AsyncDisposable {
  readonly role: Role;
  /** H of the first exchange (RFC 4253 §7.2). */
  readonly sessionId: Uint8Array;
  /** Of the newest exchange. */
  readonly negotiated: Negotiated;
  readonly peerVersion: string;
  /** Extensions of the peer's EXT_INFO (RFC 8308), e.g. `server-sig-algs`. */
  readonly peerExtensions: ReadonlyMap<string, Uint8Array>;
  /** Key re-exchanges completed so far, by the side that started them; the first exchange is not counted. */
  readonly rekeys: { readonly ours: number; readonly theirs: number };
  readonly bytesIn: number;
  readonly bytesOut: number;

  /** Queues one payload (copied); all of one tick leave in one write. Held back while keys are exchanged. A no-op once over. */
  send(payload: Uint8Array): void;
  /** The next payload (a copy), or undefined at an orderly end; rejects when the transport broke. Only before `relay`. */
  next(signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** From now on every payload goes to `take`, synchronously, as a view valid during the call. */
  relay(take: (payload: Uint8Array) => void): void;
  /** Answers the payload that was delivered last, by `take` or `next`, with UNIMPLEMENTED (RFC 4253 §11.4). */
  unimplemented(): void;
  /** More than `highWater` bytes are waiting for the peer. Whoever feeds this transport should pause its source. */
  readonly congested: boolean;
  /** Called each time the transport stops being congested. */
  onDrain(listener: () => void): void;
  /**
   * Stops and resumes reading from the socket, which pushes back on the peer. What was read already still comes. While
   * keys are exchanged reading goes on regardless, so that two spliced transports cannot wait for each other.
   */
  pause(): void;
  resume(): void;
  /** Starts a key exchange now, if none is running. */
  rekey(): void;
  /** Sends DISCONNECT, flushes and closes. */
  disconnect(reason: number, message: string): Promise<void>;
  /** Resolves, never rejects, when the transport is over. */
  readonly ended: Promise<TransportEnd>;
}

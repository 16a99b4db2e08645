/** Message numbers and disconnect reasons of the transport layer (RFC 4250 §4.1, RFC 8308, OpenSSH PROTOCOL). Pure. */

export const msg = {
  disconnect: 1,
  ignore: 2,
  unimplemented: 3,
  debug: 4,
  serviceRequest: 5,
  serviceAccept: 6,
  extInfo: 7,
  kexinit: 20,
  newkeys: 21,
  /** First message of every exchange of ours: ECDH_INIT (RFC 5656), and HYBRID_INIT with the same number. */
  kexInit: 30,
  kexReply: 31,
  /** Passing it lifts the bound on unauthenticated packets (RFC 4252 §5.1). */
  userauthSuccess: 52,
  ping: 192,
  pong: 193,
} as const;

/** RFC 4253 §11.1. */
export const disconnectReason = {
  hostNotAllowed: 1,
  protocolError: 2,
  keyExchangeFailed: 3,
  macError: 5,
  serviceNotAvailable: 7,
  versionNotSupported: 8,
  hostKeyNotVerifiable: 9,
  connectionLost: 10,
  byApplication: 11,
  tooManyConnections: 12,
  authCancelled: 13,
  noMoreAuthMethods: 14,
} as const;

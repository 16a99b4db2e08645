/** The room's door: the functions that other rooms call, each by name. Shapes are in `types.ts`. */
export type {
  Authenticator,
  AuthenticateOptions,
  AuthMethod,
  AuthOutcome,
  Dialogue,
  DialogueStep,
  PublickeyClaim,
  Verdict,
} from './auth/authenticator.ts';
export { type LoggedIn, type LoginCredential, type LoginRefusal, logIn } from './auth/client.ts';
export { authenticate } from './auth/server.ts';
export type { Exit } from './client/channel.ts';
export { type ExecOptions, type ExecResult, type PtyOptions, SshClient } from './client/client.ts';
export { type ConnectOptions, connect } from './client/connect.ts';
export type { Matched, Read, Shell } from './client/shell.ts';
export { SshError, type SshErrorCode } from './errors.ts';
export { observeFiles } from './files/observe.ts';
export type { FileFact, FileObserver } from './files/wire/facts.ts';
export { fingerprint, formatKeyLine, type KeyLine, parseKeyLine, parsePublicKey } from './keys/lines.ts';
export { formatPrivateKey, type PrivateKey, parsePrivateKey } from './keys/private.ts';
export { generateKeyPair, type KeyKind, type KeyPair, signerFromPrivateKey } from './keys/signer.ts';
export { verifySignature } from './keys/verify.ts';
export { publickeySignedData } from './wire/auth.ts';
export {
  type ConnectionMessage,
  connectionMsg,
  dataLength,
  decodeConnection,
  encodeConnection,
  isData,
  openFailure,
  recipientOf,
  stderrType,
} from './wire/connection.ts';
export {
  type ChannelRequest,
  decodeTcpip,
  encodeModes,
  encodeRequest,
  encodeTcpip,
  type PtyRequest,
  type TcpipBody,
} from './wire/connection-requests.ts';
export { openTransport } from './transport/transport.ts';
export type { Negotiated, Signer, Transport, TransportEnd, TransportLimits, TransportOptions } from './types.ts';
export { disconnectReason, msg as transportMsg } from './wire/numbers.ts';

/** The door to NTLM and CredSSP: what gate and keeper call, each by name. It knows nothing of Sallyport. */
export {
  type Accepted,
  type Acceptor,
  type AcceptorOptions,
  type AcceptorStep,
  type Judge,
  openAcceptor,
} from './acceptor.ts';
export { NtlmError, type NtlmErrorCode, ntlmErrors } from './errors.ts';
export { type Initiator, type InitiatorOptions, type InitiatorStep, openInitiator } from './initiator.ts';
export { ntHash, requireHashes } from './keys.ts';
export { type NtlmClaim, ntlmVerdict } from './verdict.ts';
export { fileTime } from './wire/file-time.ts';
export { utf16FromUtf8, utf8FromUtf16 } from './wire/transcode.ts';
export { largestTsRequest, tsRequestLength } from './wire/ts-request.ts';

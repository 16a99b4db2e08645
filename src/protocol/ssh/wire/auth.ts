/**
 * Messages of user authentication (RFC 4252, RFC 4256) and the service request before it (RFC 4253 §10). Pure.
 *
 * Numbers 60 and 61 mean different things by method, so they have decoders of their own and the caller says which he
 * expects. Every count is checked before anything is allocated for it. Texts that a server shows to people are read
 * leniently, because old machines send Latin-1; names are not.
 */
import { text as lenient } from '../../../base/bytes.ts';
import { Reader, type Violation } from './reader.ts';
import { Writer } from './writer.ts';

export const authMsg = {
  serviceRequest: 5,
  serviceAccept: 6,
  request: 50,
  failure: 51,
  success: 52,
  banner: 53,
  /** PK_OK, PASSWD_CHANGEREQ or INFO_REQUEST, by method. */
  methodSpecific: 60,
  infoResponse: 61,
} as const;

const longestUser = 1024;
export const longestPassword = 4096;
export const mostPrompts = 16;
const longestName = 64;
const longestShown = 16_384;
const longestBlob = 32_768;

/** What follows the method's name in a USERAUTH_REQUEST. Secrets and blobs are views into the payload. */
export type AuthRequest = { readonly user: string; readonly service: string } & (
  | { readonly method: 'none' }
  | { readonly method: 'password'; readonly password: Uint8Array; readonly change: boolean }
  | {
      readonly method: 'publickey';
      readonly algorithm: string;
      readonly blob: Uint8Array;
      /** Absent in a query. */
      readonly signature: Uint8Array | undefined;
    }
  | { readonly method: 'keyboard-interactive'; readonly submethods: string }
  /** A method that this room does not know: refused, never a reason to disconnect. */
  | { readonly method: 'other'; readonly name: string }
);

export interface InfoRequest {
  readonly name: string;
  readonly instruction: string;
  readonly prompts: readonly { readonly text: string; readonly echo: boolean }[];
}

/** SERVICE_REQUEST and SERVICE_ACCEPT: byte · string service. */
export function decodeService(payload: Uint8Array): string | Violation {
  const reader = new Reader(payload, 1);
  const name = reader.text(longestName);
  reader.end();
  return reader.violation === undefined ? name : { violation: reader.violation };
}

export function encodeService(kind: 'request' | 'accept', service: string): Uint8Array {
  return new Writer()
    .u8(kind === 'request' ? authMsg.serviceRequest : authMsg.serviceAccept)
    .text(service)
    .finish();
}

// byte 50 · string user · string service · string method · …
export function decodeAuthRequest(payload: Uint8Array): AuthRequest | Violation {
  const reader = new Reader(payload, 1);
  const common = { user: reader.text(longestUser), service: reader.text(longestName) };
  const method = reader.text(longestName);
  if (/[\0\r\n]/.test(common.user)) reader.fail('user name with control characters');
  const request = decodeMethod(reader, method);
  reader.end();
  return reader.violation === undefined ? { ...common, ...request } : { violation: reader.violation };
}

type MethodPart = AuthRequest extends infer R ? (R extends AuthRequest ? Omit<R, 'user' | 'service'> : never) : never;

function decodeMethod(reader: Reader, method: string): MethodPart {
  switch (method) {
    case 'none':
      return { method };
    // bool change · string password · (string new password)
    case 'password': {
      const change = reader.bool();
      const password = reader.string(longestPassword);
      if (change) reader.string(longestPassword);
      return { method, password, change };
    }
    // bool signed · string algorithm · string public key · (string signature)
    case 'publickey': {
      const signed = reader.bool();
      const algorithm = reader.text(longestName);
      const blob = reader.string(longestBlob);
      return { method, algorithm, blob, signature: signed ? reader.string(longestBlob) : undefined };
    }
    // string language · string submethods
    case 'keyboard-interactive':
      reader.string(longestName);
      return { method, submethods: reader.text(1024) };
    default:
      reader.rest();
      return { method: 'other', name: method };
  }
}

function requestWriter(user: string, service: string, method: string): Writer {
  return new Writer(512).u8(authMsg.request).text(user).text(service).text(method);
}

export function encodeNoneRequest(user: string, service: string): Uint8Array {
  return requestWriter(user, service, 'none').finish();
}

/** Holds the password in the clear: zero it once it is sent. */
export function encodePasswordRequest(user: string, service: string, password: Uint8Array): Uint8Array {
  return requestWriter(user, service, 'password').bool(false).string(password).finish();
}

export function encodeKeyboardRequest(user: string, service: string, submethods = ''): Uint8Array {
  return requestWriter(user, service, 'keyboard-interactive').text('').text(submethods).finish();
}

/** With `signature`, a claim; without, a query. */
export function encodePublickeyRequest(
  user: string,
  service: string,
  algorithm: string,
  blob: Uint8Array,
  signature?: Uint8Array,
): Uint8Array {
  const writer = requestWriter(user, service, 'publickey')
    .bool(signature !== undefined)
    .text(algorithm)
    .string(blob);
  return (signature === undefined ? writer : writer.string(signature)).finish();
}

/** What a publickey request signs (RFC 4252 §7): the session id as a string, then the request up to the signature. */
export function publickeySignedData(
  sessionId: Uint8Array,
  user: string,
  service: string,
  algorithm: string,
  blob: Uint8Array,
): Uint8Array {
  return new Writer(512)
    .string(sessionId)
    .raw(requestWriter(user, service, 'publickey').bool(true).text(algorithm).string(blob).finish())
    .finish();
}

// byte 51 · name-list methods that can continue · bool partial success
export function decodeFailure(payload: Uint8Array): { methods: readonly string[]; partial: boolean } | Violation {
  const reader = new Reader(payload, 1);
  const failure = { methods: reader.namelist(1024), partial: reader.bool() };
  reader.end();
  return reader.violation === undefined ? failure : { violation: reader.violation };
}

export function encodeFailure(methods: readonly string[], partial: boolean): Uint8Array {
  return new Writer().u8(authMsg.failure).namelist(methods).bool(partial).finish();
}

export function encodeSuccess(): Uint8Array {
  return Uint8Array.of(authMsg.success);
}

// byte 53 · string message · string language
export function decodeBanner(payload: Uint8Array): string | Violation {
  const reader = new Reader(payload, 1);
  const message = lenient(reader.string(longestShown));
  reader.string(longestName);
  reader.end();
  return reader.violation === undefined ? message : { violation: reader.violation };
}

export function encodeBanner(message: string): Uint8Array {
  return new Writer().u8(authMsg.banner).text(message).text('').finish();
}

// byte 60 · string algorithm · string public key
export function encodePublickeyOk(algorithm: string, blob: Uint8Array): Uint8Array {
  return new Writer().u8(authMsg.methodSpecific).text(algorithm).string(blob).finish();
}

// byte 60 · string prompt · string language
export function decodePasswordChange(payload: Uint8Array): string | Violation {
  const reader = new Reader(payload, 1);
  const prompt = lenient(reader.string(longestShown));
  reader.string(longestName);
  reader.end();
  return reader.violation === undefined ? prompt : { violation: reader.violation };
}

// byte 60 · string name · string instruction · string language · uint32 n · n × (string prompt · bool echo)
export function decodeInfoRequest(payload: Uint8Array): InfoRequest | Violation {
  const reader = new Reader(payload, 1);
  const name = lenient(reader.string(longestShown));
  const instruction = lenient(reader.string(longestShown));
  reader.string(longestName);
  const count = reader.u32();
  if (count > mostPrompts) reader.fail(`${count} prompts where ${mostPrompts} are allowed`);
  const prompts: { text: string; echo: boolean }[] = [];
  for (let i = 0; i < count && reader.violation === undefined; i++)
    prompts.push({ text: lenient(reader.string(longestShown)), echo: reader.bool() });
  reader.end();
  return reader.violation === undefined ? { name, instruction, prompts } : { violation: reader.violation };
}

export function encodeInfoRequest(request: InfoRequest): Uint8Array {
  const writer = new Writer().u8(authMsg.methodSpecific).text(request.name).text(request.instruction).text('');
  writer.u32(request.prompts.length);
  for (const { text, echo } of request.prompts) writer.text(text).bool(echo);
  return writer.finish();
}

/**
 * byte 61 · uint32 n · n × string. Undefined when `n` is not the number that was asked for: RFC 4256 §3.4 wants that
 * refused, not punished. The answers are views.
 */
export function decodeInfoResponse(
  payload: Uint8Array,
  expected: number,
): readonly Uint8Array[] | undefined | Violation {
  const reader = new Reader(payload, 1);
  const count = reader.u32();
  if (reader.violation === undefined && count !== expected) return undefined;
  const answers: Uint8Array[] = [];
  for (let i = 0; i < expected; i++) answers.push(reader.string(longestPassword));
  reader.end();
  return reader.violation === undefined ? answers : { violation: reader.violation };
}

/** May hold secrets in the clear: zero it once it is sent. */
export function encodeInfoResponse(answers: readonly Uint8Array[]): Uint8Array {
  const writer = new Writer(512).u8(authMsg.infoResponse).u32(answers.length);
  for (const answer of answers) writer.string(answer);
  return writer.finish();
}

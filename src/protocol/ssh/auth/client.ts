/**
 * The client's side of user authentication, for logging in with a credential that nobody types: keys first and at once
 * (no `none`, no query), then the password, by `password` or by keyboard-interactive, whichever the server takes.
 *
 * A wrong password is sent once: accounts get locked for less. It answers one hidden prompt of a dialogue and nothing
 * else. The answers are three: in, a Refusal (the server said no, or asked for something else), or a thrown SshError
 * when it is not known what the server thinks.
 */
import { utf8 } from '../../../base/bytes.ts';
import { type Refusal, refuse } from '../../../base/errors.ts';
import type { Secret } from '../../../base/secret.ts';
import { SshError } from '../errors.ts';
import type { Signer, Transport } from '../types.ts';
import {
  authMsg,
  decodeBanner,
  decodeFailure,
  decodeInfoRequest,
  decodePasswordChange,
  decodeService,
  encodeInfoResponse,
  encodeKeyboardRequest,
  encodeNoneRequest,
  encodePasswordRequest,
  encodePublickeyRequest,
  encodeService,
  type InfoRequest,
  publickeySignedData,
} from '../wire/auth.ts';
import { isViolation, type Violation } from '../wire/reader.ts';
import { printable } from '../wire/transport-messages.ts';
import type { AuthMethod } from './authenticator.ts';

export interface LoginCredential {
  /** Tried in this order; each costs one of the server's attempts. */
  readonly signers?: readonly Signer[];
  readonly password?: Secret;
}

export type LoginRefusal = Refusal<
  'ssh.login-rejected' | 'ssh.no-login-method' | 'ssh.password-expired' | 'ssh.unexpected-prompt'
>;

export interface LoggedIn {
  readonly accepted: true;
  /** The method that completed the login. */
  readonly method: AuthMethod;
  /** What the server showed on the way, as it came: a stranger's text, to be escaped before it is shown. */
  readonly banner: string;
}

const service = 'ssh-connection';
const longestBanner = 16_384;
const mostRounds = 16;

interface Attempt {
  readonly transport: Transport;
  readonly user: string;
  readonly signal: AbortSignal;
  banner: string;
  /** Methods that can continue, once the server has said so. */
  methods: readonly string[] | undefined;
  /** What was offered so far, for the refusal's reason and to tell a rejection from a lack of methods. */
  readonly offered: string[];
}

type Answer =
  | { readonly kind: 'success' }
  | { readonly kind: 'failure'; readonly partial: boolean }
  | { readonly kind: 'question'; readonly payload: Uint8Array }
  /** DISCONNECT because of too many failures: a no, said rudely. */
  | { readonly kind: 'dismissed' };

/** Logs `user` in over a fresh transport. After a refusal the transport is still open and the caller ends it. */
export async function logIn(
  transport: Transport,
  user: string,
  credential: LoginCredential,
  signal: AbortSignal,
): Promise<LoggedIn | LoginRefusal> {
  const attempt: Attempt = { transport, user, signal, banner: '', methods: undefined, offered: [] };
  transport.send(encodeService('request', 'ssh-userauth'));
  const accept = await read(attempt);
  if (accept?.[0] !== authMsg.serviceAccept || decodeService(accept) !== 'ssh-userauth')
    throw new SshError('ssh.protocol', 'no answer to the request for ssh-userauth');
  for (const signer of credential.signers ?? []) {
    if (!offers(attempt, 'publickey')) break;
    const outcome = await tryKey(attempt, signer);
    if (outcome !== undefined) return outcome;
  }
  if (credential.password !== undefined) {
    const outcome = await tryPassword(attempt, credential.password);
    if (outcome !== undefined) return outcome;
  }
  if (credential.signers === undefined && credential.password === undefined) {
    attempt.offered.push('none');
    transport.send(encodeNoneRequest(user, service));
    if ((await reply(attempt)).kind === 'success') return success(attempt, 'none');
  }
  const words = `offered ${attempt.offered.join(', ') || 'nothing'}; the server takes ${attempt.methods?.join(', ') ?? '?'}`;
  return refuse(attempt.offered.length > 0 ? 'ssh.login-rejected' : 'ssh.no-login-method', words);
}

function success(attempt: Attempt, method: AuthMethod): LoggedIn {
  return { accepted: true, method, banner: attempt.banner };
}

function offers(attempt: Attempt, method: AuthMethod): boolean {
  return attempt.methods === undefined || attempt.methods.includes(method);
}

/**
 * The best algorithm of a key that the server takes (RFC 8308 §3.1). A server that does not say is assumed to take the
 * best one; SHA-1 is never tried.
 */
function algorithmFor(transport: Transport, signer: Signer): string | undefined {
  const listed = transport.peerExtensions.get('server-sig-algs');
  if (listed === undefined) return signer.algorithms[0];
  const known = Buffer.from(listed).toString('latin1').split(',');
  return signer.algorithms.find((name) => known.includes(name));
}

async function tryKey(attempt: Attempt, signer: Signer): Promise<LoggedIn | LoginRefusal | undefined> {
  const { transport, user, signal } = attempt;
  const algorithm = algorithmFor(transport, signer);
  if (algorithm === undefined) return undefined;
  const data = publickeySignedData(transport.sessionId, user, service, algorithm, signer.publicKey);
  const signature = await signer.sign(data, algorithm, signal);
  attempt.offered.push(algorithm);
  transport.send(encodePublickeyRequest(user, service, algorithm, signer.publicKey, signature));
  const answer = await reply(attempt);
  if (answer.kind === 'question') throw new SshError('ssh.protocol', 'a question instead of an answer to a signature');
  if (answer.kind === 'dismissed') return refuse('ssh.login-rejected', 'too many failures');
  return answer.kind === 'success' ? success(attempt, 'publickey') : undefined;
}

async function tryPassword(attempt: Attempt, password: Secret): Promise<LoggedIn | LoginRefusal | undefined> {
  const { transport, user } = attempt;
  if (offers(attempt, 'password')) {
    const request = encodePasswordRequest(user, service, password.reveal());
    transport.send(request);
    request.fill(0);
    const answer = await reply(attempt);
    if (answer.kind === 'success') return success(attempt, 'password');
    if (answer.kind === 'question') {
      unwrap(decodePasswordChange(answer.payload));
      return refuse('ssh.password-expired', 'the server sent PASSWD_CHANGEREQ');
    }
    const rejected = answer.kind === 'dismissed' || (!answer.partial && offers(attempt, 'password'));
    // Without `password` in its list the server never looked at it, and keyboard-interactive is the way.
    if (rejected || answer.partial || !offers(attempt, 'keyboard-interactive')) {
      if (rejected || answer.partial) attempt.offered.push('password');
      return rejected ? refuse('ssh.login-rejected', `offered ${attempt.offered.join(', ')}`) : undefined;
    }
  }
  return offers(attempt, 'keyboard-interactive') ? tryDialogue(attempt, password) : undefined;
}

async function tryDialogue(attempt: Attempt, password: Secret): Promise<LoggedIn | LoginRefusal | undefined> {
  const { transport, user } = attempt;
  transport.send(encodeKeyboardRequest(user, service));
  let told = false;
  for (let round = 0; round < mostRounds; round++) {
    const answer = await reply(attempt);
    if (answer.kind !== 'question') {
      if (told) attempt.offered.push('keyboard-interactive');
      if (answer.kind === 'success') return success(attempt, 'keyboard-interactive');
      return answer.kind === 'dismissed' ? refuse('ssh.login-rejected', 'too many failures') : undefined;
    }
    const request = unwrap(decodeInfoRequest(answer.payload));
    const refusal = unanswerable(request, told);
    if (refusal !== undefined) return refusal;
    const asked = request.prompts.length === 1;
    told ||= asked;
    const response = encodeInfoResponse(asked ? [password.reveal()] : []);
    transport.send(response);
    response.fill(0);
  }
  throw new SshError('ssh.protocol', 'a dialogue without end');
}

/** Why a round is not answered: the password goes to one lone hidden prompt, once, and to nothing else. */
function unanswerable(request: InfoRequest, told: boolean): LoginRefusal | undefined {
  const words = [request.name, request.instruction, ...request.prompts.map((prompt) => prompt.text)].join(' ');
  if (request.prompts.length > 0 && /\bnew\b.{0,40}\bpassword\b|\bretype\b|password.{0,40}\bexpired\b/i.test(words))
    // Before it has heard the password these are words for anybody: they say nothing about this one.
    return told
      ? refuse('ssh.password-expired', 'the server asks for a new password')
      : refuse('ssh.unexpected-prompt', 'the server speaks of a new password before it has heard one');
  const hidden = request.prompts.filter((prompt) => !prompt.echo).length;
  if (hidden === request.prompts.length && hidden <= (told ? 0 : 1)) return undefined;
  const shown = JSON.stringify(request.prompts.map((prompt) => printable(utf8(prompt.text)).slice(0, 80)));
  return refuse('ssh.unexpected-prompt', `the server asks ${shown}`);
}

/** The next answer; banners are kept on the way. */
async function reply(attempt: Attempt): Promise<Answer> {
  for (;;) {
    const payload = await read(attempt);
    if (payload === undefined) return { kind: 'dismissed' };
    switch (payload[0] ?? 0) {
      case authMsg.banner:
        attempt.banner = (attempt.banner + unwrap(decodeBanner(payload))).slice(0, longestBanner);
        break;
      case authMsg.success:
        return { kind: 'success' };
      case authMsg.failure: {
        const failure = unwrap(decodeFailure(payload));
        attempt.methods = failure.methods;
        return { kind: 'failure', partial: failure.partial };
      }
      case authMsg.methodSpecific:
        return { kind: 'question', payload };
      default:
        throw new SshError('ssh.protocol', `message ${payload[0]} during authentication`);
    }
  }
}

/** The next payload; undefined when the server hung up because of too many failures; throws for every other end. */
async function read(attempt: Attempt): Promise<Uint8Array | undefined> {
  const payload = await attempt.transport.next(attempt.signal);
  if (payload !== undefined) return payload;
  const end = await attempt.transport.ended;
  if (end.kind !== 'peer') throw new SshError('ssh.connection-lost', 'during authentication');
  // OpenSSH says it with reason 2, so that only the words tell it from a protocol error.
  if (end.reason === 14 || /too many authentication failures/i.test(end.message)) return undefined;
  throw new SshError('ssh.disconnected', JSON.stringify(end.message.slice(0, 200)));
}

function unwrap<T>(decoded: T | Violation): T {
  if (isViolation(decoded)) throw new SshError('ssh.malformed', decoded.violation);
  return decoded as T;
}

/**
 * Logging in to a target by ssh for a connector. Host keys are pinned; every fault is an answer with a class. Of a
 * two-account login it is the first one that logs in (linux-su.ts becomes the second).
 */
import { same, text } from '../../base/bytes.ts';
import { codeOf, isRefusal, wordsOf } from '../../base/errors.ts';
import { connect, type SshClient, SshError } from '../../protocol/ssh/ssh.ts';
import type { AnswerClass, ChangeAnswer, Login, Place, VerifyAnswer } from './connector.ts';

export interface Fault {
  readonly fault: AnswerClass;
  readonly words: string;
  /** The target's answer to a login, as opposed to no answer. */
  readonly rejected?: true;
}

export function isFault(value: object): value is Fault {
  return 'fault' in value;
}

/** A client that is logged in, or why there is none. Until here nothing was changed on the target. */
export async function reach(place: Place, login: Login, signal: AbortSignal): Promise<SshClient | Fault> {
  const first = login.via ?? login;
  const { credential } = first;
  try {
    const client = await connect(
      {
        host: place.address,
        port: place.port,
        user: first.user,
        credential: credential.kind === 'password' ? { password: credential.secret } : { signers: [credential.signer] },
        checkHostKey: (key) => place.hostKeys.some((pinned) => same(pinned, key)),
        hostKeyAlgorithms: place.hostKeys.flatMap(algorithmsOf),
      },
      signal,
    );
    if (!isRefusal(client)) return client;
    switch (client.code) {
      case 'ssh.login-rejected':
        return { fault: 'authentication', words: `${first.user}: ${client.reason}`, rejected: true };
      case 'ssh.password-expired':
        return { fault: 'expired', words: `the password of ${first.user} has expired` };
      case 'ssh.no-login-method':
      case 'ssh.unexpected-prompt':
        return { fault: 'unsupported', words: `${first.user}: ${client.reason}` };
      default:
        return client.code satisfies never;
    }
  } catch (error) {
    signal.throwIfAborted();
    return { fault: classOf(error), words: wordsOf(error) };
  }
}

/** The class of what ended a connection. */
export function classOf(error: unknown): AnswerClass {
  const cause = error instanceof Error ? error.cause : undefined;
  const inner = cause === undefined ? undefined : codeOf(cause);
  if ((inner ?? codeOf(error)) === 'ECONNREFUSED') return 'unreachable-refused';
  switch (codeOf(error)) {
    case 'ssh.host-key-refused':
    case 'ssh.host-key-signature':
      return 'host-key';
    case 'ssh.unreachable':
      // Our own patience leaves no cause behind.
      return inner === undefined || inner === 'unknown' || inner === 'ETIMEDOUT'
        ? 'unreachable-timeout'
        : 'unreachable';
    case 'ssh.handshake-timeout':
      return 'unreachable-timeout';
    case 'ssh.closed':
    case 'ssh.disconnected':
    case 'ssh.connection-lost':
      return 'cut';
    default:
      return 'unexpected';
  }
}

/** Asking for a key type that is not pinned would only end in a refusal. */
function algorithmsOf(blob: Uint8Array): string[] {
  const length = new DataView(blob.buffer, blob.byteOffset, blob.byteLength).getUint32(0);
  const type = text(blob.subarray(4, 4 + Math.min(length, 64)));
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type];
}

/** A real login and nothing more: whoever is let in has proven the credential. */
export async function tryLogin(place: Place, login: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  const client = await reach(place, login, signal);
  if (!isFault(client)) {
    await client[Symbol.asyncDispose]();
    return { answer: 'accepted', class: 'none', words: '' };
  }
  // Only a right password is told that it has expired.
  if (client.fault === 'expired') return { answer: 'accepted', class: 'expired', words: client.words };
  return { answer: client.rejected === true ? 'rejected' : 'unknown', class: client.fault, words: client.words };
}

/** Does something on a connection; what breaks before `sending` was called was certainly not sent, and only that. */
export async function onTarget(
  place: Place,
  login: Login,
  signal: AbortSignal,
  use: (client: SshClient, sending: () => void) => Promise<ChangeAnswer>,
): Promise<ChangeAnswer> {
  const client = await reach(place, login, signal);
  if (isFault(client)) return unsent(client);
  await using _ = client;
  let sent = false;
  try {
    return await use(client, () => {
      sent = true;
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SshError)) throw error;
    const refused = error.code === 'ssh.channel-refused' || error.code === 'ssh.request-refused';
    // A command that is refused now says nothing of those before it.
    return { said: sent ? 'uncertain' : 'unsent', class: refused ? 'permission' : 'cut', words: error.message };
  }
}

export function unsent(fault: Fault): ChangeAnswer {
  return { said: 'unsent', class: fault.fault, words: fault.words };
}

/**
 * The target's side of an SSH session: the client role of the transport. The keeper compares the target's host key with
 * the pinned ones inside the key exchange; with any other key the connection ends there, before a user name or a secret
 * was sent.
 */
import { isRefusal, type Refusal } from '../../base/errors.ts';
import { deadline } from '../../base/signals.ts';
import type { AuthorizationAnswer } from '../../link/link.ts';
import { disconnectReason, logIn, openTransport, type Transport } from '../../protocol/ssh/ssh.ts';
import { connectTo } from '../connect.ts';
import type { OpenedCredential } from '../credential.ts';
import { ProxyError } from '../errors.ts';
import type { Session } from '../open-session.ts';
import type { Place } from '../place.ts';
import type { Back } from '../session.ts';
import { describe } from './front.ts';
import { version } from './login.ts';

/** From the first request to the target's last word about the login. Targets that ask elsewhere take a while. */
const loginMs = 60_000;

export interface SshBack extends Back {
  readonly transport: Transport;
}

/** Throws `proxy.no-host-key`, `proxy.target-unreachable` or `proxy.host-key-changed`. */
export async function dialSsh(
  authorization: AuthorizationAnswer,
  session: Session,
  place: Place,
  signal: AbortSignal,
): Promise<SshBack> {
  const { address, port, hostKeyTypes, target } = authorization;
  const socket = await connectTo(address, port, signal);
  let wrong: ProxyError | undefined;
  try {
    const transport = await openTransport(
      socket,
      {
        role: 'client',
        version,
        ...(hostKeyTypes.length === 0 ? {} : { hostKeyAlgorithms: hostKeyTypes.flatMap(signatureAlgorithms) }),
        checkHostKey: async (publicKey, algorithm) => {
          const answer = await place.keeper['hostkey.check']({ session: session.id, algorithm, publicKey }, signal);
          const verdict = isRefusal(answer) ? 'unknown' : answer.verdict;
          if (verdict === 'unknown') wrong = new ProxyError('proxy.no-host-key', target);
          if (verdict === 'changed') wrong = new ProxyError('proxy.host-key-changed', target);
          return verdict === 'trusted';
        },
      },
      signal,
    );
    return {
      transport,
      negotiated: describe(transport.negotiated, transport.peerVersion),
      logIn: (account, credential) => logInAs(transport, account, credential, signal),
      [Symbol.asyncDispose]: async () => {
        await transport.disconnect(disconnectReason.byApplication, 'session over');
        await transport[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    socket.destroy();
    throw wrong ?? error;
  }
}

/** A key of type `ssh-rsa` signs by names of its own (RFC 8332). */
function signatureAlgorithms(keyType: string): readonly string[] {
  return keyType === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [keyType];
}

/** Publickey with a key, otherwise password or keyboard-interactive, whichever the target wants. */
async function logInAs(
  transport: Transport,
  account: string,
  credential: OpenedCredential,
  signal: AbortSignal,
): Promise<Refusal | undefined> {
  const how = credential.kind === 'ssh-key' ? { signers: [credential.signer] } : { password: credential.secret };
  using limit = deadline(
    signal,
    loginMs,
    () => new ProxyError('proxy.target-unreachable', 'no end of the login in 60 s'),
  );
  const answer = await logIn(transport, account, how, limit.signal);
  return isRefusal(answer) ? answer : undefined;
}

/**
 * CredSSP on both sides of a session: the client's proof, judged by the keeper, and the account's, shown to the target. The
 * machines are in `protocol/ntlm`; here they get their messages, the keeper's verdict, time and chance.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { isRefusal, type Refusal, refuse } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import type { Keeper } from '../../link/link.ts';
import { fileTime, ntlmErrors, openAcceptor, openInitiator } from '../../protocol/ntlm/ntlm.ts';
import { RdpError, type RdpStream } from '../../protocol/rdp/rdp.ts';
import { ProxyError } from '../errors.ts';
import type { Peer } from '../place.ts';
import { beginLogin, type Login } from './login.ts';

/** A client that proved a token and delegated it. The login still has to take it. */
export interface Proof {
  readonly login: Login;
  /** The caller's to dispose. */
  readonly token: Secret;
}

/** Refusals that no honest client and no wrong password can cause. */
const signsOfAnother: ReadonlySet<string> = new Set(['ntlm.public-key', 'ntlm.channel-bindings', 'ntlm.altered']);

/** Runs CredSSP as the server, whose certificate is `leaf`. Undefined if it was refused; the client has been told. */
export async function proveByCredSsp(
  stream: RdpStream,
  leaf: Uint8Array,
  keeper: Keeper,
  peer: Peer,
  signal: AbortSignal,
): Promise<Proof | undefined> {
  let login: Login | undefined;
  using acceptor = openAcceptor({
    certificate: leaf,
    names: { netbios: 'SALLYPORT', dns: hostname() },
    now: fileTime(Date.now()),
    chance: (count) => new Uint8Array(randomBytes(count)),
    judge: async (claim, waiting) => {
      login = await beginLogin(keeper, peer, claim, waiting);
      const { user, domain, serverChallenge, proof, blob } = claim;
      const answer = await keeper['login.ntlm'](
        { login: login.handle, user, domain, serverChallenge, proof, blob },
        waiting,
      );
      return isRefusal(answer) ? undefined : answer.sessionBaseKey;
    },
  });
  for (;;) {
    const { send, done, refused } = await acceptor.step(await stream.der(signal), signal);
    if (send !== undefined) stream.write(send);
    if (refused !== undefined) {
      if (signsOfAnother.has(refused.code)) {
        // whoever it was, the exchange may have ended before it came to a name
        login ??= await beginLogin(keeper, peer, { user: '', domain: '' }, signal);
        await keeper['login.intercepted']({ login: login.handle }, signal);
      }
      return undefined;
    }
    if (done === undefined) continue;
    if (login === undefined) throw new ProxyError('proxy.protocol', 'CredSSP ended without a proof');
    return { login, token: done.credentials.password };
  }
}

export interface TargetLogin {
  readonly account: string;
  readonly domain: string;
  readonly password: Secret;
  readonly host: string;
  /** DER of what the target showed; it has been compared with the pinned ones. */
  readonly certificate: Uint8Array | undefined;
}

/**
 * Runs CredSSP as the client. A refusal means that the target said no: by a status, or, as some servers do, by hanging up on
 * the proof.
 */
export async function logInByCredSsp(
  stream: RdpStream,
  { account, domain, password, host, certificate }: TargetLogin,
  signal: AbortSignal,
): Promise<Refusal | undefined> {
  using initiator = openInitiator({
    user: account,
    domain,
    password,
    host,
    certificate: certificate ?? new Uint8Array(),
    now: fileTime(Date.now()),
    chance: (count) => new Uint8Array(randomBytes(count)),
  });
  stream.write(initiator.first);
  for (let answered = false; ; answered = true) {
    const message = await stream.der(signal).catch((error: unknown) => {
      if (answered && error instanceof RdpError && error.code === 'rdp.closed') return undefined;
      throw error;
    });
    if (message === undefined) return refuse('proxy.credential-rejected', hungUp);
    const { send, done, refused } = initiator.step(message);
    if (refused !== undefined) return refuse(refused.code, `${ntlmErrors[refused.code].meaning}: ${refused.reason}`);
    stream.write(send);
    if (done) return undefined;
  }
}

const hungUp = 'the target hung up: probably it does not take the stored password';

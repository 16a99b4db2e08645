/**
 * The person's side of a session over RDP: a finished login, and everything that its client said it wants. Nothing of it
 * has reached a target yet.
 */
import { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContext } from 'node:tls';
import { wordsOf } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { utf8FromUtf16 } from '../../protocol/ntlm/ntlm.ts';
import {
  type Accepted,
  acceptClient,
  errorInfo,
  farewell,
  noticeShareId,
  RdpStream,
  security,
  showNotice,
} from '../../protocol/rdp/rdp.ts';
import { ProxyError } from '../errors.ts';
import type { Peer, Place } from '../place.ts';
import type { Front } from '../session.ts';
import { type Proof, proveByCredSsp } from './credssp.ts';
import { beginLogin, type Login, submitPassword, submitToken } from './login.ts';

/** The gate's certificate, ready for TLS and for CredSSP, which binds the password to its key. */
export interface GateCertificate {
  readonly context: SecureContext;
  /** DER of the gate's own. */
  readonly leaf: Uint8Array;
}

/** Throws if chain and key do not go together. */
export function gateCertificate(chain: Uint8Array, key: Uint8Array): GateCertificate {
  const pem = Buffer.from(chain);
  const context = createSecureContext({ cert: pem, key: Buffer.from(key), minVersion: 'TLSv1.2' });
  return { context, leaf: new Uint8Array(new X509Certificate(pem).raw) };
}

export interface RdpFront extends Front {
  readonly stream: RdpStream;
  readonly accepted: Accepted<Proof>;
  /** Set by the splice once the client's licensing is over: from then on it is told why by other means. */
  spliced: boolean;
}

/** Handshake and login. Undefined if the client was refused; the keeper has audited why. Throws for whatever breaks the rules. */
export async function answerRdp(
  socket: Duplex,
  peer: Peer,
  place: Place,
  certificate: GateCertificate,
  signal: AbortSignal,
): Promise<RdpFront | undefined> {
  await using undo = new AsyncDisposableStack();
  const stream = undo.use(new RdpStream(socket));
  const accepted = await acceptClient<Proof>(
    stream,
    {
      secure: certificate.context,
      discard: ({ token }) => token[Symbol.dispose](),
      judge: (secured, waiting) => proveByCredSsp(secured, certificate.leaf, place.keeper, peer, waiting),
    },
    signal,
  );
  if (accepted === undefined) {
    place.log.debug({ peer: peer.address }, 'CredSSP let nobody in');
    return undefined;
  }
  const login = await finishLogin(accepted, peer, place, signal).catch((error: unknown) => {
    stream.write(farewell(accepted.io, errorInfo.deniedConnection, false));
    throw error;
  });
  if (login === undefined) {
    await explain(stream, accepted, [notLetIn, howToGetIn], errorInfo.insufficientPrivileges, signal);
    return undefined;
  }
  const gone = new AbortController();
  const leave = (): void => gone.abort(new ProxyError('proxy.protocol', 'the client left'));
  stream.gone.addEventListener('abort', leave);
  // it may have left while its login was judged
  if (stream.gone.aborted) leave();
  const { core } = accepted;
  undo.move();
  const front: RdpFront = {
    stream,
    accepted,
    spliced: false,
    login: login.handle,
    account: login.wish.account,
    target: login.wish.target,
    service: login.wish.service,
    client: `${peer.address}:${peer.port}`,
    negotiated: {
      security: accepted.selected === security.nla ? 'nla' : 'tls',
      tls: stream.tls?.protocol ?? '',
      cipher: stream.tls?.cipher ?? '',
      client: core.name.slice(0, 255),
      build: String(core.build),
      desktop: `${core.width}x${core.height}x${core.depth}`,
    },
    gone: gone.signal,
    turnAway: async (words, why) => {
      place.log.debug({ peer: peer.address, words }, 'a client is turned away');
      if (front.spliced || front.gone.aborted) return;
      if (why === 'ended') stream.write(farewell(accepted.io, errorInfo.disconnectedByAdministrator, false));
      else await explain(stream, accepted, [`Sallyport: ${words}.`], codeOf[why], signal);
    },
    [Symbol.asyncDispose]: async () => await stream[Symbol.asyncDispose](),
  };
  return front;
}

const notLetIn = 'Sallyport did not let you in.';
const howToGetIn =
  'Ask for a connection token (sallyport rdp USER@ACCOUNT@TARGET) and give it as the password; or give your own password, with your one-time code behind a comma.';
const anyKey = 'Press a key to close.';
/** How long words stand that nobody answers. */
const noticeMs = 10_000;
const codeOf = { refused: errorInfo.insufficientPrivileges, broken: errorInfo.deniedConnection } as const;

/** Says it in words, then by the number that the client has a text for. */
async function explain(
  stream: RdpStream,
  accepted: Accepted<unknown>,
  words: readonly string[],
  code: number,
  signal: AbortSignal,
): Promise<void> {
  await showNotice(stream, accepted, [...words, '', anyKey], noticeMs, signal);
  stream.write(farewell(accepted.io, code, true, noticeShareId));
}

/** CredSSP's login with the token that it delegated, or a new one with the password of Client Info. */
async function finishLogin(
  accepted: Accepted<Proof>,
  peer: Peer,
  place: Place,
  signal: AbortSignal,
): Promise<Login | undefined> {
  const { info, proof } = accepted;
  const typed = utf8FromUtf16(info.password);
  info.password.fill(0);
  using password = new Secret(typed ?? new Uint8Array());
  try {
    if (proof !== undefined) {
      using token = proof.token;
      return await submitToken(place.keeper, proof.login, token, signal);
    }
    const login = await beginLogin(place.keeper, peer, { user: info.user, domain: info.domain }, signal);
    return await submitPassword(place.keeper, login, password, signal);
  } catch (error) {
    place.log.debug({ peer: peer.address, reason: wordsOf(error) }, 'a login could not be finished');
    throw error;
  }
}

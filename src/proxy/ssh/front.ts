/** The person's side of an SSH session: the server role of the transport, and a finished login. */
import type { Socket } from 'node:net';
import {
  authenticate,
  disconnectReason,
  type Negotiated,
  openTransport,
  type Transport,
} from '../../protocol/ssh/ssh.ts';
import { ProxyError } from '../errors.ts';
import type { Peer, Place } from '../place.ts';
import type { Front } from '../session.ts';
import { keeperLogin, version } from './login.ts';

export interface SshFront extends Front {
  readonly transport: Transport;
}

/** Handshake and login. Undefined if the client left, was refused, or broke the protocol; the keeper has audited which. */
export async function answerSsh(
  socket: Socket,
  peer: Peer,
  place: Place,
  signal: AbortSignal,
): Promise<SshFront | undefined> {
  const transport = await openTransport(socket, { role: 'server', version, hostKeys: place.hostKeys }, signal);
  const login = keeperLogin(place.keeper, peer);
  const outcome = await authenticate(transport, login, {}, signal);
  if (outcome.kind !== 'accepted') {
    place.log.debug({ peer: peer.address, why: outcome.why, detail: outcome.detail }, 'nobody was let in');
    await transport[Symbol.asyncDispose]();
    return undefined;
  }
  const gone = new AbortController();
  void transport.ended.then((end) => gone.abort(new ProxyError('proxy.protocol', `the client left (${end.kind})`)));
  return {
    transport,
    login: login.handle,
    account: login.selector?.account,
    target: login.selector?.target ?? '',
    service: login.selector?.service,
    client: `${peer.address}:${peer.port}`,
    negotiated: describe(transport.negotiated, transport.peerVersion),
    gone: gone.signal,
    turnAway: async (words) => await transport.disconnect(disconnectReason.byApplication, `sallyport: ${words}`),
    [Symbol.asyncDispose]: async () => await transport[Symbol.asyncDispose](),
  };
}

/** What was agreed on, for the audit trail. */
export function describe(negotiated: Negotiated, peerVersion: string): Record<string, string> {
  const { kex, hostKey, cipherIn, cipherOut, macIn, macOut, strict } = negotiated;
  return {
    version: peerVersion.slice(0, 255),
    kex,
    hostKey,
    cipherIn,
    cipherOut,
    macIn,
    macOut,
    strict: String(strict),
  };
}

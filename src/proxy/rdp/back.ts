/**
 * The target's side of a session over RDP. Its certificate is compared with the pinned ones before a name or a secret is
 * sent; with `nla` the target then has to prove by CredSSP that it knows the password, bound to that certificate.
 */
import { isRefusal, type Refusal, refuse, wordsOf } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { deadline } from '../../base/signals.ts';
import type { AuthorizationAnswer } from '../../link/link.ts';
import { utf16FromUtf8 } from '../../protocol/ntlm/ntlm.ts';
import {
  type Accepted,
  type ChannelRequest,
  encodeClientInfo,
  joinTarget,
  type Joined,
  reachTarget,
  type Reached,
  RdpError,
  RdpStream,
  sendClientInfo,
} from '../../protocol/rdp/rdp.ts';
import { connectTo } from '../connect.ts';
import { ProxyError } from '../errors.ts';
import type { Session } from '../open-session.ts';
import type { Place } from '../place.ts';
import type { Back } from '../session.ts';
import { logInByCredSsp } from './credssp.ts';
import { rdpPolicy, type StaticDecision, staticChannels } from './policy.ts';

const loginMs = 60_000;
const leastSide = 200;
const mostSide = 8192;

export interface RdpBack extends Back {
  readonly stream: RdpStream;
  /** What became of each static channel that the client asked for, in its order. */
  readonly decisions: readonly StaticDecision[];
  /** The target's numbers, once logged in: of its allowed channels only. */
  readonly joined: Joined;
}

/** Throws `proxy.target-unreachable`, `proxy.no-certificate` or `proxy.certificate-changed`. */
export async function dialRdp(
  client: Accepted<unknown>,
  authorization: AuthorizationAnswer,
  session: Session,
  place: Place,
  signal: AbortSignal,
): Promise<RdpBack> {
  const { address, port, rdp } = authorization;
  if (rdp === undefined) throw new ProxyError('proxy.protocol', 'a grant without a desktop');
  await using undo = new AsyncDisposableStack();
  const stream = undo.use(new RdpStream(await connectTo(address, port, signal)));
  const reached = await reachTarget(stream, rdp.security, address, signal).catch((error: unknown) => {
    throw error instanceof RdpError
      ? new ProxyError('proxy.target-unreachable', wordsOf(error), { cause: error })
      : error;
  });
  await checkCertificate(reached, authorization.target, session, place, signal);

  const policy = rdpPolicy(authorization.subprotocols);
  const decisions = staticChannels(
    client.channels.map((channel) => channel.name),
    policy,
  );
  const channels = client.channels.filter((_, i) => decisions[i]?.allowed);
  let joined: Joined | undefined;
  undo.move();
  return {
    stream,
    decisions,
    get joined() {
      if (joined === undefined) throw new ProxyError('proxy.protocol', 'the target is not joined yet');
      return joined;
    },
    negotiated: {
      security: rdp.security,
      tls: stream.tls?.protocol ?? '',
      cipher: stream.tls?.cipher ?? '',
    },
    logIn: async (account, credential, waiting) => {
      if (credential.kind !== 'password') return refuse('proxy.no-password', 'the account has a key and no password');
      using late = deadline(
        waiting,
        loginMs,
        () => new ProxyError('proxy.target-unreachable', 'no end of the login in 60 s'),
      );
      const answer = await logIn(
        stream,
        client,
        channels,
        { account, domain: authorization.domain, password: credential.secret },
        authorization,
        reached,
        late.signal,
      );
      if (isRefusal(answer)) return answer;
      joined = answer;
      return undefined;
    },
    [Symbol.asyncDispose]: async () => await stream[Symbol.asyncDispose](),
  };
}

async function checkCertificate(
  { chain }: Reached,
  target: string,
  session: Session,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const answer = await place.keeper['certificate.check']({ session: session.id, chain: [...chain] }, signal);
  const verdict = isRefusal(answer) ? 'unknown' : answer.verdict;
  if (verdict === 'unknown') throw new ProxyError('proxy.no-certificate', target);
  if (verdict === 'changed') throw new ProxyError('proxy.certificate-changed', target);
}

interface As {
  readonly account: string;
  readonly domain: string;
  readonly password: Secret;
}

/** CredSSP where the target can, then settings, channels, and Client Info with the account in it. */
async function logIn(
  stream: RdpStream,
  client: Accepted<unknown>,
  channels: readonly ChannelRequest[],
  as: As,
  { address, rdp }: AuthorizationAnswer,
  reached: Reached,
  signal: AbortSignal,
): Promise<Joined | Refusal> {
  if (rdp?.security === 'nla') {
    const refused = await logInByCredSsp(stream, { ...as, host: address, certificate: reached.chain[0] }, signal);
    if (refused !== undefined) return refused;
  }
  const { core } = client;
  const width = within(core.width, rdp?.maxWidth);
  const height = within(core.height, rdp?.maxHeight);
  const joined = await joinTarget(
    stream,
    client.blocks,
    {
      selected: reached.selected,
      depth: depthFor(core.depth, rdp?.depth ?? 24),
      width,
      height,
      monitors: width === core.width && height === core.height,
    },
    channels,
    signal,
  );
  const password = utf16FromUtf8(as.password.reveal());
  if (password === undefined) return refuse('proxy.no-password', 'the stored password is no text');
  try {
    const shell = rdp?.application ?? '';
    const payload = encodeClientInfo(client.info, { domain: as.domain, user: as.account, password, shell });
    sendClientInfo(stream, joined, payload);
  } finally {
    password.fill(0);
  }
  return joined;
}

/** What the client wants, at most what the grant allows, and never so few bits that a server draws in other ways. */
function depthFor(wanted: number, most: number): number {
  const depth = Math.min(wanted, most);
  return depth >= 32 ? 32 : depth >= 24 ? 24 : 16;
}

/** A side that every server and the recording can do, at most the grant's. */
function within(wanted: number, most = mostSide): number {
  return Math.max(Math.min(wanted, most, mostSide), leastSide);
}

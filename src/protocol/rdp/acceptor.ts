/**
 * The server's side of a connection, from its first byte to Client Info (MS-RDPBCGR §1.3.1.1): a whole server of its own, because
 * neither the user nor the target is known before, and because nothing of the client's may reach a target before it is
 * known that it may. What comes afterwards — licensing, activation, pictures — is the splice's.
 *
 * It decides nothing about people: CredSSP's proof is judged by whoever called, and a client without CredSSP brings a
 * password in its Client Info, which is handed on unjudged.
 */
import type { SecureContext } from 'node:tls';
import { deadline } from '../../base/signals.ts';
import { isViolation, type Violation } from '../wire/violation.ts';
import { RdpError } from './errors.ts';
import type { RdpStream } from './stream.ts';
import { type ClientInfo, decodeClientInfo } from './wire/client-info.ts';
import { type Block, block, decodeConnectInitial, encodeConnectResponse } from './wire/gcc.ts';
import { attachConfirm, decodeMcs, disconnectUltimatum, joinConfirm } from './wire/mcs.ts';
import {
  type ChannelRequest,
  type ClientCore,
  decodeClientCore,
  decodeClientNet,
  serverBlocks,
} from './wire/settings.ts';
import {
  type ConnectionRequest,
  decodeConnectionRequest,
  encodeConnectionConfirm,
  encodeNegotiationFailure,
  negotiationFailure,
  requestFlag,
  security,
} from './wire/x224.ts';

const firstMs = 10_000;
/** From the client's first message to its Client Info: people read warnings about certificates and type passwords. */
const loginMs = 180_000;
const ioChannel = 1003;
const joinsPerChannel = 4;

/** Judges one CredSSP exchange over the secured stream. Undefined if it ended in a refusal that the client was told. */
export type Judge<Proof> = (stream: RdpStream, signal: AbortSignal) => Promise<Proof | undefined>;

export interface AcceptOptions<Proof> {
  /** The gate's certificate. Undefined if the stream is secured already, as a browser's is. */
  readonly secure: SecureContext | undefined;
  /** Undefined where nobody is asked for CredSSP. */
  readonly judge: Judge<Proof> | undefined;
  /** Called with the proof of a client that went no further: there may be a secret in it. */
  readonly discard?: (proof: Proof) => void;
}

export interface StaticChannel extends ChannelRequest {
  /** Its number on this side. */
  readonly id: number;
}

export interface Accepted<Proof> {
  readonly request: ConnectionRequest;
  /** The protocol that was chosen. */
  readonly selected: number;
  readonly proof: Proof | undefined;
  readonly blocks: readonly Block[];
  readonly core: ClientCore;
  readonly channels: readonly StaticChannel[];
  readonly io: number;
  readonly user: number;
  readonly info: ClientInfo;
}

/** Takes a client as far as Client Info. Undefined if CredSSP refused it. Throws `RdpError` for whatever breaks the rules. */
export async function acceptClient<Proof>(
  stream: RdpStream,
  options: AcceptOptions<Proof>,
  signal: AbortSignal,
): Promise<Accepted<Proof> | undefined> {
  using late = deadline(signal, loginMs, () => new RdpError('rdp.too-slow'));

  // -- Which security? The client's list, our choice ---------------------------------------------------------------
  const request = await firstMessage(stream, late.signal);
  const selected = choose(request, options);
  if (typeof selected !== 'number') {
    stream.write(encodeNegotiationFailure(selected.failure));
    throw new RdpError('rdp.negotiation', selected.why);
  }
  stream.write(encodeConnectionConfirm(selected));
  if (options.secure !== undefined) await stream.secureServer(options.secure, late.signal);

  // -- Who is it? ----------------------------------------------------------------------------------------------------
  let proof: Proof | undefined;
  if (selected === security.nla) {
    proof = await options.judge?.(stream, late.signal);
    if (proof === undefined) return undefined;
  }

  try {
    return { request, selected, proof, ...(await settle(stream, request, late.signal)) };
  } catch (error) {
    if (proof !== undefined) options.discard?.(proof);
    throw error;
  }
}

type Settled = Omit<Accepted<never>, 'request' | 'selected' | 'proof'>;

/** From the settings to Client Info. */
async function settle(stream: RdpStream, request: ConnectionRequest, signal: AbortSignal): Promise<Settled> {
  // -- Settings and channels -----------------------------------------------------------------------------------------
  const blocks = sound(decodeConnectInitial(await stream.frame(signal)));
  const core = sound(decodeClientCore(dataOf(blocks, block.csCore)));
  const net = blocks.find(({ type }) => type === block.csNet);
  const requested = net === undefined ? [] : sound(decodeClientNet(net.data));
  const channels = requested.map((channel, i) => ({ ...channel, id: ioChannel + 1 + i }));
  const user = ioChannel + channels.length + 8;
  stream.write(
    encodeConnectResponse(
      serverBlocks(request.protocols, { io: ioChannel, channels: channels.map((channel) => channel.id) }),
    ),
  );

  // -- Joins, until the first data, which is Client Info -------------------------------------------------------------
  for (let left = joinsPerChannel * (channels.length + 4); left > 0; left--) {
    const pdu = sound(decodeMcs(await stream.frame(signal)));
    switch (pdu.kind) {
      case 'erect-domain':
        break;
      case 'attach-user':
        stream.write(attachConfirm(user));
        break;
      case 'join':
        stream.write(joinConfirm(user, pdu.channel));
        break;
      case 'data':
        if (pdu.channel !== ioChannel) break;
        return { blocks, core, channels, io: ioChannel, user, info: sound(decodeClientInfo(pdu.data)) };
      case 'disconnect':
        throw new RdpError('rdp.closed', 'the client left before it logged in');
      default:
        stream.write(disconnectUltimatum());
        throw new RdpError('rdp.protocol', `${pdu.kind} from a client`);
    }
  }
  throw new RdpError('rdp.protocol', 'more joins than channels');
}

async function firstMessage(stream: RdpStream, signal: AbortSignal): Promise<ConnectionRequest> {
  using late = deadline(signal, firstMs, () => new RdpError('rdp.too-slow'));
  return sound(decodeConnectionRequest(await stream.frame(late.signal)));
}

/** CredSSP whenever both sides know it, else TLS; RDP's own encryption never. */
function choose(
  { protocols, flags }: ConnectionRequest,
  options: Pick<AcceptOptions<unknown>, 'judge'>,
): number | { readonly failure: number; readonly why: string } {
  if ((flags & (requestFlag.restrictedAdmin | requestFlag.remoteGuard)) !== 0)
    return { failure: negotiationFailure.inconsistentFlags, why: 'a client that delegates no password' };
  if ((protocols & security.nla) !== 0 && options.judge !== undefined) return security.nla;
  if ((protocols & security.tls) !== 0) return security.tls;
  if ((protocols & (security.nla | security.nlaEx)) !== 0)
    return { failure: negotiationFailure.tlsRequired, why: 'a client with CredSSP where there is none' };
  return { failure: negotiationFailure.tlsRequired, why: 'a client without TLS' };
}

function dataOf(blocks: readonly Block[], type: number): Uint8Array {
  const found = blocks.find((one) => one.type === type);
  if (found === undefined) throw new RdpError('rdp.protocol', `no block ${type}`);
  return found.data;
}

/** The decoded message, or the violation as the error that ends this connection. */
export function sound<T>(decoded: T | Violation): T {
  if (isViolation(decoded)) throw new RdpError('rdp.protocol', decoded.violation);
  return decoded;
}

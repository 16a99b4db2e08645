/**
 * The client's side of a connection to a target, up to Client Info with the injected credential (MS-RDPBCGR §1.3.1.1).
 * The certificate that the target shows is judged before anything else happens; CredSSP then proves that whoever owns
 * it knows the password too. A target without CredSSP proves nothing, and gets the password in Client Info: its
 * certificate had better be pinned.
 */
import { deadline } from '../../base/signals.ts';
import { sound } from './acceptor.ts';
import { RdpError } from './errors.ts';
import type { RdpStream } from './stream.ts';
import { decodeConnectResponse, encodeConnectInitial, type Block } from './wire/gcc.ts';
import { attachUser, decodeMcs, erectDomain, joinChannel, type McsPdu, sendDataRequest } from './wire/mcs.ts';
import { type ChannelRequest, type CoreEdit, decodeServerBlocks, targetBlocks } from './wire/settings.ts';
import { decodeConnectionConfirm, encodeConnectionRequest, security } from './wire/x224.ts';

const stepMs = 20_000;

/** What was agreed on with a target whose certificate was accepted. */
export interface Reached {
  readonly selected: number;
  /** DER, the target's own first. */
  readonly chain: readonly Uint8Array[];
}

/** Negotiates and secures. `wanted` is what the estate says that the target can do; anything else is a refusal of ours. */
export async function reachTarget(
  stream: RdpStream,
  wanted: 'nla' | 'tls',
  host: string,
  signal: AbortSignal,
): Promise<Reached> {
  using late = deadline(signal, stepMs, () => new RdpError('rdp.too-slow'));
  stream.write(encodeConnectionRequest(wanted === 'nla' ? security.tls | security.nla : security.tls));
  const confirm = sound(decodeConnectionConfirm(await stream.frame(late.signal)));
  if (confirm.kind === 'failure') throw new RdpError('rdp.negotiation', failureWords(confirm.code));
  const due = wanted === 'nla' ? security.nla : security.tls;
  if (confirm.protocol !== due)
    throw new RdpError('rdp.negotiation', `the target chose ${protocolName(confirm.protocol)} where ${wanted} is due`);
  const chain = await stream.secureClient({ servername: nameFor(host) }, late.signal);
  if (chain.length === 0) throw new RdpError('rdp.tls', 'the target showed no certificate');
  return { selected: confirm.protocol, chain };
}

/** TLS takes names for its server name indication and no addresses. */
function nameFor(host: string): string {
  return /^[\d.]+$|:/.test(host) ? '' : host;
}

/** The target's numbers, in the order of the channels that were asked for. */
export interface Joined {
  readonly io: number;
  readonly user: number;
  readonly channels: readonly number[];
}

/** Settings, channels and joins. Sends nothing secret. */
export async function joinTarget(
  stream: RdpStream,
  blocks: readonly Block[],
  edit: CoreEdit,
  channels: readonly ChannelRequest[],
  signal: AbortSignal,
): Promise<Joined> {
  using late = deadline(signal, stepMs, () => new RdpError('rdp.too-slow'));
  stream.write(encodeConnectInitial(targetBlocks(blocks, edit, channels)));
  const server = sound(
    decodeServerBlocks(sound(decodeConnectResponse(await stream.frame(late.signal))), channels.length),
  );
  stream.write(erectDomain());
  stream.write(attachUser());
  const { user } = await expect(stream, 'attach-confirm', late.signal);
  for (const channel of [user, server.io, ...server.channels]) {
    if (channel === 0) continue;
    stream.write(joinChannel(user, channel));
    await expect(stream, 'join-confirm', late.signal);
  }
  return { io: server.io, user, channels: server.channels };
}

/** Sends Client Info, which holds the password; it is zeroed when it is on its way. */
export function sendClientInfo(stream: RdpStream, joined: Joined, payload: Uint8Array): void {
  const message = sendDataRequest(joined.user, joined.io, payload);
  payload.fill(0);
  stream.write(message, () => message.fill(0));
}

async function expect<K extends McsPdu['kind']>(
  stream: RdpStream,
  kind: K,
  signal: AbortSignal,
): Promise<Extract<McsPdu, { kind: K }>> {
  const pdu = sound(decodeMcs(await stream.frame(signal)));
  if (pdu.kind === 'disconnect') throw new RdpError('rdp.closed', `the target ended the connection (${pdu.reason})`);
  if (pdu.kind !== kind) throw new RdpError('rdp.protocol', `${pdu.kind} where ${kind} is due`);
  return pdu as Extract<McsPdu, { kind: K }>;
}

function protocolName(protocol: number): string {
  const names: Readonly<Record<number, string>> = {
    0: 'no TLS',
    1: 'tls',
    2: 'nla',
    8: 'nla with early authorization',
  };
  return names[protocol] ?? `protocol ${protocol}`;
}

/** RDP_NEG_FAILURE codes (§2.2.1.2.2), as a target sends them. */
function failureWords(code: number): string {
  const words: Readonly<Record<number, string>> = {
    1: 'the target wants TLS',
    2: 'the target has no TLS',
    3: 'the target has no certificate',
    4: 'the target found the request inconsistent',
    5: 'the target wants NLA',
    6: 'the target wants TLS with a certificate of the client',
  };
  return words[code] ?? `the target refused to negotiate (${code})`;
}

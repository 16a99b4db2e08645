/**
 * Channel requests (RFC 4254 §6, OpenSSH's PROTOCOL) and the bodies of CHANNEL_OPEN. Pure. A name that is not known, or
 * known with another shape of body, is not guessed at: it stays `unknown` or breaks the rules, respectively.
 */
import { text as lenient } from '../../../base/bytes.ts';
import { Reader, type Violation } from './reader.ts';
import { Writer } from './writer.ts';

const longestName = 256;
const longestCommand = 1 << 18;
const longestModes = 4096;

export interface PtyRequest {
  readonly type: 'pty-req';
  readonly term: string;
  readonly cols: number;
  readonly rows: number;
  readonly widthPixels: number;
  readonly heightPixels: number;
  /** Terminal modes by opcode, in the order they came (RFC 4254 §8). */
  readonly modes: ReadonlyMap<number, number>;
}

export type ChannelRequest =
  | PtyRequest
  | { readonly type: 'env'; readonly name: string; readonly value: Uint8Array }
  | { readonly type: 'shell' }
  | { readonly type: 'exec'; readonly command: Uint8Array }
  | { readonly type: 'subsystem'; readonly subsystem: string }
  | {
      readonly type: 'window-change';
      readonly cols: number;
      readonly rows: number;
      readonly widthPixels: number;
      readonly heightPixels: number;
    }
  /** Without the SIG prefix. */
  | { readonly type: 'signal'; readonly signal: string }
  | { readonly type: 'exit-status'; readonly status: number }
  | { readonly type: 'exit-signal'; readonly signal: string; readonly coreDumped: boolean; readonly message: string }
  | { readonly type: 'xon-xoff'; readonly clientCanDo: boolean }
  | { readonly type: 'break'; readonly milliseconds: number }
  | { readonly type: 'eow@openssh.com' }
  | { readonly type: 'auth-agent-req@openssh.com' }
  | {
      readonly type: 'x11-req';
      readonly single: boolean;
      readonly protocol: string;
      readonly cookie: Uint8Array;
      readonly screen: number;
    }
  /** Everything else, its body as it stands. */
  | { readonly type: 'unknown'; readonly body: Uint8Array };

/** Reads the body of a request; the reader stands behind `want reply`. */
export function decodeRequest(name: string, reader: Reader): ChannelRequest {
  switch (name) {
    // string TERM · uint32 columns, rows, width, height · string modes
    case 'pty-req': {
      const term = reader.text(longestName);
      const [cols, rows, widthPixels, heightPixels] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
      const modes = decodeModes(reader.string(longestModes));
      if (modes === undefined) reader.fail('terminal modes end in the middle');
      return { type: name, term, cols, rows, widthPixels, heightPixels, modes: modes ?? new Map() };
    }
    case 'env':
      return { type: name, name: reader.text(longestName), value: reader.string(longestCommand) };
    case 'shell':
      return { type: name };
    case 'exec':
      return { type: name, command: reader.string(longestCommand) };
    case 'subsystem':
      return { type: name, subsystem: reader.text(longestName) };
    case 'window-change': {
      const [cols, rows, widthPixels, heightPixels] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
      return { type: name, cols, rows, widthPixels, heightPixels };
    }
    case 'signal':
      return { type: name, signal: reader.text(longestName) };
    case 'exit-status':
      return { type: name, status: reader.u32() };
    // string signal · bool core dumped · string message · string language
    case 'exit-signal': {
      const [signal, coreDumped] = [reader.text(longestName), reader.bool()];
      const message = lenient(reader.string(16_384));
      reader.string(longestName);
      return { type: name, signal, coreDumped, message };
    }
    case 'xon-xoff':
      return { type: name, clientCanDo: reader.bool() };
    case 'break':
      return { type: name, milliseconds: reader.u32() };
    case 'eow@openssh.com':
    case 'auth-agent-req@openssh.com':
      return { type: name };
    // bool single connection · string protocol · string cookie · uint32 screen
    case 'x11-req': {
      const [single, protocol] = [reader.bool(), reader.text(longestName)];
      return { type: name, single, protocol, cookie: reader.string(longestName), screen: reader.u32() };
    }
    default:
      return { type: 'unknown', body: reader.rest() };
  }
}

/** opcode, uint32 value, … until opcode 0; 160 and above end the list too, because their arguments are not known. */
function decodeModes(bytes: Uint8Array): ReadonlyMap<number, number> | undefined {
  const reader = new Reader(bytes);
  const modes = new Map<number, number>();
  while (reader.remaining > 0) {
    const opcode = reader.u8();
    if (opcode === 0 || opcode >= 160) break;
    modes.set(opcode, reader.u32());
  }
  return reader.violation === undefined ? modes : undefined;
}

/** CHANNEL_REQUEST: byte 98 · uint32 recipient · string name · bool want reply · body. */
export function encodeRequest(
  recipient: number,
  request: Exclude<ChannelRequest, { type: 'unknown' }>,
  wantReply: boolean,
): Uint8Array {
  const writer = new Writer().u8(98).u32(recipient).text(request.type).bool(wantReply);
  writeBody(writer, request);
  return writer.finish();
}

/** Terminal modes as they travel: opcode and value each, then 0 (RFC 4254 §8). */
export function encodeModes(modes: ReadonlyMap<number, number>): Uint8Array {
  const writer = new Writer();
  for (const [opcode, value] of modes) writer.u8(opcode).u32(value);
  return writer.u8(0).finish();
}

function writeBody(w: Writer, r: Exclude<ChannelRequest, { type: 'unknown' }>): void {
  switch (r.type) {
    case 'pty-req': {
      w.text(r.term).u32(r.cols).u32(r.rows).u32(r.widthPixels).u32(r.heightPixels).string(encodeModes(r.modes));
      return;
    }
    case 'env':
      w.text(r.name).string(r.value);
      return;
    case 'exec':
      w.string(r.command);
      return;
    case 'subsystem':
      w.text(r.subsystem);
      return;
    case 'window-change':
      w.u32(r.cols).u32(r.rows).u32(r.widthPixels).u32(r.heightPixels);
      return;
    case 'signal':
      w.text(r.signal);
      return;
    case 'exit-status':
      w.u32(r.status);
      return;
    case 'exit-signal':
      w.text(r.signal).bool(r.coreDumped).text(r.message).text('');
      return;
    case 'xon-xoff':
      w.bool(r.clientCanDo);
      return;
    case 'break':
      w.u32(r.milliseconds);
      return;
    case 'x11-req':
      w.bool(r.single).text(r.protocol).string(r.cookie).u32(r.screen);
      return;
    case 'shell':
    case 'eow@openssh.com':
    case 'auth-agent-req@openssh.com':
      return;
  }
}

/** Where a tunnel goes and where it came from (RFC 4254 §7.2), in `direct-tcpip` and `forwarded-tcpip`. */
export interface TcpipBody {
  readonly host: string;
  readonly port: number;
  readonly originHost: string;
  readonly originPort: number;
}

// string host · uint32 port · string originator · uint32 originator port
export function decodeTcpip(body: Uint8Array): TcpipBody | Violation {
  const reader = new Reader(body);
  const tcpip = {
    host: reader.text(1024),
    port: reader.u32(),
    originHost: reader.text(1024),
    originPort: reader.u32(),
  };
  if (tcpip.port > 65_535 || tcpip.originPort > 65_535) reader.fail('port out of range');
  reader.end();
  return reader.violation === undefined ? tcpip : { violation: reader.violation };
}

export function encodeTcpip(body: TcpipBody): Uint8Array {
  return new Writer().text(body.host).u32(body.port).text(body.originHost).u32(body.originPort).finish();
}

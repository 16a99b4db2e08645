/** From what a caller asks for to what the machine needs; the answers to its questions; the words of its goodbye. */
import { utf8 } from '../../../base/bytes.ts';
import { SshError, type SshErrorCode } from '../errors.ts';
import type { TransportLimits, TransportOptions } from '../types.ts';
import { disconnectReason } from '../wire/numbers.ts';
import type { Disconnect } from '../wire/transport-messages.ts';
import { defaultAlgorithms, hostKeyNames, known } from './algorithms.ts';
import type { Question } from './keying.ts';
import type { Machine, MachineConfig } from './machine.ts';
import type { Chance } from './output.ts';

export const defaultLimits: TransportLimits = {
  handshakeMs: 20_000,
  maxPacket: 262_144,
  maxPacketUnauthenticated: 35_000,
  rekeyBytes: 2 ** 30,
  rekeyMs: 3_600_000,
  upgradeBytes: 2 ** 20,
  rekeyAnswerMs: 30_000,
  highWater: 524_288,
};

/** The machine's configuration. Throws RangeError for options that contradict each other: they are a bug of the caller. */
export function configOf(options: TransportOptions, limits: TransportLimits, chance: Chance): MachineConfig {
  const { role, version } = options;
  if (!/^SSH-2\.0-[\x21-\x2c\x2e-\x7e]+( [\x20-\x7e]+)?$/.test(version) || version.length > 253)
    throw new RangeError('not a version string of RFC 4253 §4.2');
  const lists = known({ ...defaultAlgorithms(role), ...options.algorithms });
  if (role === 'server' && (options.hostKeys ?? []).length === 0) throw new RangeError('a server without host keys');
  if (role === 'client' && options.checkHostKey === undefined) throw new RangeError('a client that checks no host key');
  return {
    role,
    version,
    lists: { ...lists, hostKey: preferring(options.hostKeyAlgorithms ?? [], lists.hostKey) },
    hostKeys: options.hostKeys ?? [],
    extensions: new Map([
      ...(role === 'server' ? [['server-sig-algs', sigAlgs(options)] as const] : []),
      ['ping@openssh.com', utf8('0')] as const,
      ...(options.extensions ?? []),
    ]),
    limits,
    chance,
    now: () => performance.now(),
  };
}

/** The wanted ones first, and the others after them: a key of another type is for `checkHostKey` to refuse and to name. */
function preferring(wanted: readonly string[], all: readonly string[]): readonly string[] {
  return [...wanted.filter((name) => all.includes(name)), ...all.filter((name) => !wanted.includes(name))];
}

function sigAlgs(options: TransportOptions): Uint8Array {
  return utf8((options.signatureAlgorithms ?? hostKeyNames).join(','));
}

/** Asks whoever can answer; resolves with what to tell the machine. */
export async function answer(
  question: Question,
  options: TransportOptions,
  signal: AbortSignal,
): Promise<(machine: Machine) => void> {
  if (question.ask === 'host-key') {
    const trusted = (await options.checkHostKey?.(question.publicKey, question.algorithm)) === true;
    return (machine) => machine.judged(trusted);
  }
  const signer = options.hostKeys?.[question.key];
  try {
    if (signer === undefined) throw new RangeError('no such host key');
    const signature = await signer.sign(question.data, question.algorithm, signal);
    return (machine) => machine.signed(signature);
  } catch (cause) {
    throw new SshError('ssh.signing', undefined, { cause });
  }
}

/** The peer is told the kind of trouble in the RFC's numbers, never its details. */
const goodbyes: Partial<Record<SshErrorCode, Disconnect>> = {
  'ssh.bad-mac': { reason: disconnectReason.macError, message: 'bad packet' },
  'ssh.version': { reason: disconnectReason.versionNotSupported, message: 'protocol version' },
  'ssh.no-common-algorithm': { reason: disconnectReason.keyExchangeFailed, message: 'no common algorithm' },
  'ssh.key-exchange': { reason: disconnectReason.keyExchangeFailed, message: 'key exchange failed' },
  'ssh.host-key-signature': { reason: disconnectReason.keyExchangeFailed, message: 'key exchange failed' },
  'ssh.host-key-refused': { reason: disconnectReason.hostKeyNotVerifiable, message: 'host key not trusted' },
  'ssh.malformed': { reason: disconnectReason.protocolError, message: 'protocol error' },
  'ssh.protocol': { reason: disconnectReason.protocolError, message: 'protocol error' },
  'ssh.handshake-timeout': { reason: disconnectReason.byApplication, message: 'timeout' },
  'ssh.rekey-timeout': { reason: disconnectReason.byApplication, message: 'timeout' },
};

/** The words of the goodbye for an error. */
export function goodbyeFor(error: Error): Disconnect {
  const words = error instanceof SshError ? goodbyes[error.code] : undefined;
  return words ?? { reason: disconnectReason.byApplication, message: 'closed' };
}

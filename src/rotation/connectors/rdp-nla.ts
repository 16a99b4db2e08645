/**
 * Passwords of a machine that is reached by RDP with network level authentication, and by nothing else: it changes none,
 * and tries them by a login with CredSSP (MS-CSSP §3.1.5) that ends one step before its end. No desktop is opened.
 *
 * INVARIANT: the password itself is never sent. What proves it is the server's `pubKeyAuth`, which only who knows the
 * password can make; the message that would hand the password over comes after that, and stays here.
 * INVARIANT: nothing but the request for NLA and a TLS handshake goes to a server whose certificate is not a trusted one.
 *
 * A no is a no only if the server says so with a status that stands for nothing else. One that hangs up on the proof has
 * probably refused it; so does one that is restarted just then, and a conflict must not be decided by that.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { same } from '../../base/bytes.ts';
import { codeOf, wordsOf } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { fileTime, NtlmError, type NtlmErrorCode, ntlmErrors, openInitiator } from '../../protocol/ntlm/ntlm.ts';
import { reachTarget, RdpError, RdpStream } from '../../protocol/rdp/rdp.ts';
import { tryWithin } from './budget.ts';
import type { AnswerClass, ChangeAnswer, Connector, Login, Place, Task, VerifyAnswer } from './connector.ts';
import { classOfNetwork } from './dial.ts';

export const rdpNla: Connector = {
  name: 'rdp-nla',
  title: 'tries passwords by a login with NLA, without opening a desktop; changes nothing',
  kind: 'password',
  protocols: ['rdp'],
  capabilities: { modes: [], via: false, adminverify: 'budget', fence: 'time', sends: 'nothing' },
  forbidden: '\0',
  retires: false,
  parameters: {},
  faultOfName: (account) =>
    /^[^\p{Cc}]{1,256}$/u.test(account) ? undefined : `${JSON.stringify(account)} is no login name of a desktop`,
  precheck: async () => changesNothing,
  change: async () => changesNothing,
  verify,
  adminverify: (task, _admin, candidates, budget, signal) =>
    tryWithin(budget, candidates, (credential) => verify(task, { user: task.account, credential }, signal)),
};

const changesNothing: ChangeAnswer = { said: 'unsent', class: 'unsupported', words: 'over rdp no password is changed' };

async function verify({ place }: Task, { user, credential }: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  if (credential.kind !== 'password') return unknown('unsupported', 'a desktop takes passwords only');
  if (place.settings['security'] === 'tls')
    return unknown(
      'unsupported',
      'without NLA a server of rdp proves nothing and asks on the screen: a password cannot be tried there',
    );
  if (place.hostKeys.length === 0 && (place.tls.kind === 'off' || place.tls.ca === undefined))
    return unknown('certificate', 'no certificate of the service is trusted, so it was not asked');
  try {
    await using stream = new RdpStream(await dial(place, signal));
    const { chain } = await reachTarget(stream, 'nla', place.address, signal);
    const [leaf] = chain;
    if (leaf === undefined || !(await isTrusted(place, leaf, chain)))
      return unknown('certificate', `the server shows a certificate that is not trusted: ${fingerprintOf(leaf)}`);
    return await prove(stream, { place, user, password: credential.secret, leaf }, signal);
  } catch (error) {
    signal.throwIfAborted();
    return unknown(classOf(error), wordsOf(error));
  }
}

async function dial({ address, port }: Place, signal: AbortSignal): Promise<ReturnType<typeof connect>> {
  const socket = connect({ host: address, port, noDelay: true });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Pinned, or vouched for by the authority that the service names. The estate is loaded only where one is. */
async function isTrusted(place: Place, leaf: Uint8Array, chain: readonly Uint8Array[]): Promise<boolean> {
  const digest = createHash('sha256').update(leaf).digest();
  if (place.hostKeys.some((pin) => same(pin, digest))) return true;
  const { tls } = place;
  if (tls.kind === 'off' || tls.ca === undefined) return false;
  const { isVouchedFor } = await import('../../estate/estate.ts');
  return isVouchedFor(chain, tls.ca, tls.serverName ?? place.address, Date.now());
}

function fingerprintOf(leaf: Uint8Array | undefined): string {
  if (leaf === undefined) return 'none';
  return `SHA-256 ${createHash('sha256').update(leaf).digest('hex')}`;
}

interface Proof {
  readonly place: Place;
  readonly user: string;
  readonly password: Secret;
  /** DER of what the server showed; it is trusted. */
  readonly leaf: Uint8Array;
}

async function prove(stream: RdpStream, proof: Proof, signal: AbortSignal): Promise<VerifyAnswer> {
  const { place, user, password, leaf } = proof;
  const { domain } = place.settings;
  using initiator = openInitiator({
    user,
    domain: typeof domain === 'string' ? domain : '',
    password,
    host: place.address,
    certificate: leaf,
    now: fileTime(Date.now()),
    chance: (count) => new Uint8Array(randomBytes(count)),
  });
  stream.write(initiator.first);
  for (let answered = false; ; answered = true) {
    const message = await next(stream, signal);
    if (message === undefined) return answered ? hungUp : unknown('cut', 'the server hung up before it asked');
    const { send, done, refused } = initiator.step(message);
    if (refused !== undefined)
      return answerOf(refused.code, `${ntlmErrors[refused.code].meaning}: ${refused.reason}`, answered);
    if (done) {
      // What would be sent now holds the password.
      send.fill(0);
      return { answer: 'accepted', class: 'none', words: '' };
    }
    stream.write(send);
  }
}

/** Undefined where the server has ended the connection. */
async function next(stream: RdpStream, signal: AbortSignal): Promise<Uint8Array | undefined> {
  try {
    return await stream.der(signal);
  } catch (error) {
    if (error instanceof RdpError && error.code === 'rdp.closed') return undefined;
    throw error;
  }
}

const hungUp: VerifyAnswer = {
  answer: 'unknown',
  class: 'authentication',
  words:
    'the server hung up on the proof and gave no reason: probably the password is wrong, or there is no such account',
  counts: true,
};

/**
 * The server's word on a login, or what was wrong with its words. Of an account that is locked, disabled or expired nothing
 * is known: whether such a status is told to right passwords only is each server's own business.
 */
function answerOf(code: NtlmErrorCode, words: string, answered: boolean): VerifyAnswer {
  // A status for a login that nobody has tried yet is none.
  if (code === 'ntlm.bad-password' && answered) return { answer: 'rejected', class: 'authentication', words };
  return unknown(classes[code] ?? 'unexpected', words);
}

const classes: Partial<Readonly<Record<NtlmErrorCode, AnswerClass>>> = {
  'ntlm.password-expired': 'expired',
  'ntlm.password-must-change': 'expired',
  'ntlm.account-locked': 'locked',
  'ntlm.account-disabled': 'locked',
  'ntlm.account-expired': 'locked',
  'ntlm.account-restricted': 'locked',
  'ntlm.no-logon-right': 'permission',
  'ntlm.public-key': 'certificate',
  'ntlm.version': 'unsupported',
  'ntlm.weak': 'unsupported',
};

function unknown(kind: AnswerClass, words: string): VerifyAnswer {
  return { answer: 'unknown', class: kind, words };
}

/** The class of what ended a connection that was being made or used. */
function classOf(error: unknown): AnswerClass {
  const network = classOfNetwork(error) ?? classOfNetwork(error instanceof Error ? error.cause : undefined);
  if (network !== undefined) return network;
  if (error instanceof NtlmError) return 'unsupported';
  switch (codeOf(error)) {
    case 'rdp.closed':
      return 'cut';
    case 'rdp.negotiation':
    case 'rdp.tls':
      return 'unsupported';
    case 'rdp.too-slow':
      return 'unreachable-timeout';
    default:
      return 'unexpected';
  }
}

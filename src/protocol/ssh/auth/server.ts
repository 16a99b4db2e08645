/**
 * The server's side of user authentication (RFC 4252, RFC 4256): reads requests, asks an Authenticator, answers in the
 * order of the requests, and counts. One request is finished before the next is looked at.
 *
 * It decides nothing about people, and verifies no signature. It refuses what is not a factor: password changes, unknown
 * methods, signature algorithms of no use. It ends the connection for a changed user name, because what another name has
 * proven cannot be taken back from an Authenticator (RFC 4252 §5 leaves flush or disconnect).
 *
 * After success the client may still send what it had queued; whoever takes over ignores numbers 50 to 79 (§5.3).
 */
import { type Clock, systemClock } from '../../../base/clock.ts';
import { wordsOf } from '../../../base/errors.ts';
import { Secret } from '../../../base/secret.ts';
import { deadline } from '../../../base/signals.ts';
import { digestOf } from '../keys/verify.ts';
import type { Transport } from '../types.ts';
import {
  type AuthRequest,
  authMsg,
  decodeAuthRequest,
  decodeService,
  encodeBanner,
  encodeFailure,
  encodePublickeyOk,
  encodeService,
  encodeSuccess,
  publickeySignedData,
} from '../wire/auth.ts';
import { isViolation } from '../wire/reader.ts';
import { disconnectReason } from '../wire/numbers.ts';
import type { Authenticator, AuthenticateOptions, AuthMethod, AuthOutcome, Verdict } from './authenticator.ts';
import { holdDialogue } from './dialogue.ts';

const service = 'ssh-connection';

/** Why nobody came in, thrown inside this file and turned into an outcome at its edge. */
class Ended extends Error {
  readonly why: 'left' | 'attempts' | 'grace' | 'protocol' | 'broken';

  constructor(why: 'left' | 'attempts' | 'grace' | 'protocol' | 'broken', detail: string) {
    super(detail);
    this.why = why;
  }
}

interface Conversation {
  readonly transport: Transport;
  readonly authenticator: Authenticator;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly limits: Required<Omit<AuthenticateOptions, 'clock'>>;
  user: string | undefined;
  /** What a refusal without an own verdict offers. */
  next: readonly AuthMethod[];
  refused: number;
  queries: number;
  probedNone: boolean;
}

/**
 * Lets one user in, or says why not; in the latter case the connection has been told and is closing. Throws only what
 * the Authenticator throws, and the signal's reason.
 */
export async function authenticate(
  transport: Transport,
  authenticator: Authenticator,
  options: AuthenticateOptions,
  signal: AbortSignal,
): Promise<AuthOutcome> {
  const limits = {
    attempts: options.attempts ?? 6,
    queries: options.queries ?? 20,
    graceMs: options.graceMs ?? 120_000,
    refusalMs: options.refusalMs ?? 300,
    probeMs: options.probeMs ?? 20,
    algorithms: options.algorithms ?? Object.keys(digestOf),
  };
  // A client that leaves ends whatever is being asked on its behalf: an approval, a second factor.
  const gone = new AbortController();
  void transport.ended.then((end) =>
    gone.abort(
      end.kind === 'broken' ? new Ended('broken', wordsOf(end.error)) : new Ended('left', 'the client went away'),
    ),
  );
  using grace = deadline(signal, limits.graceMs, () => new Ended('grace', 'not authenticated in time'));
  const talk: Conversation = {
    transport,
    authenticator,
    signal: AbortSignal.any([grace.signal, gone.signal]),
    clock: options.clock ?? systemClock,
    limits,
    user: undefined,
    next: [],
    refused: 0,
    queries: 0,
    probedNone: false,
  };
  try {
    return await converse(talk);
  } catch (caught) {
    // Whoever was asked may have put the signal's reason into an error of his own.
    const error = !signal.aborted && talk.signal.aborted ? talk.signal.reason : caught;
    if (!(error instanceof Ended)) {
      if (!signal.aborted) void transport.disconnect(disconnectReason.byApplication, 'authentication is not available');
      throw error;
    }
    if (error.why !== 'left' && error.why !== 'broken') {
      const reason = error.why === 'protocol' ? disconnectReason.protocolError : disconnectReason.noMoreAuthMethods;
      await transport.disconnect(reason, error.why === 'protocol' ? error.message : 'authentication failed');
    }
    return { kind: 'ended', why: error.why, user: talk.user, detail: error.message };
  }
}

async function converse(talk: Conversation): Promise<AuthOutcome> {
  const opening = await read(talk);
  const asked = opening[0] === authMsg.serviceRequest ? decodeService(opening) : undefined;
  if (asked !== 'ssh-userauth') throw new Ended('protocol', 'the first request must be for ssh-userauth');
  talk.transport.send(encodeService('accept', asked));
  let payload = await read(talk);
  for (;;) {
    if (payload[0] !== authMsg.request) throw new Ended('protocol', `message ${payload[0]} before authentication`);
    const since = talk.clock.now();
    const request = decodeAuthRequest(payload);
    if (isViolation(request)) throw new Ended('protocol', request.violation);
    await introduce(talk, request);
    if (request.method === 'keyboard-interactive') {
      const held = await holdDialogue(talk, talk.user ?? '', request.submethods, () => read(talk));
      if (held.kind === 'violation') throw new Ended('protocol', held.violation);
      // Abandoned by another request: RFC 4252 §5.1 forbids an answer, and the attempt counts.
      if (held.kind === 'abandoned') countRefusal(talk);
      else if (await answer(talk, held.verdict, talk.limits.refusalMs, held.since))
        return accepted(talk, request.method);
      payload = held.kind === 'abandoned' ? held.by : await read(talk);
      continue;
    }
    const reply = await consider(talk, request);
    // Passwords do not stay in a buffer that the collector frees some day.
    payload.fill(0);
    if ((await answer(talk, reply.verdict, reply.floorMs, since)) && request.method !== 'other')
      return accepted(talk, request.method);
    payload = await read(talk);
  }
}

function accepted(talk: Conversation, method: AuthMethod): AuthOutcome {
  return { kind: 'accepted', user: talk.user ?? '', method, attempts: talk.refused };
}

async function read(talk: Conversation): Promise<Uint8Array> {
  let payload: Uint8Array | undefined;
  try {
    payload = await talk.transport.next(talk.signal);
  } catch (error) {
    talk.signal.throwIfAborted();
    throw new Ended('broken', wordsOf(error));
  }
  if (payload === undefined) throw new Ended('left', 'the client went away');
  return payload;
}

/** The first request names the user; every later one must name the same, and the only service there is. */
async function introduce(talk: Conversation, request: AuthRequest): Promise<void> {
  if (request.service !== service) throw new Ended('protocol', 'only ssh-connection can be logged in to');
  if (talk.user === undefined) {
    talk.user = request.user;
    const tell = (text: string): void => talk.transport.send(encodeBanner(text));
    talk.next = (await talk.authenticator.begin(request.user, tell, talk.signal)).next;
  } else if (talk.user !== request.user) throw new Ended('protocol', 'the user name may not change');
}

/** `query` is a public key that would be looked at: neither success nor failure. */
type Reply = { readonly verdict: Verdict | 'query' | 'uncounted'; readonly floorMs: number };

async function consider(
  talk: Conversation,
  request: Exclude<AuthRequest, { method: 'keyboard-interactive' }>,
): Promise<Reply> {
  const { authenticator, limits, signal } = talk;
  const user = request.user;
  const refused: Verdict = { kind: 'refused', next: talk.next };
  switch (request.method) {
    case 'none': {
      // Every client's first question is `none`, to learn the methods; it is no attempt.
      const verdict = await authenticator.none(user, signal);
      const first = !talk.probedNone;
      talk.probedNone = true;
      if (verdict.kind === 'refused' && first) talk.next = verdict.next;
      return { verdict: verdict.kind === 'refused' && first ? 'uncounted' : verdict, floorMs: limits.probeMs };
    }
    case 'password': {
      if (request.change) return { verdict: refused, floorMs: limits.refusalMs };
      using password = new Secret(request.password.slice());
      return { verdict: await authenticator.password(user, password, signal), floorMs: limits.refusalMs };
    }
    case 'publickey':
      return request.signature === undefined
        ? { verdict: await query(talk, request), floorMs: limits.probeMs }
        : { verdict: await claim(talk, request, request.signature), floorMs: limits.refusalMs };
    case 'other':
      return { verdict: refused, floorMs: limits.probeMs };
  }
}

type PublickeyRequest = Extract<AuthRequest, { method: 'publickey' }>;

async function query(talk: Conversation, request: PublickeyRequest): Promise<'query' | 'uncounted'> {
  talk.queries += 1;
  if (talk.queries > talk.limits.queries) throw new Ended('attempts', 'too many public keys were offered');
  const { user, algorithm, blob } = request;
  if (!talk.limits.algorithms.includes(algorithm)) return 'uncounted';
  if (!(await talk.authenticator.publickeyQuery(user, algorithm, blob, talk.signal))) return 'uncounted';
  talk.transport.send(encodePublickeyOk(algorithm, blob));
  return 'query';
}

async function claim(talk: Conversation, request: PublickeyRequest, signature: Uint8Array): Promise<Verdict> {
  const { user, algorithm, blob } = request;
  if (!talk.limits.algorithms.includes(algorithm)) return { kind: 'refused', next: talk.next };
  const { sessionId } = talk.transport;
  const signedData = publickeySignedData(sessionId, user, service, algorithm, blob);
  return talk.authenticator.publickey(user, { algorithm, blob, signature, signedData, sessionId }, talk.signal);
}

/** Sends what a verdict means, refusals not before their time. True when the user is in. */
async function answer(talk: Conversation, verdict: Reply['verdict'], floorMs: number, since: number): Promise<boolean> {
  if (verdict === 'query') return false;
  if (verdict !== 'uncounted' && verdict.kind === 'accepted') {
    talk.transport.send(encodeSuccess());
    return true;
  }
  const partial = verdict !== 'uncounted' && verdict.kind === 'partial';
  if (verdict !== 'uncounted') talk.next = verdict.next;
  if (!partial) {
    const rest = since + floorMs - talk.clock.now();
    if (rest > 0) await talk.clock.sleep(rest, talk.signal);
    if (verdict !== 'uncounted') countRefusal(talk);
  }
  talk.transport.send(encodeFailure(talk.next, partial));
  return false;
}

function countRefusal(talk: Conversation): void {
  talk.refused += 1;
  if (talk.refused >= talk.limits.attempts) throw new Ended('attempts', 'too many authentication failures');
}

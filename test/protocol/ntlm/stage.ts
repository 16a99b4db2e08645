/** Two ends of CredSSP without a wire: our initiator, our acceptor, and what stands between them. */
import { randomBytes } from 'node:crypto';
import { Secret } from '../../../src/base/secret.ts';
import type { Acceptor, AcceptorOptions, AcceptorStep } from '../../../src/protocol/ntlm/acceptor.ts';
import {
  fileTime,
  type Initiator,
  type InitiatorOptions,
  openAcceptor,
  openInitiator,
} from '../../../src/protocol/ntlm/ntlm.ts';
import { ntHash } from '../../../src/protocol/ntlm/keys.ts';
import { type NtlmClaim, ntlmVerdict } from '../../../src/protocol/ntlm/verdict.ts';
import { decodeTsRequest, encodeTsRequest, type TsRequest } from '../../../src/protocol/ntlm/wire/ts-request.ts';
import { isViolation } from '../../../src/protocol/wire/violation.ts';
import { testCertificate } from './certificate.ts';

export const chance = (count: number): Uint8Array => new Uint8Array(randomBytes(count));
/** Peers of other makes compare it with their own clock. */
export const now = fileTime(Date.now());
export const goodPassword = 'correct horse – bättery 🐎';
export const certificate = testCertificate('gate');
export const otherCertificate = testCertificate('somebody else');
export const never = new AbortController().signal;

/** Judges as a keeper would that knows one user. */
export async function judge(claim: NtlmClaim): Promise<Uint8Array | undefined> {
  using password = Secret.fromText(goodPassword);
  using hash = ntHash(password);
  return ntlmVerdict(claim.user.toLowerCase() === 'alice' ? hash.reveal() : undefined, claim);
}

export function acceptor(changes: Partial<AcceptorOptions> = {}): Acceptor {
  const names = { netbios: 'GATE', dns: 'gate.example' };
  return openAcceptor({ certificate: certificate.der, names, now, chance, judge, ...changes });
}

export function initiator(
  changes: Partial<Omit<InitiatorOptions, 'password'>> = {},
  password = goodPassword,
): Initiator {
  const options = { user: 'alice', domain: '', host: 'gate.example', certificate: certificate.der, now, chance };
  return openInitiator({ ...options, ...changes, password: Secret.fromText(password) });
}

export function decoded(bytes: Uint8Array): TsRequest {
  const request = decodeTsRequest(bytes);
  if (isViolation(request)) throw new Error(request.violation);
  return request;
}

/** The same message with some fields changed: what somebody between could send. */
export function rewritten(bytes: Uint8Array, change: (request: TsRequest) => Partial<TsRequest>): Uint8Array {
  const request = decoded(bytes);
  return encodeTsRequest({ ...request, ...change(request) });
}

export interface Ended {
  readonly server: AcceptorStep;
  /** What the client was refused with. */
  readonly client: string | undefined;
  /** What the client sent, in order. */
  readonly sent: readonly Uint8Array[];
}

/** Runs both ends until one has an outcome; `between` sees and may change every message, numbered per direction. */
export async function login(
  client: Initiator,
  server: Acceptor,
  between: (message: Uint8Array, direction: 'up' | 'down', number: number) => Uint8Array = (message) => message,
): Promise<Ended> {
  const sent = [client.first];
  let up = between(client.first, 'up', 0);
  for (let number = 0; ; number++) {
    const step = await server.step(up, never);
    if (step.done !== undefined || step.send === undefined) return { server: step, client: undefined, sent };
    const answer = client.step(between(step.send, 'down', number));
    if (answer.refused !== undefined) return { server: step, client: answer.refused.code, sent };
    sent.push(answer.send);
    up = between(answer.send, 'up', number + 1);
  }
}

/**
 * One keyboard-interactive conversation on the server's side (RFC 4256): prompts out, answers in, until there is a
 * verdict, the client starts something else, or it breaks the rules.
 */
import type { Clock } from '../../../base/clock.ts';
import { Secret } from '../../../base/secret.ts';
import type { Transport } from '../types.ts';
import { authMsg, decodeInfoResponse, encodeInfoRequest, mostPrompts } from '../wire/auth.ts';
import { isViolation, type Violation } from '../wire/reader.ts';
import type { Authenticator, AuthMethod, Verdict } from './authenticator.ts';

/** More rounds than this are not a conversation any more. */
const mostRounds = 32;

export type Held =
  /** `since` is when the last answers came: the refusal's delay counts from there. */
  | { readonly kind: 'verdict'; readonly verdict: Verdict; readonly since: number }
  /** The client sent another request instead of an answer. */
  | { readonly kind: 'abandoned'; readonly by: Uint8Array }
  | ({ readonly kind: 'violation' } & Violation);

/** Holds the conversation. `read` gives the next payload of the client. */
export async function holdDialogue(
  talk: {
    readonly transport: Transport;
    readonly authenticator: Authenticator;
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly next: readonly AuthMethod[];
  },
  user: string,
  submethods: string,
  read: () => Promise<Uint8Array>,
): Promise<Held> {
  let since = talk.clock.now();
  await using dialogue = await talk.authenticator.keyboardInteractive(user, submethods, talk.signal);
  let step = await dialogue.next(undefined, talk.signal);
  for (let round = 0; step.kind === 'prompts'; round++) {
    if (round === mostRounds) return { kind: 'verdict', verdict: { kind: 'refused', next: talk.next }, since };
    const { prompts } = step;
    if (prompts.length > mostPrompts) throw new RangeError(`${prompts.length} prompts, ${mostPrompts} allowed`);
    talk.transport.send(encodeInfoRequest({ name: step.name ?? '', instruction: step.instruction ?? '', prompts }));
    const payload = await read();
    since = talk.clock.now();
    if (payload[0] === authMsg.request) return { kind: 'abandoned', by: payload };
    if (payload[0] !== authMsg.infoResponse)
      return { kind: 'violation', violation: `message ${payload[0]} as an answer` };
    const views = decodeInfoResponse(payload, prompts.length);
    if (isViolation(views)) return { kind: 'violation', violation: views.violation };
    if (views === undefined) return { kind: 'verdict', verdict: { kind: 'refused', next: talk.next }, since };
    const answers = views.map((view) => new Secret(view.slice()));
    payload.fill(0);
    try {
      step = await dialogue.next(answers, talk.signal);
    } finally {
      for (const answer of answers) answer[Symbol.dispose]();
    }
  }
  return { kind: 'verdict', verdict: step, since };
}

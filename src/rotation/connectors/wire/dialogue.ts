/**
 * The talk with passwd, su or sudo on a terminal, as a machine: text that came and whether typing is hidden go in, what
 * to do comes out. It understands no sentence. A prompt is an unfinished line while typing is hidden; it is answered only
 * if it names a password in some language, and which one is told by the order. A prompt that comes again, word for word,
 * is the target's no. Anything else is unknown and gets nothing. Pure: it holds no secret and knows no time.
 */
import { namesPassword } from './password-words.ts';

/** Whose secret is asked for: the one to become somebody, the account's present one, the new one, the new one again. */
export type Step = 'become' | 'current' | 'fresh' | 'again';

export interface Dialogue {
  /** What is still to be asked, in this order. */
  readonly expected: readonly Step[];
  readonly answered: readonly { readonly step: Step; readonly prompt: string }[];
  /** What came since the last answer. */
  readonly heard: string;
  /** All that came, up to `longestTranscript` characters. */
  readonly transcript: string;
}

export type Heard =
  | { readonly kind: 'text'; readonly text: string }
  /** Nothing came for `ms`. `echo`: what the terminal does with typing now; `unknown` if nobody can tell. */
  | { readonly kind: 'quiet'; readonly ms: number; readonly echo: 'hidden' | 'shown' | 'unknown' };

/** `refused`: the new value is asked for again. `wrong`: a present one is. */
export type Why = 'refused' | 'wrong' | 'unknown-prompt' | 'too-long';

export type Act =
  | { readonly kind: 'wait' }
  | { readonly kind: 'answer'; readonly step: Step }
  | { readonly kind: 'stop'; readonly why: Why };

/** A target that says more than this is not asking for passwords. In characters. */
export const longestTranscript = 16_384;

/** How long an unfinished line may stand before it is taken for a question that nobody here knows. */
export const patienceMs = 3_000;

export function startDialogue(expected: readonly Step[]): Dialogue {
  return { expected, answered: [], heard: '', transcript: '' };
}

/** One step. After `answer` the caller sends that secret, once; after `stop` it sends no secret any more. */
export function hear(dialogue: Dialogue, heard: Heard): { readonly dialogue: Dialogue; readonly act: Act } {
  if (heard.kind === 'text') {
    const room = longestTranscript - dialogue.transcript.length;
    const text = heard.text.slice(0, room);
    const next = { ...dialogue, heard: dialogue.heard + text, transcript: dialogue.transcript + text };
    return { dialogue: next, act: heard.text.length > room ? { kind: 'stop', why: 'too-long' } : { kind: 'wait' } };
  }
  const prompt = promptOf(dialogue);
  const act = prompt === '' ? ({ kind: 'wait' } as const) : actOn(dialogue, prompt, heard);
  if (act.kind !== 'answer') return { dialogue, act };
  const answered = [...dialogue.answered, { step: act.step, prompt }];
  return { dialogue: { ...dialogue, expected: dialogue.expected.slice(1), answered, heard: '' }, act };
}

function actOn({ expected, answered }: Dialogue, prompt: string, heard: Heard & { kind: 'quiet' }): Act {
  const known = heard.echo === 'hidden' && namesPassword(prompt);
  if (known) {
    const before = answered.findLast((answer) => answer.prompt === prompt);
    if (before !== undefined)
      return { kind: 'stop', why: before.step === 'fresh' || before.step === 'again' ? 'refused' : 'wrong' };
    const [step] = expected;
    if (step !== undefined) return { kind: 'answer', step };
  }
  return heard.ms >= patienceMs ? { kind: 'stop', why: 'unknown-prompt' } : { kind: 'wait' };
}

/** The unfinished line that is waiting for an answer; empty when there is none. */
export function promptOf({ heard }: Pick<Dialogue, 'heard'>): string {
  const lines = plain(heard).split('\n');
  const last = (lines.at(-1) ?? '').trim();
  if (last === '' || /\p{L}/u.test(last)) return last;
  // Some write the words on one line and only a colon on the next.
  const words = lines
    .slice(0, -1)
    .findLast((line) => line.trim() !== '')
    ?.trim();
  return words === undefined ? last : `${words} ${last}`;
}

/** What the target said for people: its finished lines since the last answer. */
export function noticesOf({ heard }: Pick<Dialogue, 'heard'>): string {
  const lines = plain(heard).split('\n').slice(0, -1);
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' / ');
}

/** ECMA-48 §5.4: ESC, then a control sequence with its parameters, or one character. */
const codes = new RegExp(`${String.fromCharCode(27)}(\\[[0-?]{0,32}[ -/]{0,8}[@-~]|[@-Z\\\\-_])`, 'g');

/** Without terminal codes, and with one kind of line end. */
function plain(text: string): string {
  return text
    .replace(codes, '')
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n]/gu, '');
}

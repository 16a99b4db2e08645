/**
 * A command line that is logged in: one command after another, each with its answer. Pages are turned, `[confirm]` is
 * confirmed, since we ask only for what we mean; any other question is not answered. Waiting has limits of its own.
 */
import { empty, utf8 } from '../../../base/bytes.ts';
import type { Secret } from '../../../base/secret.ts';
import type { AnswerClass } from '../connector.ts';
import { type Fault, isFault } from '../target.ts';
import type { Line } from './line.ts';
import { afterEcho, type Ending, endingOf, longestScreen, outputOf, plain } from './wire/screen.ts';
import { withoutSecrets } from './wire/answers.ts';

/** How long a device may be silent in the middle of an answer; saving a configuration takes the longest. */
export const patienceMs = 30_000;
/** A line that looks like a question and stays so long is one. */
const questionMs = 1_500;

export interface Screen {
  readonly text: string;
  readonly ending: Exclude<Ending, { kind: 'none' | 'more' | 'confirm' }>;
}

export type Prompt = Extract<Ending, { kind: 'prompt' }>;

/** What a command came to. */
export interface Reply {
  /** What it printed. */
  readonly output: string;
  readonly prompt: Prompt;
}

/** What is typed: plain words, and behind them a secret, whose echo is kept out of all words for people. */
export interface Command {
  readonly words: string;
  readonly secret?: Secret;
}

export class CommandLine implements AsyncDisposable {
  readonly #line: Line;
  /** The device's name as its prompt shows it, once it is known. */
  host: string | undefined;
  /** Every secret that was typed here, as text, for taking it out of what is shown. */
  readonly #typed: string[] = [];

  constructor(line: Line) {
    this.#line = line;
  }

  /** Types one line: what the device asked for, or, with `echo`, a command that it shows again. */
  async type(what: Command, signal: AbortSignal): Promise<void> {
    const { words, secret } = what;
    if (secret === undefined) await this.#line.type(utf8(words), true, signal);
    else {
      this.#typed.push(secret.revealText());
      await this.#line.type(utf8(words), false, signal);
      await this.#line.type(secret.reveal(), true, signal);
    }
  }

  /**
   * Reads until the device waits for us: a prompt, or something that it asks. With `echo` only what comes after that
   * echo counts. A fault if it says nothing for `patienceMs`, or says too much, or is gone.
   */
  async until(echo: string, signal: AbortSignal): Promise<Screen | Fault> {
    let seen = '';
    let confirmed = 0;
    for (;;) {
      const shown = echo === '' ? plain(seen) : afterEcho(seen, echo);
      const ending = shown === undefined ? ({ kind: 'none' } as const) : endingOf(shown, this.host);
      if (shown !== undefined && isFinal(ending)) return { text: shown, ending };
      if (ending.kind === 'more') {
        seen = withoutLastLine(seen);
        await this.#line.type(utf8(' '), false, signal);
      } else if (ending.kind === 'confirm') {
        if (++confirmed > 5) return { fault: 'unexpected', words: 'the device asks for confirmation again and again' };
        seen += '\n';
        await this.#line.type(empty, true, signal);
      }
      const next = await this.#line.read(ending.kind === 'question' ? questionMs : patienceMs, signal);
      if (typeof next === 'object') return { ...next, words: this.#told(next.words, plain(seen)) };
      if (next !== undefined) seen += next;
      else if (shown !== undefined && ending.kind === 'question') return { text: shown, ending };
      else return { fault: 'timeout', words: this.#told('the device stopped answering', plain(seen)) };
      if (seen.length > longestScreen) return { fault: 'unexpected', words: 'the device does not stop talking' };
    }
  }

  /** One command. A question that nobody foresaw is a fault, with its words; so is the end of the connection. */
  async run(command: string | Command, signal: AbortSignal): Promise<Reply | Fault> {
    const what = typeof command === 'string' ? { words: command } : command;
    await this.type(what, signal);
    const screen = await this.until(what.words.slice(0, 12), signal);
    if (isFault(screen)) return screen;
    const { text, ending } = screen;
    if (ending.kind === 'prompt') return { output: outputOf(text), prompt: ending };
    return this.fault('unexpected', 'the device asks something that is not foreseen', text);
  }

  /** A fault with what the screen ends with, without secrets. */
  fault(kind: AnswerClass, words: string, screen: string): Fault {
    return { fault: kind, words: this.#told(words, screen) };
  }

  #told(words: string, screen: string): string {
    const last = withoutSecrets(screen, this.#typed).split('\n').slice(-4).join(' ').replace(/\s+/g, ' ').trim();
    return last === '' ? words : `${words}: ${last.slice(-200)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#line[Symbol.asyncDispose]();
  }
}

function isFinal(ending: Ending): ending is Exclude<Screen['ending'], { kind: 'question' }> {
  return ending.kind === 'prompt' || ending.kind === 'username' || ending.kind === 'password';
}

function withoutLastLine(text: string): string {
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

/** An sshd under our eyes: its configuration as text, its start, its log line by line, its end. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { HostKeyType } from './machine.ts';

export interface SshdFacts {
  readonly address: string;
  readonly port: number;
  /** Private host key files, as sshd sees them. */
  readonly hostKeyFiles: readonly string[];
  readonly pidFile: string;
  /** Further lines of the lab's own. */
  readonly defaults: readonly string[];
}

/**
 * The text of sshd_config. sshd keeps the first value of each keyword, so the caller's lines come first; what follows
 * a `Match` belongs to it, so that part of the caller's lines comes last.
 */
export function sshdConfig(facts: SshdFacts, lines: readonly string[]): string {
  const match = lines.findIndex((line) => /^\s*match\s/i.test(line));
  const general = match < 0 ? lines : lines.slice(0, match);
  const matched = match < 0 ? [] : lines.slice(match);
  const own = [
    `Port ${facts.port}`,
    `ListenAddress ${facts.address}`,
    ...facts.hostKeyFiles.map((file) => `HostKey ${file}`),
    `PidFile ${facts.pidFile}`,
    'LogLevel VERBOSE',
    'UseDNS no',
    // Tests open many connections at once; a dropped one would look like a defect of ours.
    'MaxStartups 500',
    'PrintMotd no',
    ...facts.defaults,
  ];
  return `${[...general, ...own, ...matched].join('\n')}\n`;
}

/** Arguments of ssh-keygen that make a key of this type. */
export function keygenArguments(type: HostKeyType): readonly string[] {
  const [algorithm = '', bits] = type.split('-');
  return bits === undefined ? ['-t', algorithm] : ['-t', algorithm, '-b', bits];
}

/** Lines of known_hosts; OpenSSH writes port 22 without brackets. */
export function knownHosts(hostKeys: readonly string[], address: string, port: number): string {
  const host = port === 22 ? address : `[${address}]:${port}`;
  return hostKeys.map((line) => `${host} ${line}\n`).join('');
}

/** What sshd says, kept from its first line on. It outlives restarts of sshd. */
export class SshdLog {
  #lines: string[] = [];
  #waiting = new Set<(line: string) => void>();

  add(line: string): void {
    this.#lines.push(line);
    for (const look of this.#waiting) look(line);
  }

  text(): string {
    return this.#lines.map((line) => `${line}\n`).join('');
  }

  /** The first line that matches, at or after line `from`. */
  async find(pattern: RegExp, signal: AbortSignal, from = 0): Promise<string> {
    const there = this.#lines.slice(from).find((line) => pattern.test(line));
    if (there !== undefined) return there;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const look = (line: string): void => {
      if (pattern.test(line)) resolve(line);
    };
    const cut = (): void => reject(signal.reason);
    if (signal.aborted) cut();
    this.#waiting.add(look);
    signal.addEventListener('abort', cut, { once: true });
    try {
      return await promise;
    } finally {
      this.#waiting.delete(look);
      signal.removeEventListener('abort', cut);
    }
  }

  get length(): number {
    return this.#lines.length;
  }
}

/** Follows an sshd that was started with `-D -e` and resolves once it listens; throws with its words if it ends first. */
export async function listening(sshd: ChildProcess, log: SshdLog): Promise<void> {
  const from = log.length;
  if (sshd.stderr === null) throw new Error('sshd was started without a pipe for its log');
  createInterface({ input: sshd.stderr }).on('line', (line) => log.add(line));
  const ended = new AbortController();
  sshd.once('error', (error) => ended.abort(error));
  sshd.once('close', (code) => ended.abort(new Error(`sshd ended with ${code}:\n${log.text()}`)));
  await log.find(/^Server listening on /, ended.signal, from);
}

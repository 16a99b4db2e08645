/** The sessions that run in this gate. */
import type { RunningSession } from '../proxy/proxy.ts';

export interface Register {
  readonly size: number;
  add(running: RunningSession): Disposable;
  /** How far each recording has come, for a keeper that comes back. */
  progress(): { session: string; blocks: number }[];
  sessions(): string[];
  end(session: string, reason: Error): void;
  endAll(reason: Error): void;
  /** Resolves when nothing runs any more. */
  empty(): Promise<void>;
}

export function openRegister(): Register {
  const running = new Map<string, RunningSession>();
  let waiting: (() => void)[] = [];
  return {
    get size() {
      return running.size;
    },
    add: (one) => {
      running.set(one.session, one);
      return {
        [Symbol.dispose]: () => {
          running.delete(one.session);
          if (running.size > 0) return;
          for (const done of waiting) done();
          waiting = [];
        },
      };
    },
    progress: () => [...running.values()].map((one) => ({ session: one.session, blocks: one.blocks() })),
    sessions: () => [...running.keys()],
    end: (session, reason) => running.get(session)?.end(reason),
    endAll: (reason) => {
      for (const one of running.values()) one.end(reason);
    },
    empty: () => (running.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

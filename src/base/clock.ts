/** Time as an argument. Pure code takes `now` in milliseconds; code that waits takes a Clock, so tests own the time. */

export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Resolves after `ms`, or rejects with the signal's reason as soon as it fires. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const timer = setTimeout(done, ms);
      function done(): void {
        signal.removeEventListener('abort', cut);
        resolve();
      }
      function cut(): void {
        clearTimeout(timer);
        reject(signal.reason);
      }
      signal.addEventListener('abort', cut, { once: true });
    }),
};

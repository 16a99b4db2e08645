/** Waiting with a signal: every wait in the product ends by its event, its deadline or its AbortSignal. */

/** Throws the signal's reason if it has fired. */
export function check(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason;
}

/** Resolves as `work` does, or rejects with the signal's reason as soon as it fires; `work` itself goes on. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  check(signal);
  let cut = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    cut = () => reject(signal.reason);
    signal.addEventListener('abort', cut, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

/** A signal that fires with `signal`, or after `ms` with the reason that `late` makes. Disposing it stops the timer. */
export function deadline(
  signal: AbortSignal,
  ms: number,
  late: () => Error,
): Disposable & { readonly signal: AbortSignal } {
  const own = new AbortController();
  const timer = setTimeout(() => own.abort(late()), ms);
  return {
    signal: AbortSignal.any([signal, own.signal]),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

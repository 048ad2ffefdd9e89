/** Time as the tracker uses it. The default is Node's own; a test passes one that it moves by hand. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back once, after `ms` milliseconds; where the handle has `unref()`, idle timers use it. */
  setTimeout(callback: () => void, ms: number): unknown;
  /** Ends what setTimeout() began. */
  clearTimeout(handle: unknown): void;
}

/** Node's time, looked up at each call, so that fake timers installed later are used too. */
export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  setTimeout: (callback: () => void, ms: number) => globalThis.setTimeout(callback, ms),
  clearTimeout: (handle: unknown) => globalThis.clearTimeout(handle as NodeJS.Timeout),
});

/**
 * The promise's outcome, or `lateError()` when that takes longer than `ms`. With `keepAlive` false a process that has
 * nothing else to do ends without waiting for either.
 */
export function withDeadline<T>(
  clock: Clock,
  ms: number,
  promise: Promise<T>,
  lateError: () => Error,
  keepAlive = true,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let settled = false;
    let timer: unknown;
    const settle = (): void => {
      settled = true;
      if (timer !== undefined) clock.clearTimeout(timer);
    };
    promise.then(
      (value) => {
        settle();
        resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error);
      },
    );
    // An outcome that is there already has been told by now, and needs no timer: that would cost most of it all.
    void Promise.resolve().then(() => {
      if (settled) return;
      timer = clock.setTimeout(() => reject(lateError()), ms);
      if (!keepAlive) (timer as { unref?: () => void }).unref?.();
    });
  });
}

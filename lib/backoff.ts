/** Trying again what failed: how often, and after which waits. */
import { assertInteger, assertOptions, MAX_TIMER_MS } from './validate.js';

/**
 * How often and how fast a failed call of the store is tried again. The defaults are those of `OffsetTracker`;
 * `transactionalSink` has its own.
 */
export interface RetryOptions {
  /** Further tries after the first, 0 … 1000. Default: 0, a failure is reported at once. */
  readonly retries?: number | undefined;
  /** The wait before the first further try, in milliseconds, 0 … 2^31-1; it doubles each time. Default: 100. */
  readonly minDelayMs?: number | undefined;
  /**
   * The longest wait between two tries, in milliseconds, `minDelayMs` … 2^31-1. Default: 5,000, or `minDelayMs` where
   * that is more.
   */
  readonly maxDelayMs?: number | undefined;
}

/** The bounds of the waits between tries, in milliseconds. */
export interface Backoff {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

/** {@link RetryOptions} that were checked, with nothing left open. */
export interface Retry extends Backoff {
  readonly retries: number;
}

/**
 * The option `retry` with the defaults in the place of what was not given. A default of `maxDelayMs` gives way to a
 * `minDelayMs` that is more.
 *
 * @throws TypeError or RangeError for what is no option
 */
export function checkedRetry(retry: RetryOptions | undefined, defaults: Retry): Retry {
  assertOptions('retry', retry);
  const { retries = defaults.retries, minDelayMs = defaults.minDelayMs } = retry ?? {};
  const { maxDelayMs = Math.max(defaults.maxDelayMs, minDelayMs) } = retry ?? {};
  assertInteger('retry.retries', retries, 0, 1_000);
  assertInteger('retry.minDelayMs', minDelayMs, 0, MAX_TIMER_MS);
  assertInteger('retry.maxDelayMs', maxDelayMs, minDelayMs, MAX_TIMER_MS);
  return { retries, minDelayMs, maxDelayMs };
}

/**
 * The wait before a further try, in whole milliseconds: it doubles each time, and half of it is at random, so that
 * those that failed together part ways.
 *
 * @param retried - how many further tries there were before this one
 * @param random - 0 … 1, as `Math.random`
 */
export function backoffMs(
  { minDelayMs, maxDelayMs }: Backoff,
  retried: number,
  random: () => number = Math.random,
): number {
  const fullMs = Math.min(maxDelayMs, minDelayMs * 2 ** retried);
  return Math.round(fullMs / 2 + (fullMs / 2) * random());
}

import { backoffMs, checkedRetry, type Retry, type RetryOptions } from '../backoff.js';
import { OffsetError, OffsetIoError, type OffsetErrorOptions } from '../errors.js';
import type { OffsetStore } from '../offset-store.js';
import { assertInteger, MAX_TIMER_MS } from '../validate.js';
import { type Clock, withDeadline } from './clock.js';
import { messageOf } from '../failures.js';

/** What is being asked of the store, for the words of an error. */
export interface StoreCall {
  /** Such as `commit of source "a" at "seq:5"`. */
  readonly what: string;
  readonly source?: string | undefined;
  /** Whether the store changes by it, so that without an answer its state is unknown. */
  readonly writes: boolean;
}

/** The store did not answer in time; its late answer may still come. */
export class NoAnswerError extends OffsetIoError {}

/**
 * Every call of the store goes through here, and this is the boundary at which foreign errors are wrapped:
 * each answer has a deadline, failures are tried again as the retry options say, and what goes out is one
 * of our errors that names the source and the offset.
 */
export class StoreCaller {
  readonly #clock: Clock;
  /** The same clock, which notes the timers that are set. */
  readonly #deadlineClock: Clock;
  readonly #random: () => number;
  readonly #timeoutMs: number;
  readonly #retry: Retry;
  #givenUp = false;
  /** What ends each wait before a further try. */
  readonly #wakes = new Set<() => void>();
  /** The deadlines of the calls without an answer so far. */
  readonly #deadlines = new Set<unknown>();

  constructor(
    readonly store: OffsetStore,
    options: { clock: Clock; random: () => number; timeoutMs: number; retry: RetryOptions | undefined },
  ) {
    const { clock, random, timeoutMs, retry } = options;
    this.#retry = checkedRetry(retry, { retries: 0, minDelayMs: 100, maxDelayMs: 5_000 });
    assertInteger('storeTimeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    this.#clock = clock;
    this.#deadlineClock = {
      now: () => clock.now(),
      setTimeout: (callback, ms) => {
        const timer = clock.setTimeout(() => {
          this.#deadlines.delete(timer);
          callback();
        }, ms);
        this.#deadlines.add(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        this.#deadlines.delete(timer);
        clock.clearTimeout(timer);
      },
    };
    this.#random = random;
    this.#timeoutMs = timeoutMs;
  }

  /** From now on nothing is tried again: the tracker has run out of time to close. */
  giveUp(): void {
    this.#givenUp = true;
    for (const wake of this.#wakes) wake();
    // Nobody waits for these answers any more, and the process may end without them.
    for (const timer of this.#deadlines) (timer as { unref?: () => void }).unref?.();
  }

  /** There is new time: failures are tried again as the retry options say. */
  goOn(): void {
    this.#givenUp = false;
  }

  /**
   * Calls the store until it succeeds, fails for good, or does not answer: a call without an answer is not
   * made again, since the first may yet take effect and would then overtake.
   *
   * @param ask - one try; `describe` is asked again at each failure, for what is tried may have grown
   */
  async call<T>(describe: () => StoreCall, ask: (store: OffsetStore) => Promise<T>): Promise<T> {
    for (let failed = 0; ; failed++) {
      try {
        return await withDeadline(this.#deadlineClock, this.#timeoutMs, start(this.store, ask), () =>
          this.#noAnswer(describe()),
        );
      } catch (error) {
        if (isFinal(error) || failed >= this.#retry.retries || !(await this.#delay(failed))) {
          throw explain(error, describe(), failed + 1);
        }
      }
    }
  }

  #noAnswer(call: StoreCall): NoAnswerError {
    return new NoAnswerError(
      `${capitalized(call.what)} had no answer from the store within ${this.#timeoutMs} ms (storeTimeoutMs)` +
        (call.writes ? '; whether it took effect is unknown, and nothing recorded was dropped' : ''),
      { code: call.writes ? 'OFFSET_DURABILITY_UNKNOWN' : 'OFFSET_IO', source: call.source },
    );
  }

  /** Waits before a further try. Resolves with whether to make it. */
  async #delay(failed: number): Promise<boolean> {
    if (this.#givenUp) return false;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#clock.clearTimeout(timer);
        this.#wakes.delete(wake);
        resolve();
      };
      const timer = this.#clock.setTimeout(wake, backoffMs(this.#retry, failed, this.#random));
      this.#wakes.add(wake);
    });
    return !this.#givenUp;
  }
}

/** A store that throws where it should reject is taken as one that rejects. */
function start<T>(store: OffsetStore, ask: (store: OffsetStore) => Promise<T>): Promise<T> {
  try {
    return Promise.resolve(ask(store));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** What a further try cannot mend, or must not be made after. */
function isFinal(error: unknown): boolean {
  if (error instanceof NoAnswerError) return true;
  if (!(error instanceof OffsetError)) return false;
  switch (error.code) {
    case 'OFFSET_IO':
    case 'OFFSET_DURABILITY_UNKNOWN':
    case 'OFFSET_LOCK_TIMEOUT':
      return false;
    default:
      return true;
  }
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Our error for a failed call: the store's own where it is a refusal and tells all, else one around it. */
function explain(error: unknown, call: StoreCall, tries: number): unknown {
  if (error instanceof NoAnswerError) return error;
  if (isFinal(error) && (call.source === undefined || (error as OffsetError).source === call.source))
    return error;
  const message =
    `${capitalized(call.what)} failed${tries > 1 ? ` ${tries} times` : ''}: ` + messageOf(error);
  if (!(error instanceof OffsetError))
    return new OffsetIoError(message, { source: call.source, cause: error });
  // All our classes take (message, options); the class and the code tell the caller what kind of failure it was.
  const Same = error.constructor as new (message: string, options: OffsetErrorOptions) => OffsetError;
  return new Same(message, { code: error.code, source: call.source ?? error.source, cause: error });
}

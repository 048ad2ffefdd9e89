import { UnsupportedError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import type { OffsetInput } from '../offset.js';
import { systemClock, withDeadline } from '../tracker/clock.js';
import { DONE } from '../tracker/deliveries.js';
import type { OffsetTracker } from '../tracker/offset-tracker.js';
import { ItemPlaces } from './item-places.js';
import { assertIterable, openSource, type OpenSource } from './open-source.js';
import { SourceCommits } from './source-commits.js';
import {
  abortError,
  checkedEndOptions,
  type OffsetStreamOptions,
  streamOptionsOf,
} from './stream-options.js';

/** The options of {@link iterateWithOffsets}: those of the streams, save that it has no buffer. */
export type IterateOptions<T> = Omit<OffsetStreamOptions<T>, 'highWaterMark'>;

/**
 * A `for await` loop that keeps its place: asking for the next item records the last one as done. Do the work in
 * the body of the loop. The last item is recorded when the iterable ends, and then all that was recorded is
 * committed (with `manual`, not).
 *
 * When the loop is left before, by `break`, `return` or a throw in its body, the item in hand is not recorded: it
 * comes again after a restart, like any whose work may be half done. The items before it are committed within
 * `drainTimeoutMs`, and the source is closed: a Readable is destroyed, a ReadableStream cancelled, an iterator told
 * to return. An error of the source is thrown as it is, after the commits. An abort is heard at once
 * while the loop waits for the source or the store; while the body works, it is heard when the next item is asked
 * for, and the last is recorded, for its work is done.
 *
 * The body must not go on working on an item after it asked for the next, and nothing may ask ahead: not
 * `Readable.from()` nor a `pipeline()` around it, for what is in their buffers would count as done. For concurrent
 * work use `withAcks()`.
 *
 * @param iterable - an array, a generator, a Readable, a ReadableStream, any iterable or async iterable
 * @param sourceOrOptions - the name of the items' source, or options; their functions are called before the body gets
 *   the item
 * @throws TypeError or RangeError for wrong arguments. The loop throws what the stream of {@link withOffsets} is
 *   destroyed with; the signal's reason; what the iterable throws; UnsupportedError `OFFSET_UNSUPPORTED` where the next
 *   item is asked for before the last call of `next()` was answered
 * @example
 * ```ts
 * for await (const order of iterateWithOffsets(orders, tracker, { source: 'orders', offsetOf: (o) => o.id })) {
 *   await handle(order);
 *   if (enough()) break; // this order comes again
 * }
 * ```
 */
export function iterateWithOffsets<T>(
  iterable: Iterable<T | PromiseLike<T>> | AsyncIterable<T>,
  tracker: OffsetTracker,
  sourceOrOptions: string | IterateOptions<T>,
): AsyncGenerator<T, void, undefined> {
  assertIterable(iterable);
  return new OffsetIterator(iterable, tracker, streamOptionsOf(tracker, sourceOrOptions));
}

interface Asked<T> {
  readonly resolve: (result: IteratorResult<T, void>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Written by hand, for an async generator hears neither `return()` nor an abort while it waits: both would queue
 * behind an item that may never come.
 */
class OffsetIterator<T> implements AsyncGenerator<T, void, undefined> {
  readonly #iterable: Iterable<T | PromiseLike<T>> | AsyncIterable<T>;
  readonly #tracker: OffsetTracker;
  readonly #places: ItemPlaces<T, true>;
  readonly #commits: SourceCommits;
  readonly #signal: AbortSignal | undefined;
  readonly #drainTimeoutMs: number;
  /** Opened when the first item is asked for, so that an iterator that nobody uses holds nothing. */
  #source: OpenSource<T | PromiseLike<T>> | undefined;
  /** The call of `next()` that has no answer yet. */
  #asked: Asked<T> | undefined;
  /** Resolves when the loop has been left, and never rejects; undefined until it is. */
  #left: Promise<Failure | undefined> | undefined;

  // The place of the item in hand.
  #inHand = false;
  #itemSource = '';
  #offset: OffsetInput = 0;
  #metadata: Metadata | undefined;
  #index = 0;

  constructor(
    iterable: Iterable<T | PromiseLike<T>> | AsyncIterable<T>,
    tracker: OffsetTracker,
    options: IterateOptions<T>,
  ) {
    const { signal, drainTimeoutMs } = checkedEndOptions(options);
    this.#iterable = iterable;
    this.#tracker = tracker;
    this.#signal = signal;
    this.#drainTimeoutMs = drainTimeoutMs;
    this.#places = new ItemPlaces(options, (source) => tracker.getOffset(source), {
      take: (_item, source, offset, metadata, index) => {
        this.#inHand = true;
        this.#itemSource = source;
        this.#offset = offset;
        this.#metadata = metadata;
        this.#index = index;
        return true;
      },
    });
    this.#commits = new SourceCommits(tracker, this.#places.sources, drainTimeoutMs);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, void>> {
    if (this.#left !== undefined) return this.#left.then(() => ({ done: true, value: undefined }));
    if (this.#asked !== undefined) {
      return Promise.reject(
        new UnsupportedError(
          'Expected the next item to be asked for when the work for the last is done, got two calls of next() at ' +
            'once: for concurrent work use withAcks()',
        ),
      );
    }
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
      void this.#advance();
    });
  }

  /** Leaves the loop; a call of `next()` without an answer ends with it. */
  async return(value?: void | PromiseLike<void>): Promise<IteratorResult<T, void>> {
    const failure = await this.#leave();
    if (failure !== undefined) throw failure.error;
    return { done: true, value: await value };
  }

  async throw(error: unknown): Promise<IteratorResult<T, void>> {
    await this.#leave();
    throw error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #advance(): Promise<void> {
    try {
      this.#source ??= this.#open();
      const recorded = this.#record();
      if (this.#signal?.aborted === true) {
        // The commits at the end cover it; nobody waits for its own.
        recorded.catch(() => undefined);
        throw abortError(this.#signal);
      }
      if (recorded !== DONE) await recorded;
      while (this.#left === undefined) {
        const result = await this.#source.next();
        if (this.#left !== undefined) return;
        if (result.done === true) {
          await this.#finish();
          return;
        }
        // Of an iterable that is not async the items may be promises, as for any `for await`.
        const item = await result.value;
        const placed = this.#places.next(item);
        if (placed === true || (placed !== undefined && (await placed) === true)) {
          if (this.#left === undefined) this.#answer({ done: false, value: item });
          return;
        }
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #open(): OpenSource<T | PromiseLike<T>> {
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    return openSource<T | PromiseLike<T>>(this.#iterable);
  }

  readonly #onAbort = (): void => {
    // While the body works, the next call of next() is what is told.
    if (this.#asked !== undefined) this.#fail(abortError(this.#signal!));
  };

  /** Records the item in hand, whose work is done. */
  #record(): Promise<void> {
    if (!this.#inHand) return DONE;
    this.#inHand = false;
    const metadata = this.#metadata;
    const recorded =
      metadata === undefined
        ? this.#tracker.record(this.#itemSource, this.#offset)
        : this.#tracker.record(this.#itemSource, this.#offset, { metadata });
    if (recorded === DONE) return DONE;
    return recorded.catch((error: unknown) => {
      // Either the tracker refused the item, or a commit failed.
      this.#places.check(this.#itemSource, this.#offset, metadata, this.#index);
      throw error;
    });
  }

  /** The iterable has ended. */
  async #finish(): Promise<void> {
    this.#places.finish();
    await this.#commits.finish();
    if (this.#left !== undefined) return;
    this.#detach();
    this.#left = Promise.resolve(undefined);
    this.#answer({ done: true, value: undefined });
  }

  #answer(result: IteratorResult<T, void>): void {
    const asked = this.#asked!;
    this.#asked = undefined;
    asked.resolve(result);
  }

  /** Leaves the loop with an error, which the call of `next()` is told once that is done. */
  #fail(error: unknown): void {
    // What fails after the loop was left is no news to anybody.
    if (this.#left !== undefined) return;
    const asked = this.#asked!;
    this.#asked = undefined;
    void this.#leave().then(() => asked.reject(error));
  }

  /** Commits what was recorded and closes the source, both within the time limit. */
  #leave(): Promise<Failure | undefined> {
    if (this.#left !== undefined) return this.#left;
    this.#detach();
    this.#places.end();
    this.#inHand = false;
    // In the next turn, for a source may call back while it is being closed: by then the loop is seen to be left.
    this.#left = Promise.resolve()
      .then(() => Promise.all([this.#close(), this.#commits.drain()]))
      .then(([failure]) => {
        if (this.#asked !== undefined) this.#answer({ done: true, value: undefined });
        return failure;
      });
    return this.#left;
  }

  async #close(): Promise<Failure | undefined> {
    const late = new Error('late');
    try {
      this.#source ??= openSource<T | PromiseLike<T>>(this.#iterable);
      await withDeadline(systemClock, this.#drainTimeoutMs, this.#source.close(), () => late);
    } catch (error) {
      if (error !== late) return { error };
    }
    return undefined;
  }

  #detach(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

/** What the source threw when it was closed. */
interface Failure {
  readonly error: unknown;
}

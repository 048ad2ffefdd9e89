import { Writable } from 'node:stream';
import type { RetryOptions } from '../backoff.js';
import { InvalidOffsetError, UnsupportedError } from '../errors.js';
import { copyMetadata, type Metadata } from '../metadata.js';
import { Offset, type OffsetInput } from '../offset.js';
import { systemClock, withDeadline } from '../tracker/clock.js';
import type { TransactionalOffsetStore } from '../transactional-store.js';
import { argumentTypeError, assertInteger, MAX_TIMER_MS, quote } from '../validate.js';
import { Attachment, type CommitListener, type Recorder } from './attachment.js';
import { type Batch, BatchTransactions } from './batch-transactions.js';
import type { OffsetWritable } from './commit-offsets.js';
import { ItemPlaces, type PlaceOptions } from './item-places.js';
import { checkedEndOptions } from './stream-options.js';

/** What {@link transactionalSink} is told. */
export interface TransactionalSinkOptions<T, Tx> extends PlaceOptions<T> {
  /**
   * Writes the items, in order, through `tx` and nothing else: what `transaction()` of the store gives, such as a
   * client of `pg`. It must be done with `tx` when its promise settles. It is called again with the same items when
   * the transaction was rolled back for a reason that passes. What it throws destroys the stream as it is.
   */
  readonly write: (items: T[], tx: Tx) => unknown;
  /** How many items are written in one transaction at most, 1 … 1,000,000. Default: 100. */
  readonly batchSize?: number | undefined;
  /**
   * How long an item waits for its batch to fill, in milliseconds, 1 … 2^31-1; then the batch is written as it is.
   * The timer does not keep the process alive. Default: 1,000.
   */
  readonly maxDelayMs?: number | undefined;
  /**
   * How often and how fast a transaction is tried again that was rolled back for a reason that passes
   * (`store.isTransient()`: serialization failures, deadlocks, locks, lost connections). Default: 8 further tries,
   * after 50 ms and twice that each time, up to 2,000 ms.
   */
  readonly retry?: RetryOptions | undefined;
  /**
   * How long one transaction may take, `write` included, in milliseconds, 1 … 2^31-1; then the stream is destroyed.
   * Default: 30,000.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Destroys the stream with the signal's reason. (A falsy reason cannot be a stream's error: it is then the `cause`
   * of an `AbortError`.)
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long a stream that is destroyed waits for the transaction in hand to end, in milliseconds, 1 … 2^31-1; then
   * it closes, and that ends by itself. Default: 5,000.
   */
  readonly drainTimeoutMs?: number | undefined;
  /** How many items the stream buffers beside the batch, an integer >= 0. Default: Node's, 16. */
  readonly highWaterMark?: number | undefined;
}

/**
 * The last stage of a pipeline, whose effects are exactly once: it gathers items into batches, and for each runs your
 * `write(items, tx)` and the commit of their offsets in one transaction of the database that holds both. Either
 * both took effect or neither; after a crash, reading resumes after the committed offset, and no item is written
 * twice or left out.
 *
 * At the first item of a source it claims the source: any other process that still writes it is refused from then on
 * with `FencedError`, its writes rolled back. (So one source has one sink; divide the work by sources.) An item at
 * or before the last one is refused with `OFFSET_BEHIND`; with `resume: 'skip'` those already committed are dropped.
 *
 * When the answer to a commit is lost with the connection, what became of it is read back from the database: the batch
 * that took effect is not written again, the one that did not is. On a clean end the last batch is written before
 * `'finish'`. On error, abort or destroy the batch in hand is rolled back, unless its commit had begun; that is
 * left to end.
 *
 * Exactly once is what is done through `tx`. What `write` does besides (a mail, a request, a write through another
 * connection) is at least once: it is done again when the transaction is, and is not undone when that is rolled back.
 *
 * The stream emits `'commit'` with `{ source, offset }` for each source of a batch that took effect.
 *
 * @param store - a store in the database that `write` writes to
 * @throws TypeError or RangeError for what is no store or option; UnsupportedError `OFFSET_UNSUPPORTED` for a store
 *   without `claim()`. The stream is destroyed with what `write` throws, FencedError `OFFSET_FENCED`,
 *   InvalidOffsetError `OFFSET_INVALID` (it names the item's index) and `OFFSET_BEHIND`, OffsetIoError `OFFSET_IO`
 *   (nothing of the batch took effect) and `OFFSET_DURABILITY_UNKNOWN` (whether it did could not be read back; a
 *   restart resumes right either way)
 * @example
 * ```ts
 * const store = new SqliteOffsetStore(database);
 * await pipeline(
 *   flights,
 *   transactionalSink(store, {
 *     source: 'flights',
 *     offsetOf: (flight: Flight) => flight.id,
 *     write(items, tx) {
 *       const insert = tx.prepare('INSERT INTO delays (flight, minutes) VALUES (?, ?)');
 *       for (const { id, delay } of items) insert.run(id, delay);
 *     },
 *   }),
 * );
 * ```
 */
export function transactionalSink<T, Tx>(
  store: TransactionalOffsetStore<Tx>,
  options: TransactionalSinkOptions<T, Tx>,
): OffsetWritable {
  assertStore(store);
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw argumentTypeError('options with `source` and `write`', options);
  }
  const batches = new Batches(store, options);
  const attachment = new Attachment(batches);
  const stream = new Writable({
    objectMode: true,
    highWaterMark: batches.highWaterMark,
    write(item: T, _encoding, callback) {
      try {
        const added = batches.add(item);
        if (added === undefined) callback();
        else added.then(() => callback(), callback);
      } catch (error) {
        callback(error as Error);
      }
    },
    final: (callback) => attachment.finish(callback),
    destroy: (error, callback) => attachment.destroy(error, callback),
  });
  batches.onError = (error) => stream.destroy(error);
  attachment.attach(stream);
  return stream;
}

/** Where a source stands in the stream. */
interface Place {
  readonly epoch: number | undefined;
  /** What is committed. */
  committed: Offset | undefined;
  /** The offset of the last item that came, or what is committed; undefined where there is neither. */
  last: Offset | undefined;
  /** Of the item at `last`. */
  metadata: Metadata | undefined;
}

/** Gathers the items into batches, and has them written one after the other. */
class Batches<T, Tx> implements Recorder {
  readonly #places: ItemPlaces<T, void | Promise<void>>;
  readonly #transactions: BatchTransactions<T, Tx>;
  readonly #batchSize: number;
  readonly #maxDelayMs: number;
  readonly #drainTimeoutMs: number;
  readonly #sources = new Map<string, Place>();
  #items: T[] = [];
  /** The sources of the items. */
  #touched = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  /** The batch that is being written. */
  #writing: Promise<void> | undefined;
  #ended = false;
  #onCommit: CommitListener = () => undefined;

  readonly signal: AbortSignal | undefined;
  readonly highWaterMark: number | undefined;
  /** For what fails while nobody waits. */
  onError: (error: Error) => void = () => undefined;

  constructor(store: TransactionalOffsetStore<Tx>, options: TransactionalSinkOptions<T, Tx>) {
    const { signal, drainTimeoutMs, highWaterMark } = checkedEndOptions(options);
    const { write, batchSize = 100, maxDelayMs = 1_000, timeoutMs = 30_000, retry } = options;
    if (typeof write !== 'function') throw argumentTypeError('`write` to be a function', write);
    assertInteger('batchSize', batchSize, 1, 1_000_000);
    assertInteger('maxDelayMs', maxDelayMs, 1, MAX_TIMER_MS);
    this.#batchSize = batchSize;
    this.#maxDelayMs = maxDelayMs;
    this.#drainTimeoutMs = drainTimeoutMs;
    this.signal = signal;
    this.highWaterMark = highWaterMark;
    this.#transactions = new BatchTransactions(store, { write, timeoutMs, retry });
    this.#places = new ItemPlaces(
      options,
      async (source) => (await this.#place(source)).committed ?? Offset.earliest,
      { take: (item, source, offset, metadata, index) => this.#take(item, source, offset, metadata, index) },
    );
  }

  onCommit(listener: CommitListener): () => void {
    this.#onCommit = listener;
    return () => {
      this.#onCommit = () => undefined;
    };
  }

  /** Takes an item; a promise where it has to wait: for its source's claim, or for its batch to be written. */
  add(item: T): void | Promise<void> {
    if (this.#ended) return undefined;
    if (this.#writing !== undefined) return this.#writing.then(() => this.add(item));
    try {
      const taken = this.#places.next(item);
      return taken instanceof Promise ? taken.then(() => this.#fill()) : this.#fill();
    } catch (error) {
      this.#ended = true;
      throw error;
    }
  }

  #fill(): void | Promise<void> {
    if (this.#items.length >= this.#batchSize) return this.#flush();
    if (this.#items.length > 0 && !this.#ended) {
      this.#timer ??= setTimeout(() => void this.#flush().catch(this.onError), this.#maxDelayMs).unref();
    }
    return undefined;
  }

  #take(
    item: T,
    source: string,
    input: OffsetInput,
    metadata: Metadata | undefined,
    index: number,
  ): void | Promise<void> {
    const place = this.#sources.get(source);
    if (place !== undefined) return this.#push(place, item, source, input, metadata, index);
    return this.#place(source).then((found) => {
      // The stream may have been destroyed while the store was asked.
      if (!this.#ended) this.#push(found, item, source, input, metadata, index);
    });
  }

  #push(
    place: Place,
    item: T,
    source: string,
    input: OffsetInput,
    metadata: Metadata | undefined,
    index: number,
  ): void {
    let offset: Offset;
    let copy: Metadata | undefined;
    try {
      offset = Offset.from(input);
      copy = metadata === undefined ? undefined : copyMetadata(metadata);
    } catch (error) {
      this.#places.check(source, input, metadata, index);
      throw error;
    }
    const order = place.last === undefined ? undefined : Offset.compare(offset, place.last);
    if (order !== undefined && order <= 0) {
      throw new InvalidOffsetError(
        `Expected item ${index} of source ${quote(source)} to lie after ${quote(Offset.format(place.last!))}, the last one ` +
          `that is done or in hand, got ${quote(Offset.format(offset))}: to write it again would be to do it twice. Let ` +
          "the source start after the committed offset, or use resume: 'skip'",
        { code: 'OFFSET_BEHIND', source },
      );
    }
    place.last = offset;
    place.metadata = copy;
    this.#touched.add(source);
    this.#items.push(item);
  }

  async #place(source: string): Promise<Place> {
    let place = this.#sources.get(source);
    if (place === undefined) {
      const { offset, epoch } = await this.#transactions.claim(source);
      place = { epoch, committed: offset, last: offset, metadata: undefined };
      this.#sources.set(source, place);
    }
    return place;
  }

  /** Writes what has been gathered. */
  async #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#items.length === 0 || this.#ended) return;
    this.#writing = this.#write();
    try {
      await this.#writing;
    } catch (error) {
      this.#ended = true;
      throw error;
    } finally {
      this.#writing = undefined;
    }
  }

  async #write(): Promise<void> {
    const places = Array.from(this.#touched, (source) => ({ source, place: this.#sources.get(source)! }));
    const batch: Batch<T> = {
      items: this.#items,
      commits: places.map(({ source, place: { epoch, committed, last, metadata } }) => ({
        source,
        epoch,
        before: committed,
        offset: last!,
        metadata,
      })),
    };
    this.#items = [];
    this.#touched = new Set();
    await this.#transactions.run(batch);
    for (const { source, offset } of batch.commits) {
      this.#sources.get(source)!.committed = offset;
      this.#onCommit(source, offset);
    }
  }

  /** At a clean end: writes the last batch. */
  async finish(): Promise<void> {
    this.#places.finish();
    await this.#flush();
  }

  /** When the stream is destroyed: resolves when no transaction is in hand any more, or time is up. */
  async drain(): Promise<void> {
    this.#ended = true;
    this.#places.end();
    clearTimeout(this.#timer);
    this.#transactions.stop();
    if (this.#writing === undefined) return;
    await withDeadline(systemClock, this.#drainTimeoutMs, this.#writing, () => new Error('late')).catch(
      () => undefined,
    );
  }
}

function assertStore(store: unknown): void {
  const given = (store ?? {}) as Partial<Record<keyof TransactionalOffsetStore<unknown>, unknown>>;
  for (const method of ['transaction', 'using', 'isTransient'] as const) {
    if (typeof given[method] !== 'function') {
      throw argumentTypeError(
        `\`store\` to be one in a database, with ${method}() (SqliteOffsetStore, PostgresOffsetStore)`,
        store,
      );
    }
  }
  if (typeof given.claim !== 'function') {
    throw new UnsupportedError(
      'Expected a store with claim(): without it, two processes that write one source cannot be kept apart',
    );
  }
}

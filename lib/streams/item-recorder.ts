import { ClosedError, InvalidOffsetError } from '../errors.js';
import { copyMetadata, type Metadata } from '../metadata.js';
import { Offset, type OffsetInput } from '../offset.js';
import { systemClock, withDeadline } from '../tracker/clock.js';
import { DONE } from '../tracker/committer.js';
import { aggregate, messageOf } from '../tracker/failures.js';
import { OffsetTracker } from '../tracker/offset-tracker.js';
import { argumentTypeError, assertInteger, assertSource, MAX_TIMER_MS, quote } from '../validate.js';

/** What the streams of this library are told about the items that pass. */
export interface OffsetStreamOptions<T> {
  /**
   * The source of the items: one name for all, or a function that names each item's. This function and the two
   * below are called for every item and answer at once: an async one is refused with `OFFSET_INVALID`.
   */
  readonly source: string | ((item: T) => string);
  /**
   * The item's offset, which no other item of its source has. `index` is the item's place in this stream,
   * zero-based. Default: the items of each source are counted: the first is sequence 0, or the one after the
   * committed offset.
   */
  readonly offsetOf?: ((item: T, index: number) => OffsetInput) | undefined;
  /** What to keep beside the item's offset. Default: nothing. */
  readonly metadataOf?: ((item: T) => Metadata | undefined) | undefined;
  /**
   * `'continue'`: the source of the stream starts after the committed offset. `'skip'`: it replays from its
   * beginning, and the items at or before the committed offset are dropped here; the stages before this one see them
   * again. Custom offsets have no order: the items
   * up to the committed one are dropped, and it is an error when it does not come up. Where the committed offset is
   * earliest or latest, nothing is dropped. Default: `'continue'`.
   */
  readonly resume?: 'continue' | 'skip' | undefined;
  /**
   * Destroys the stream with the signal's reason; what was recorded before is still committed. (A falsy reason
   * cannot be a stream's error: it is then the `cause` of an `AbortError`.)
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long the last commits may take when the stream is destroyed, in milliseconds, 1 … 2^31-1; then it closes
   * without them. A clean end waits for its commits, however long the tracker's `storeTimeoutMs` lets them take.
   * Default: 5,000.
   */
  readonly drainTimeoutMs?: number | undefined;
  /** How many items the stream buffers on each side; the fewer, the fewer repeats after a crash. Default: Node's, 16. */
  readonly highWaterMark?: number | undefined;
}

/** What a stream's `'commit'` event tells. */
export interface CommitEvent {
  readonly source: string;
  readonly offset: Offset;
}

/** Where a source stands in a stream that counts or skips. */
interface Position {
  /** The sequence that the next item gets, where items are counted. */
  next: bigint;
  /** The offset up to which items are dropped; undefined when none is, or no more. */
  dropThrough: Offset | undefined;
  dropped: number;
}

/**
 * What withOffsets() and commitOffsets() have in common: the way from an item to its recorded offset, and the
 * commits at the stream's end.
 */
export class ItemRecorder<T> {
  readonly #tracker: OffsetTracker;
  readonly #source: string | ((item: T) => string);
  readonly #offsetOf: ((item: T, index: number) => OffsetInput) | undefined;
  readonly #metadataOf: ((item: T) => Metadata | undefined) | undefined;
  readonly #skip: boolean;
  readonly #drainTimeoutMs: number;
  /** Whether an item's offset, or whether it is dropped, depends on what is committed. */
  readonly #positioned: boolean;
  readonly #positions = new Map<string, Position>();
  /** The sources seen. */
  readonly #sources = new Set<string>();
  #index = 0;
  /**
   * Nothing is recorded any more: an item failed, or the stream is being destroyed. Node still writes items that it
   * had buffered after one that failed at once; recording them would commit past the failed one.
   */
  #ended = false;

  readonly signal: AbortSignal | undefined;
  readonly highWaterMark: number | undefined;

  /** @throws TypeError or RangeError for what is no tracker, source or option */
  constructor(tracker: OffsetTracker, sourceOrOptions: string | OffsetStreamOptions<T>) {
    if (!(tracker instanceof OffsetTracker))
      throw argumentTypeError('`tracker` to be an OffsetTracker', tracker);
    const options: OffsetStreamOptions<T> =
      typeof sourceOrOptions === 'string' ? { source: sourceOrOptions } : sourceOrOptions;
    if (typeof options !== 'object' || options === null || Array.isArray(options)) {
      throw argumentTypeError('a source name or options with `source`', options);
    }
    const {
      source,
      offsetOf,
      metadataOf,
      resume = 'continue',
      signal,
      drainTimeoutMs = 5_000,
      highWaterMark,
    } = options;
    if (typeof source !== 'function') assertSource(source);
    assertFunction('offsetOf', offsetOf);
    assertFunction('metadataOf', metadataOf);
    if (resume !== 'continue' && resume !== 'skip') {
      throw argumentTypeError("`resume` to be 'continue' or 'skip'", resume);
    }
    // By shape, because a signal may be of another realm.
    if (signal !== undefined && !(typeof signal === 'object' && signal !== null && 'aborted' in signal)) {
      throw argumentTypeError('`signal` to be an AbortSignal', signal);
    }
    assertInteger('drainTimeoutMs', drainTimeoutMs, 1, MAX_TIMER_MS);
    if (highWaterMark !== undefined) assertInteger('highWaterMark', highWaterMark, 0);
    this.#tracker = tracker;
    this.#source = source;
    this.#offsetOf = offsetOf;
    this.#metadataOf = metadataOf;
    this.#skip = resume === 'skip';
    this.#drainTimeoutMs = drainTimeoutMs;
    this.#positioned = this.#skip || offsetOf === undefined;
    this.signal = signal;
    this.highWaterMark = highWaterMark;
  }

  /**
   * Records the item; tells whether it goes on (a dropped one does not). A promise only where something is
   * waited for.
   *
   * @throws InvalidOffsetError that names the item's index for what the caller's functions do wrong
   */
  record(item: T): boolean | Promise<boolean> {
    if (this.#ended) return false;
    try {
      return this.#record(item);
    } catch (error) {
      this.#ended = true;
      throw error;
    }
  }

  #record(item: T): boolean | Promise<boolean> {
    const index = this.#index++;
    const source = this.#sourceOf(item, index);
    if (!this.#positioned) return this.#pass(source, this.#given(item, index, source), item, index);
    const position = this.#positions.get(source);
    if (position !== undefined) return this.#recordAt(position, source, item, index);
    // The stream may end while the store is asked.
    return this.#locate(source).then((found) =>
      this.#ended ? false : this.#recordAt(found, source, item, index),
    );
  }

  #recordAt(position: Position, source: string, item: T, index: number): boolean | Promise<boolean> {
    const offset = this.#offsetOf === undefined ? position.next++ : this.#given(item, index, source);
    if (position.dropThrough !== undefined) {
      const place = converted(offset, index, source);
      if (isDropped(position, position.dropThrough, place, source, index)) return false;
      // What is counted only goes up.
      if (this.#offsetOf === undefined) position.dropThrough = undefined;
    }
    return this.#pass(source, offset, item, index);
  }

  #pass(source: string, offset: OffsetInput, item: T, index: number): boolean | Promise<boolean> {
    const metadata = this.#metadataOf === undefined ? undefined : this.#metadata(item, index, source);
    const recorded =
      metadata === undefined
        ? this.#tracker.record(source, offset)
        : this.#tracker.record(source, offset, { metadata });
    if (recorded === DONE) return true;
    return recorded.then(
      () => true,
      (error: unknown) => {
        // Either the tracker refused the item, or a commit failed; which of them is only asked once it matters.
        converted(offset, index, source);
        if (metadata !== undefined) checkMetadata(metadata, index, source);
        throw error;
      },
    );
  }

  /** Reads where the source stands. */
  async #locate(source: string): Promise<Position> {
    const committed = await this.#tracker.getOffset(source);
    const starts = Offset.isEarliest(committed) || Offset.isLatest(committed);
    if (this.#offsetOf === undefined && !starts && committed.kind !== 'sequence') {
      throw new InvalidOffsetError(
        `Expected a sequence committed for source ${quote(source)}, whose items are counted, got ` +
          `${quote(Offset.format(committed))}: give offsetOf, or reset the source`,
        { source },
      );
    }
    const position: Position = {
      next: this.#skip || committed.kind !== 'sequence' ? 0n : committed.value + 1n,
      dropThrough: this.#skip && !starts ? committed : undefined,
      dropped: 0,
    };
    this.#positions.set(source, position);
    return position;
  }

  #sourceOf(item: T, index: number): string {
    if (typeof this.#source === 'string') {
      if (index === 0) this.#sources.add(this.#source);
      return this.#source;
    }
    try {
      const source = this.#source(item);
      if (!this.#sources.has(source)) {
        refusePromise('source', source);
        assertSource(source);
        this.#sources.add(source);
      }
      return source;
    } catch (error) {
      throw badItem('source', index, undefined, error);
    }
  }

  #given(item: T, index: number, source: string): OffsetInput {
    try {
      const offset = this.#offsetOf!(item, index);
      if (typeof offset === 'object') assertPlace(offset);
      return offset;
    } catch (error) {
      throw badItem('offset', index, source, error);
    }
  }

  #metadata(item: T, index: number, source: string): Metadata | undefined {
    try {
      const metadata = this.#metadataOf!(item);
      refusePromise('metadataOf', metadata);
      return metadata;
    } catch (error) {
      throw badItem('metadata', index, source, error);
    }
  }

  /** Whether the source is one of this stream's. */
  owns(source: string): boolean {
    return this.#sources.has(source);
  }

  onCommit(listener: (source: string, offset: Offset) => void): () => void {
    return this.#tracker.onCommit(listener);
  }

  /** At a clean end: commits all that was recorded, unless the strategy is manual. */
  async finish(): Promise<void> {
    for (const [source, { dropThrough, dropped }] of this.#positions) {
      if (dropThrough?.kind === 'custom') {
        throw new InvalidOffsetError(
          `The committed offset ${quote(Offset.format(dropThrough))} of source ${quote(source)} did not come up when it ` +
            `was replayed: all its ${dropped} items were dropped, though which of them are done cannot be told`,
          { source },
        );
      }
    }
    const failures = await this.#commit();
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw aggregate(failures);
  }

  /** When the stream is destroyed: the same within a time limit, and silent, for the caller has an error already. */
  async drain(): Promise<void> {
    this.#ended = true;
    await withDeadline(systemClock, this.#drainTimeoutMs, this.#commit(), () => new Error('late')).catch(
      () => undefined,
    );
  }

  /** Tries every source of the stream; gives the errors of those that failed. */
  async #commit(): Promise<unknown[]> {
    if (this.#tracker.strategy.kind === 'manual') return [];
    const sources = [...this.#sources];
    const outcomes = await Promise.allSettled(sources.map((source) => this.#tracker.commit(source)));
    return outcomes.flatMap((outcome, at) => {
      if (outcome.status === 'fulfilled') return [];
      // A tracker that was closed before the stream ended has committed everything, or else says so below.
      const done = outcome.reason instanceof ClosedError && this.#tracker.stats(sources[at]).pending === 0;
      return done ? [] : [outcome.reason as unknown];
    });
  }
}

/** Whether the item lies at or before what is committed for its source. */
function isDropped(
  position: Position,
  through: Offset,
  offset: Offset,
  source: string,
  index: number,
): boolean {
  const order = Offset.compare(offset, through);
  if (order === undefined) {
    // Custom offsets have no order: what comes up to the committed one was before it.
    if (offset.kind === 'custom' && through.kind === 'custom') {
      position.dropped++;
      return true;
    }
    throw new InvalidOffsetError(
      `Expected offsets of the kind of the committed one, ${quote(Offset.format(through))}, to skip what is done of ` +
        `source ${quote(source)}, got ${quote(Offset.format(offset))} for item ${index}`,
      { source },
    );
  }
  if (order > 0) return false;
  position.dropped++;
  if (order === 0 && through.kind === 'custom') position.dropThrough = undefined;
  return true;
}

/** What aborts a stream: the signal's reason, save where that would pass for none. */
export function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  // Node takes anything that is truthy for a stream's error, though its types do not.
  if (reason) return reason as Error;
  return Object.assign(new Error('The operation was aborted', { cause: reason }), {
    name: 'AbortError',
    code: 'ABORT_ERR',
  });
}

function converted(given: OffsetInput, index: number, source: string): Offset {
  try {
    return Offset.from(given);
  } catch (error) {
    throw badItem('offset', index, source, error);
  }
}

function checkMetadata(metadata: Metadata, index: number, source: string): void {
  try {
    copyMetadata(metadata);
  } catch (error) {
    throw badItem('metadata', index, source, error);
  }
}

/** Refuses objects that stand for no item: those of an async function, and the two ends of a source. */
function assertPlace(offset: Offset | Date | null): void {
  refusePromise('offsetOf', offset);
  const kind: unknown = (offset as Partial<Offset> | null)?.kind;
  if (kind === 'earliest' || kind === 'latest') {
    throw new InvalidOffsetError(
      `Expected \`offsetOf\` to return the position of the item, a sequence, timestamp or custom offset, got ${kind}`,
    );
  }
}

function refusePromise(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || !('then' in value)) return;
  // Nobody waits for it; if it fails, that is no further failure.
  Promise.resolve(value).catch(() => undefined);
  throw argumentTypeError(
    `\`${name}\` to return its answer at once (it is called for every item, and must not be an async function)`,
    value,
  );
}

function badItem(
  what: 'source' | 'offset' | 'metadata',
  index: number,
  source: string | undefined,
  error: unknown,
): InvalidOffsetError {
  const item = source === undefined ? `item ${index}` : `item ${index} of source ${quote(source)}`;
  return new InvalidOffsetError(`The ${what} of ${item} could not be told: ${messageOf(error)}`, {
    source,
    cause: error,
  });
}

function assertFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw argumentTypeError(`\`${name}\` to be a function or undefined`, value);
  }
}

import { ClosedError, InvalidOffsetError, OffsetError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import { Offset, type OffsetInput } from '../offset.js';
import { systemClock, withDeadline } from '../tracker/clock.js';
import { DONE } from '../tracker/committer.js';
import { OffsetTracker } from '../tracker/offset-tracker.js';
import {
  argumentTypeError,
  assertInteger,
  assertOptions,
  assertSource,
  MAX_TIMER_MS,
  quote,
} from '../validate.js';

/** What the streams of this library are told about the items that pass. */
export interface OffsetStreamOptions<T> {
  /** The source of the items: one name for all, or a function that names each item's. */
  readonly source: string | ((item: T) => string);
  /**
   * The item's offset. `index` is the item's place in this stream, zero-based. Default: the items of each source
   * are counted: the first is sequence 0, or the one after the committed offset.
   */
  readonly offsetOf?: ((item: T, index: number) => OffsetInput) | undefined;
  /** What to keep beside the item's offset. Default: nothing. */
  readonly metadataOf?: ((item: T) => Metadata | undefined) | undefined;
  /**
   * `'continue'`: the source of the stream starts after the committed offset. `'skip'`: it replays from its
   * beginning, and the items at or before the committed offset are dropped. Default: `'continue'`.
   */
  readonly resume?: 'continue' | 'skip' | undefined;
  /** Destroys the stream with the signal's reason; what was recorded before is still committed. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long the last commits may take when the stream is destroyed, in milliseconds, 1 … 2^31-1; then it closes
   * without them. A clean end waits for its commits, however long the tracker's `storeTimeoutMs` lets them take.
   * Default: 5,000.
   */
  readonly drainTimeoutMs?: number | undefined;
  /** How many items the stream buffers on each side. Default: Node's, 16. */
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

  readonly signal: AbortSignal | undefined;
  readonly highWaterMark: number | undefined;

  /** @throws TypeError or RangeError for what is no tracker, source or option */
  constructor(tracker: OffsetTracker, sourceOrOptions: string | OffsetStreamOptions<T>) {
    if (!(tracker instanceof OffsetTracker))
      throw argumentTypeError('`tracker` to be an OffsetTracker', tracker);
    const options: OffsetStreamOptions<T> =
      typeof sourceOrOptions === 'string' ? { source: sourceOrOptions } : sourceOrOptions;
    assertOptions('options', options);
    if (options === undefined) throw argumentTypeError('a source name or options with `source`', options);
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
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
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
   * waited for. What the caller's functions do wrong is an InvalidOffsetError that names the item's index.
   */
  record(item: T): boolean | Promise<boolean> {
    const index = this.#index++;
    const source = this.#sourceOf(item, index);
    if (!this.#positioned) return this.#pass(source, this.#given(item, index, source), item, index);
    const position = this.#positions.get(source);
    if (position !== undefined) return this.#recordAt(position, source, item, index);
    return this.#locate(source).then((found) => this.#recordAt(found, source, item, index));
  }

  #recordAt(position: Position, source: string, item: T, index: number): boolean | Promise<boolean> {
    let offset: Offset;
    if (this.#offsetOf === undefined) offset = Offset.sequence(position.next++);
    else offset = converted(this.#given(item, index, source), index, source);
    if (position.dropThrough !== undefined && this.#isDropped(position, offset, source, index)) return false;
    return this.#pass(source, offset, item, index);
  }

  #isDropped(position: Position, offset: Offset, source: string, index: number): boolean {
    const through = position.dropThrough!;
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

  #pass(source: string, offset: OffsetInput, item: T, index: number): boolean | Promise<boolean> {
    const recorded =
      this.#metadataOf === undefined
        ? this.#tracker.record(source, offset)
        : this.#tracker.record(source, offset, { metadata: this.#metadata(item, index, source) });
    if (recorded === DONE) return true;
    return recorded.then(
      () => true,
      (error: unknown) => {
        throw error instanceof OffsetError && error.code === 'OFFSET_INVALID'
          ? badItem(index, source, error)
          : error;
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
    let source: string;
    try {
      source = this.#source(item);
      if (!this.#sources.has(source)) {
        assertSource(source);
        this.#sources.add(source);
      }
    } catch (error) {
      throw new InvalidOffsetError(`The source of item ${index} could not be told: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return source;
  }

  #given(item: T, index: number, source: string): OffsetInput {
    try {
      return this.#offsetOf!(item, index);
    } catch (error) {
      throw badItem(index, source, error);
    }
  }

  #metadata(item: T, index: number, source: string): Metadata | undefined {
    try {
      return this.#metadataOf!(item);
    } catch (error) {
      throw new InvalidOffsetError(
        `The metadata of item ${index} of source ${quote(source)} could not be told: ${messageOf(error)}`,
        { source, cause: error },
      );
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
    if (failures.length > 1) {
      throw new AggregateError(
        failures,
        `Commits of ${failures.length} sources failed: ${failures.map(messageOf).join(', ')}`,
      );
    }
  }

  /** At any other end: the same within a time limit, and silent, for the caller has an error already. */
  async drain(): Promise<void> {
    await withDeadline(systemClock, this.#drainTimeoutMs, this.#commit(), () => new Error('late')).catch(
      () => undefined,
    );
  }

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

/** What aborts a stream: the signal's reason, which need not be an Error, though a stream's error must be one. */
export function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof Error) return reason;
  return Object.assign(new Error('The operation was aborted', { cause: reason }), {
    name: 'AbortError',
    code: 'ABORT_ERR',
  });
}

function converted(given: OffsetInput, index: number, source: string): Offset {
  try {
    return Offset.from(given);
  } catch (error) {
    throw badItem(index, source, error);
  }
}

function badItem(index: number, source: string, error: unknown): InvalidOffsetError {
  return new InvalidOffsetError(
    `The offset of item ${index} of source ${quote(source)} could not be told: ${messageOf(error)}`,
    { source, cause: error },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function assertFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw argumentTypeError(`\`${name}\` to be a function or undefined`, value);
  }
}

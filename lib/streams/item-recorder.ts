import type { Metadata } from '../metadata.js';
import type { OffsetInput } from '../offset.js';
import { DONE } from '../tracker/deliveries.js';
import type { OffsetTracker } from '../tracker/offset-tracker.js';
import type { CommitListener, Recorder } from './attachment.js';
import { ItemPlaces, type Taker } from './item-places.js';
import { SourceCommits } from './source-commits.js';
import { checkedEndOptions, type OffsetStreamOptions, streamOptionsOf } from './stream-options.js';

/**
 * What the forms have in common that take an item for done when it comes: the way from an item to its recorded
 * offset, and the commits at the end.
 */
export class ItemRecorder<T> implements Recorder, Taker<T, boolean | Promise<boolean>> {
  readonly #tracker: OffsetTracker;
  readonly #places: ItemPlaces<T, boolean | Promise<boolean>>;
  readonly #commits: SourceCommits;

  readonly signal: AbortSignal | undefined;
  readonly highWaterMark: number | undefined;

  /** @throws TypeError or RangeError for what is no tracker, source or option */
  constructor(tracker: OffsetTracker, sourceOrOptions: string | OffsetStreamOptions<T>) {
    const options = streamOptionsOf(tracker, sourceOrOptions);
    const { signal, drainTimeoutMs, highWaterMark } = checkedEndOptions(options);
    this.#tracker = tracker;
    this.#places = new ItemPlaces(options, (source) => tracker.getOffset(source), this);
    this.#commits = new SourceCommits(tracker, this.#places.sources, drainTimeoutMs);
    this.signal = signal;
    this.highWaterMark = highWaterMark;
  }

  onCommit(listener: CommitListener): () => void {
    return this.#commits.onCommit(listener);
  }

  /**
   * Records the item; tells whether it goes on (a dropped one does not). A promise only where something is
   * waited for.
   *
   * @throws InvalidOffsetError that names the item's index for what the caller's functions do wrong
   */
  record(item: T): boolean | undefined | Promise<boolean | undefined> {
    return this.#places.next(item);
  }

  /** Records the item whose place was told. */
  take(
    _item: T,
    source: string,
    offset: OffsetInput,
    metadata: Metadata | undefined,
    index: number,
  ): boolean | Promise<boolean> {
    const recorded =
      metadata === undefined
        ? this.#tracker.record(source, offset)
        : this.#tracker.record(source, offset, { metadata });
    if (recorded === DONE) return true;
    return recorded.then(
      () => true,
      (error: unknown) => {
        // Either the tracker refused the item, or a commit failed.
        this.#places.check(source, offset, metadata, index);
        throw error;
      },
    );
  }

  /** At a clean end: commits all that was recorded, unless the strategy is manual. */
  async finish(): Promise<void> {
    this.#places.finish();
    await this.#commits.finish();
  }

  /** When the stream is destroyed: nothing is recorded any more, and what was is committed within a time limit. */
  drain(): Promise<void> {
    this.#places.end();
    return this.#commits.drain();
  }
}

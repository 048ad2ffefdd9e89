import { ClosedError } from '../errors.js';
import { aggregate } from '../failures.js';
import { systemClock, withDeadline } from '../tracker/clock.js';
import type { OffsetTracker } from '../tracker/offset-tracker.js';
import type { CommitListener } from './attachment.js';

/** The commits that a stream makes at its end, for the sources that it saw. */
export class SourceCommits {
  readonly #tracker: OffsetTracker;
  readonly #sources: ReadonlySet<string>;
  readonly #drainTimeoutMs: number;

  constructor(tracker: OffsetTracker, sources: ReadonlySet<string>, drainTimeoutMs: number) {
    this.#tracker = tracker;
    this.#sources = sources;
    this.#drainTimeoutMs = drainTimeoutMs;
  }

  /** Whether the source is one of this stream's. */
  owns(source: string): boolean {
    return this.#sources.has(source);
  }

  /** Calls back after each commit that landed for a source of this stream; gives the function that ends that. */
  onCommit(listener: CommitListener): () => void {
    return this.#tracker.onCommit((source, offset) => {
      if (this.owns(source)) listener(source, offset);
    });
  }

  /** At a clean end: commits all that was recorded, unless the strategy is manual. */
  async finish(): Promise<void> {
    const failures = await this.#commit();
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw aggregate(failures);
  }

  /** When the stream is destroyed: the same within a time limit, and silent, for the caller has an error already. */
  async drain(): Promise<void> {
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

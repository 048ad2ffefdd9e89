import type { RetryOptions } from '../backoff.js';
import type { Checkpoint } from '../checkpoint.js';
import { checkedStrategy, CommitStrategy } from '../commit-strategy.js';
import { OffsetIoError, SourceNotFoundError, UnsupportedError } from '../errors.js';
import { copyMetadata, type Metadata } from '../metadata.js';
import { Offset, type OffsetInput } from '../offset.js';
import type { CommitEntry, OffsetStore } from '../offset-store.js';
import { checkedResetPolicy, type OffsetResetPolicy } from '../reset-policy.js';
import {
  argumentTypeError,
  assertInteger,
  assertOptions,
  assertSignal,
  assertSource,
  MAX_TIMER_MS,
  quote,
} from '../validate.js';
import { behindChannel, commitChannel, commitErrorChannel, fencedChannel, stuckChannel } from './channels.js';
import { type Clock, systemClock, withDeadline } from './clock.js';
import { Committer, type CommitterContext, type JointCommit, type PauseEnd } from './committer.js';
import { placeOf } from './deliveries.js';
import {
  assertNackPolicy,
  closedError,
  Delivery,
  type HandedOut,
  type NackedDelivery,
  type NackPolicy,
  type TrackedDelivery,
} from './delivery.js';
import { aggregate, listed } from '../failures.js';
import { StoreCaller } from './store-caller.js';

/** The options of an {@link OffsetTracker}. */
export interface OffsetTrackerOptions {
  /** When to commit. Default: `CommitStrategy.auto`. */
  readonly strategy?: CommitStrategy | undefined;
  /** Where a source starts when nothing is stored for it. Default: `'earliest'`. */
  readonly resetPolicy?: OffsetResetPolicy | undefined;
  /**
   * Claim each source on first touch: the newest owner wins, and earlier ones are refused with `FencedError`
   * at their next commit. The store must have `claim`. Default: false.
   */
  readonly exclusive?: boolean | undefined;
  /** Refuse offsets that lie before what is recorded or committed. `false` is last-writer-wins. Default: true. */
  readonly monotonic?: boolean | undefined;
  /** Whether and how failed calls of the store are tried again. Default: they are not. */
  readonly retry?: RetryOptions | undefined;
  /**
   * How long one call of the store may take, in milliseconds, 1 … 2^31-1, before it is given up as unanswered:
   * `OffsetIoError`, `OFFSET_DURABILITY_UNKNOWN` for a commit. Default: 30,000.
   */
  readonly storeTimeoutMs?: number | undefined;
  /**
   * How many tracked deliveries of one source may be in flight before {@link OffsetTracker.whenReady} and the
   * streams wait, 1 … 2^31-1. Default: 10,000.
   */
  readonly maxInFlight?: number | undefined;
  /**
   * What a `nack()` does. `'fail'`: the watermark stays before the delivery, and a stream is destroyed with the
   * reason. `'skip'`: the delivery counts as done. A function: is given the delivery and the reason, to put it
   * aside; once it has, the delivery counts as done. Default: `'fail'`.
   */
  readonly onNack?: NackPolicy<NackedDelivery> | undefined;
  /**
   * After how long a delivery that holds its source's watermark back is reported as stuck, in milliseconds,
   * 1 … 2^31-1, at most a quarter of it later: once each, on the `streamweave-offset:stuck` channel and as the streams' `'stuck'` event.
   * Default: 60,000.
   */
  readonly stuckAfterMs?: number | undefined;
  /** Time, for tests. Default: Node's. */
  readonly clock?: Clock | undefined;
  /** Randomness in [0, 1) for the jitter of retries, for tests. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** What may go with a recorded offset. */
export interface RecordOptions {
  /** Kept in the store with the offset; copied. */
  readonly metadata?: Metadata | undefined;
}

/** The options of {@link OffsetTracker.whenCommitted}. */
export interface WhenCommittedOptions {
  /** Ends the wait with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait, in milliseconds, 1 … 2^31-1. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
}

/** How far a source is behind its head; see {@link OffsetTracker.lag}. */
export interface Lag {
  /** How many positions the committed offset lies before the head; undefined where offsets are not counted. */
  readonly positions: bigint | undefined;
  /** The same in milliseconds; undefined where it is not known. */
  readonly ms: number | undefined;
}

/** The options of {@link OffsetTracker.close}. */
export interface CloseOptions {
  /** How long the last commits may take, in milliseconds, 1 … 2^31-1. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
}

/** Figures of one source, or of all together. */
export interface TrackerStats {
  /** Items recorded since the tracker was made. */
  readonly recorded: number;
  /** Items recorded and not committed. */
  readonly pending: number;
  /** Items tracked that the watermark has not passed. */
  readonly inFlight: number;
  /** Commits that landed. */
  readonly commits: number;
  /** Commits that failed for good. */
  readonly failures: number;
  /** The offset committed last, as far as this tracker knows. Undefined for all together. */
  readonly committed: Offset | undefined;
  /**
   * The newest offset such that it and everything before it is done, committed or not. Undefined for all together.
   */
  readonly watermark: Offset | undefined;
  /** When the last commit landed. */
  readonly lastCommitAt: Date | undefined;
  /** How long the last commit took, in milliseconds. */
  readonly lastCommitMs: number | undefined;
  /** How long ago the oldest pending record came, in milliseconds. */
  readonly oldestPendingMs: number | undefined;
}

/**
 * Stands in front of a store and decides when to commit, and where to start when nothing is stored. One
 * tracker serves any number of sources. Record an offset when its item's work is done, never before.
 *
 * @example
 * ```ts
 * const tracker = new OffsetTracker(new FileOffsetStore('offsets.json'), {
 *   strategy: CommitStrategy.periodic(100, { maxDelayMs: 1000 }),
 * });
 * const start = await tracker.getOffset('orders');
 * for await (const order of ordersAfter(start)) {
 *   await handle(order);
 *   await tracker.record('orders', order.id);
 * }
 * await tracker.close();
 * ```
 */
export class OffsetTracker {
  readonly #strategy: CommitStrategy;
  readonly #resetPolicy: OffsetResetPolicy;
  readonly #clock: Clock;
  readonly #store: OffsetStore;
  readonly #caller: StoreCaller;
  readonly #context: CommitterContext;
  readonly #sources = new Map<string, Committer>();
  readonly #commitListeners = new Set<(source: string, offset: Offset) => void>();
  readonly #stuckListeners = new Set<(report: StuckReport) => void>();
  /** @internal */
  readonly onNack: NackPolicy<NackedDelivery>;
  /** @internal */
  readonly maxInFlight: number;
  /** The one asked for last, for the next record is mostly of the same source; none once the tracker is closed. */
  #last: Committer | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;
  /** Resolves when no `clearAll()` is under way. */
  #clearing: Promise<void> | undefined;

  /**
   * Does no I/O. The store stays the caller's, to share and to close.
   *
   * @throws TypeError or RangeError for what is no store or no option; UnsupportedError `OFFSET_UNSUPPORTED`
   *   for `exclusive` with a store that has no `claim`
   */
  constructor(store: OffsetStore, options?: OffsetTrackerOptions) {
    assertStore(store);
    assertOptions('options', options);
    const {
      strategy = CommitStrategy.auto,
      resetPolicy = 'earliest',
      exclusive = false,
      monotonic = true,
      retry,
      storeTimeoutMs = 30_000,
      maxInFlight = 10_000,
      onNack = 'fail',
      stuckAfterMs = 60_000,
      clock = systemClock,
      random = Math.random,
    } = options ?? {};
    if (typeof exclusive !== 'boolean') throw argumentTypeError('`exclusive` to be a boolean', exclusive);
    if (typeof monotonic !== 'boolean') throw argumentTypeError('`monotonic` to be a boolean', monotonic);
    assertClock(clock);
    if (typeof random !== 'function') throw argumentTypeError('`random` to be a function', random);
    assertInteger('maxInFlight', maxInFlight, 1, MAX_TIMER_MS);
    assertInteger('stuckAfterMs', stuckAfterMs, 1, MAX_TIMER_MS);
    assertNackPolicy(onNack);
    this.maxInFlight = maxInFlight;
    this.onNack = onNack;
    this.#strategy = checkedStrategy(strategy);
    this.#resetPolicy = checkedResetPolicy(resetPolicy);
    this.#clock = clock;
    this.#store = store;
    if (exclusive && store.claim === undefined) {
      throw new UnsupportedError(
        'Expected a store that can claim sources for `exclusive: true`, and this one has no claim()',
      );
    }
    this.#caller = new StoreCaller(store, { clock, random, timeoutMs: storeTimeoutMs, retry });
    this.#context = {
      caller: this.#caller,
      strategy: this.#strategy,
      exclusive,
      monotonic,
      clock,
      stuckAfterMs,
      listener: {
        committed: (source, offset, items, durationMs) => this.#committed(source, offset, items, durationMs),
        commitFailed: (source, offset, error, durationMs) => {
          if (!commitErrorChannel.hasSubscribers) return;
          commitErrorChannel.publish({
            tracker: this,
            source,
            offset: Offset.from(offset),
            error,
            durationMs,
          });
        },
        fenced: (source, error) => {
          if (fencedChannel.hasSubscribers) fencedChannel.publish({ tracker: this, source, error });
        },
        behind: (source, offset, error) => {
          if (!behindChannel.hasSubscribers) return;
          behindChannel.publish({ tracker: this, source, offset: Offset.from(offset), error });
        },
        stuck: (source, offset, ageMs, inFlight) => this.#stuck({ source, offset, ageMs, inFlight }),
      },
    };
  }

  /** The strategy it was made with. */
  get strategy(): CommitStrategy {
    return this.#strategy;
  }

  /** The reset policy it was made with. */
  get resetPolicy(): OffsetResetPolicy {
    return this.#resetPolicy;
  }

  /**
   * Where to resume: after this offset. It is the committed one; when nothing is stored, `Offset.earliest` or
   * `Offset.latest` as the reset policy says. After a `FencedError` it also begins anew, under the source's
   * present epoch: what was pending is dropped.
   *
   * @throws SourceNotFoundError `OFFSET_SOURCE_NOT_FOUND` when nothing is stored and the policy is `'none'`;
   *   OffsetError as the store gives it
   */
  async getOffset(source: string): Promise<Offset> {
    const offset = await this.#touch(source).readOffset();
    if (offset !== undefined) return Offset.from(offset);
    if (this.#resetPolicy !== 'none') return Offset[this.#resetPolicy];
    throw new SourceNotFoundError(
      `Expected an offset stored for source ${quote(source)}, found none, and resetPolicy is 'none': ` +
        "give it one with reset(), or choose 'earliest' or 'latest'",
      { source },
    );
  }

  /**
   * What the store keeps for the source, undefined when nothing is stored, whatever the reset policy. It begins
   * anew after a `FencedError`, as `getOffset()` does.
   *
   * @throws UnsupportedError `OFFSET_UNSUPPORTED` when the store has no `inspect`
   */
  async getCheckpoint(source: string): Promise<Checkpoint | undefined> {
    const committer = this.#touch(source);
    if (this.#store.inspect === undefined) throw unsupported('getCheckpoint()', 'inspect');
    return committer.readCheckpoint();
  }

  /**
   * Says that the work for an item is done. Resolves once that is committed where the strategy commits now,
   * else at once; await it, for its rejection is how a failed commit is told. A failed commit leaves
   * everything pending, and the next record, commit or close tries again. The same offset again is a no-op.
   *
   * @throws InvalidOffsetError `OFFSET_BEHIND` for an offset before what is recorded or committed (nothing is
   *   changed), `OFFSET_INVALID`; FencedError `OFFSET_FENCED`; OffsetIoError and others of the commit; TypeError or
   *   RangeError; each as a rejection
   */
  record(source: string, offset: OffsetInput, options?: RecordOptions): Promise<void> {
    try {
      if (options === undefined && typeof offset === 'number') {
        return this.#touch(source).recordNumber(offset, 1);
      }
      const metadata = options === undefined ? undefined : checkedMetadata(options);
      return this.#touch(source).record(Offset.from(offset), metadata, 1);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Hands an item out, for work that ends in another order than it began. What is recorded is the watermark:
   * the newest offset such that it and everything tracked before it is acked. Track in the order of delivery.
   *
   * @example
   * ```ts
   * const delivery = tracker.track('orders', order.id);
   * await handle(order);
   * await delivery.ack();
   * ```
   * @throws InvalidOffsetError `OFFSET_BEHIND` for an offset before the one tracked last, `OFFSET_INVALID`;
   *   ClosedError; TypeError or RangeError
   */
  track(source: string, offset: OffsetInput, options?: RecordOptions): TrackedDelivery {
    const delivery = new Delivery(placeOf(offset), options && checkedMetadata(options), this.onNack);
    this.handOut(source, delivery);
    return delivery;
  }

  /**
   * Hands a delivery out, in the order of the calls.
   *
   * @internal
   */
  handOut(source: string, delivery: HandedOut): void {
    const committer = this.#touch(source);
    delivery.committer = committer;
    committer.deliveries.add(delivery);
  }

  /**
   * Takes a source's deliveries before the index off its list, acked or not: whoever handed them out has ended.
   *
   * @internal
   */
  abandon(source: string, before: number): void {
    this.#sources.get(source)?.abandon(before);
  }

  /**
   * Resolves when fewer than `maxInFlight` deliveries of the source are in flight: await it before `track()` where
   * the work may fall behind. `track()` itself never refuses. A source that is full holds no other source back.
   */
  whenReady(source: string): Promise<void> {
    try {
      return this.#touch(source).deliveries.whenBelow(this.maxInFlight);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Resolves when the offset of the source, or one after it, is committed; begins no commit itself. An offset
   * without an order (custom) is also passed by any that is recorded after it and committed.
   *
   * @throws the signal's reason; FencedError when the source is taken over, reset or cleared meanwhile;
   *   ClosedError when the tracker is closed without having committed it; OffsetIoError `OFFSET_IO` when
   *   `timeoutMs` is over
   * @example
   * ```ts
   * await tracker.record('orders', order.id);
   * await tracker.whenCommitted('orders', order.id);
   * await reply(order);
   * ```
   */
  async whenCommitted(source: string, offset: OffsetInput, options?: WhenCommittedOptions): Promise<void> {
    const wanted = Offset.from(offset);
    assertOptions('options', options);
    const { signal, timeoutMs = 60_000 } = options ?? {};
    assertSignal(signal);
    assertInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    const deadline = new AbortController();
    const late = this.#clock.setTimeout(() => {
      deadline.abort(
        new OffsetIoError(
          `Source ${quote(source)} was not committed up to ${quote(Offset.format(wanted))} within ${timeoutMs} ms ` +
            '(timeoutMs)',
          { source },
        ),
      );
    }, timeoutMs);
    try {
      const ends = signal === undefined ? [deadline.signal] : [signal, deadline.signal];
      await this.#touch(source).whenCommitted(wanted, ends);
    } finally {
      this.#clock.clearTimeout(late);
    }
  }

  /**
   * How far the committed offset of the source lies before `head`, the newest offset that there is. For a sequence
   * in positions, and in time as long as the last commit of this tracker is ago (0 at the head); for a timestamp as
   * the time between the two. Custom offsets have no distance.
   *
   * @example
   * ```ts
   * const { positions } = await tracker.lag('orders', await newestOrderId());
   * ```
   */
  async lag(source: string, head: OffsetInput): Promise<Lag> {
    const newest = Offset.from(head);
    const committer = this.#touch(source);
    const committed = committer.committed ?? (await committer.readOffset());
    const lastCommitAt = committer.stats.lastCommitAt;
    if (newest.kind === 'sequence' && (committed === undefined || committed.kind !== 'timestamp')) {
      const unknown = committed === undefined && this.#resetPolicy === 'latest';
      if (unknown || committed?.kind === 'custom' || committed?.kind === 'latest') return NO_LAG;
      const done = committed?.kind === 'sequence' ? committed.value : -1n;
      const positions = newest.value > done ? newest.value - done : 0n;
      if (positions === 0n) return { positions, ms: 0 };
      return { positions, ms: lastCommitAt === undefined ? undefined : this.#clock.now() - lastCommitAt };
    }
    if (newest.kind === 'timestamp' && committed?.kind === 'timestamp') {
      return {
        positions: undefined,
        ms: Math.max(0, newest.value.getTime() - committed.value.getTime()),
      };
    }
    return NO_LAG;
  }

  /** The names of the sources that this tracker was asked about. */
  sources(): string[] {
    return [...this.#sources.keys()];
  }

  /**
   * Commits what is pending for the source; resolves when all that was recorded before the call is committed.
   * Nothing pending is nothing to do.
   */
  async commit(source: string): Promise<void> {
    this.#assertOpen();
    assertSource(source);
    await this.#sources.get(source)?.commit();
  }

  /**
   * Commits what is pending for every source: in one atomic step where the store has `commitMany`.
   *
   * @throws what the one step failed with; where the store has no `commitMany`, an AggregateError of the
   *   errors of the sources that failed, after all were tried
   */
  async commitAll(): Promise<void> {
    this.#assertOpen();
    if (this.#store.commitMany === undefined) {
      const failures = await this.#commitEach();
      if (failures.length > 0) throw aggregate(failures);
      return;
    }
    const { refused, failure } = await this.#commitJointly();
    if (failure !== undefined) throw failure;
    if (refused.length > 0) throw aggregate(refused);
  }

  /**
   * Sets the source's offset in the store, forward or back, and forgets what is pending. Whoever else works on
   * the source is fenced, where the store keeps epochs.
   */
  async reset(source: string, offset: OffsetInput): Promise<void> {
    const position = Offset.from(offset);
    await this.#touch(source).reset(position);
  }

  /** Forgets the source, in the store and here: the reset policy says again where it starts. */
  async clear(source: string): Promise<void> {
    await this.#touch(source).clear();
  }

  /** Clears every source that the store knows, and forgets all that is pending. */
  async clearAll(): Promise<void> {
    this.#assertOpen();
    const cleared = this.#clearEvery();
    const clearing = Promise.allSettled([this.#clearing, cleared]).then(() => {
      if (this.#clearing === clearing) this.#clearing = undefined;
    });
    this.#clearing = clearing;
    await cleared;
  }

  async #clearEvery(): Promise<void> {
    const pauses = await Promise.allSettled(
      Array.from(this.#sources.values(), (committer) => committer.pause()),
    );
    let end: PauseEnd = { cleared: false };
    let unanswered: Promise<void> | undefined;
    try {
      const failed = pauses.find((pause) => pause.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      await this.#caller.call(
        () => ({ what: 'clear of all sources', writes: true }),
        (store) => {
          unanswered = store.clearAll();
          return unanswered;
        },
      );
      end = { cleared: true };
    } catch (error) {
      end = { cleared: false, error, unanswered };
      throw error;
    } finally {
      for (const pause of pauses) if (pause.status === 'fulfilled') pause.value(end);
    }
  }

  /** The committed offset of every source in the store. */
  async getAllCommitted(): Promise<Map<string, Offset>> {
    this.#assertOpen();
    return this.#caller.call(
      () => ({ what: 'read of all sources', writes: false }),
      (store) => store.getAll(),
    );
  }

  /** The newest offset of every source that has one recorded and not committed. */
  async getAllPending(): Promise<Map<string, Offset>> {
    this.#assertOpen();
    const pending = new Map<string, Offset>();
    for (const [source, committer] of this.#sources) {
      if (committer.pending !== undefined) pending.set(source, Offset.from(committer.pending));
    }
    return pending;
  }

  /** Figures of one source, or without a name of all together; they can be read after `close()` too. */
  stats(source?: string): TrackerStats {
    if (source !== undefined) assertSource(source);
    const chosen = source === undefined ? [...this.#sources.values()] : [this.#sources.get(source)];
    const total = {
      recorded: 0,
      pending: 0,
      inFlight: 0,
      commits: 0,
      failures: 0,
      committed: undefined as Offset | undefined,
      watermark: undefined as Offset | undefined,
      lastCommitAt: undefined as Date | undefined,
      lastCommitMs: undefined as number | undefined,
      oldestPendingMs: undefined as number | undefined,
    };
    let lastCommitAt = -Infinity;
    let firstPendingAt = Infinity;
    for (const committer of chosen) {
      if (committer === undefined) continue;
      const figures = committer.stats;
      total.recorded += figures.recorded;
      total.pending += figures.pending;
      total.inFlight += figures.inFlight;
      total.commits += figures.commits;
      total.failures += figures.failures;
      if (source !== undefined) {
        if (figures.committed !== undefined) total.committed = Offset.from(figures.committed);
        if (figures.watermark !== undefined) total.watermark = Offset.from(figures.watermark);
      }
      if (figures.lastCommitAt !== undefined && figures.lastCommitAt > lastCommitAt) {
        lastCommitAt = figures.lastCommitAt;
        total.lastCommitAt = new Date(lastCommitAt);
        total.lastCommitMs = figures.lastCommitMs;
      }
      firstPendingAt = Math.min(firstPendingAt, figures.firstPendingAt ?? Infinity);
    }
    if (firstPendingAt !== Infinity) total.oldestPendingMs = this.#clock.now() - firstPendingAt;
    return total;
  }

  /**
   * Commits what is pending (with `manual`: does not), stops all timers, and refuses every later call with
   * `ClosedError`. The store stays open. A second call gives the same promise; after a close that failed, a
   * call tries again to commit what is left.
   *
   * @throws OffsetIoError `OFFSET_DURABILITY_UNKNOWN` naming what is not committed when time runs out; the
   *   error of the source whose commit failed, or an AggregateError where there are several
   */
  close(options?: CloseOptions): Promise<void> {
    this.#closing ??= this.#close(options).catch((error: unknown) => {
      this.#closing = undefined;
      throw error;
    });
    return this.#closing;
  }

  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Calls back after each commit that landed; gives the function that ends that. The listener must not throw, and must
   * copy the offset where it gives it away.
   *
   * @internal
   */
  onCommit(listener: (source: string, offset: Offset) => void): () => void {
    this.#commitListeners.add(listener);
    return () => this.#commitListeners.delete(listener);
  }

  /**
   * Calls back for each delivery that is stuck; gives the function that ends that. The listener must not throw.
   *
   * @internal
   */
  onStuck(listener: (report: StuckReport) => void): () => void {
    this.#stuckListeners.add(listener);
    return () => this.#stuckListeners.delete(listener);
  }

  async #close(options: CloseOptions | undefined): Promise<void> {
    assertOptions('options', options);
    const { timeoutMs = 10_000 } = options ?? {};
    assertInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    this.#closed = true;
    this.#last = undefined;
    this.#caller.goOn();
    for (const committer of this.#sources.values()) committer.stop();
    await withDeadline(this.#clock, timeoutMs, this.#finish(), () => {
      this.#caller.giveUp();
      return this.#notCommittedInTime(timeoutMs);
    }).finally(() => {
      for (const committer of this.#sources.values()) committer.endWaiting(closedError);
    });
  }

  async #finish(): Promise<void> {
    if (this.#strategy.kind === 'manual') {
      // A commit() called before is still waited for.
      await Promise.all(Array.from(this.#sources.values(), (committer) => committer.quiescent()));
      return;
    }
    if (this.#store.commitMany !== undefined) {
      const { refused, failure } = await this.#commitJointly();
      if (failure === undefined && refused.length === 0) return;
    }
    // Where the joint commit is refused for one source, the others must not go with it.
    const failures = await this.#commitEach();
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw aggregate(failures);
  }

  #notCommittedInTime(timeoutMs: number): OffsetIoError {
    const left: string[] = [];
    for (const [source, committer] of this.#sources) {
      if (committer.pending !== undefined) left.push(named(source, committer.pending));
      else if (committer.busy) left.push(`${quote(source)}, whose earlier calls have not ended`);
    }
    return new OffsetIoError(
      `The tracker was closed, but its last commits did not end within ${timeoutMs} ms (timeoutMs); not known to be ` +
        `committed: ${listed(left)}`,
      { code: 'OFFSET_DURABILITY_UNKNOWN' },
    );
  }

  /** Tries every source by itself; gives the errors of those that failed. */
  async #commitEach(): Promise<unknown[]> {
    const outcomes = await Promise.allSettled(
      Array.from(this.#sources.values(), (committer) => committer.commit()),
    );
    return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  }

  /** One atomic commit of all that is pending; `refused` are the errors of sources that could not take part. */
  async #commitJointly(): Promise<{ refused: unknown[]; failure?: unknown }> {
    const committers = [...this.#sources.values()];
    // What was called before goes first, and what it recorded goes along; no commit is held up by that yet.
    await Promise.all(committers.map((committer) => committer.quiescent()));
    for (const committer of committers) committer.hold();
    // While some were waited for, a reset or another commit of several may have begun on others.
    while (!committers.every((committer) => committer.free)) {
      await Promise.all(committers.map((committer) => committer.quiescent()));
    }
    const joined: JointCommit[] = [];
    const refused: unknown[] = [];
    for (const committer of committers) {
      try {
        const joint = committer.join();
        if (joint === undefined) committer.release();
        else joined.push(joint);
      } catch (error) {
        refused.push(error);
        committer.release(error);
      }
    }
    if (joined.length === 0) return { refused };
    let entries: CommitEntry[] = [];
    let answer: Promise<void> | undefined;
    try {
      await this.#caller.call(
        () => ({
          what: `commit of ${entries.length} sources (${listed(entries.map((e) => named(e.source, e.offset)))})`,
          writes: true,
        }),
        (store) => {
          entries = joined.map((joint) => joint.entry());
          answer = store.commitMany!(entries);
          return answer;
        },
      );
    } catch (error) {
      for (const joint of joined) joint.failed(error, answer);
      return { refused, failure: error };
    }
    for (const joint of joined) joint.landed();
    return { refused };
  }

  #touch(source: string): Committer {
    const last = this.#last;
    if (last !== undefined && last.source === source) return last;
    this.#assertOpen();
    let committer = this.#sources.get(source);
    if (committer === undefined) {
      assertSource(source);
      committer = new Committer(source, this.#context);
      // Read before all is cleared, its epoch would be the old one.
      if (this.#clearing !== undefined) committer.waitFor(this.#clearing);
      this.#sources.set(source, committer);
    }
    this.#last = committer;
    return committer;
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }

  #committed(source: string, offset: Offset, items: number, durationMs: number): void {
    for (const listener of this.#commitListeners) listener(source, offset);
    if (!commitChannel.hasSubscribers) return;
    commitChannel.publish({ tracker: this, source, offset: Offset.from(offset), items, durationMs });
  }

  #stuck(report: StuckReport): void {
    for (const listener of this.#stuckListeners) listener(report);
    if (stuckChannel.hasSubscribers) stuckChannel.publish({ tracker: this, ...report });
  }
}

/** What is told of a delivery that is stuck. */
export interface StuckReport {
  /** The name of the delivery's source. */
  readonly source: string;
  /** The offset of the delivery's item. */
  readonly offset: Offset;
  /** How long ago it was handed out, in milliseconds. */
  readonly ageMs: number;
  /** How many deliveries of the source the watermark has not passed, this one among them. */
  readonly inFlight: number;
}

const NO_LAG: Lag = Object.freeze({ positions: undefined, ms: undefined });

function checkedMetadata(options: RecordOptions): Metadata | undefined {
  assertOptions('options', options);
  return options.metadata === undefined ? undefined : copyMetadata(options.metadata);
}

function assertClock(clock: unknown): asserts clock is Clock {
  const given = clock as Partial<Record<keyof Clock, unknown>> | null;
  const whole =
    typeof given === 'object' &&
    given !== null &&
    (['now', 'setTimeout', 'clearTimeout'] as const).every((name) => typeof given[name] === 'function');
  if (!whole)
    throw argumentTypeError('`clock` to be a Clock with now(), setTimeout() and clearTimeout()', clock);
}

function assertStore(store: unknown): asserts store is OffsetStore {
  const given = store as Partial<Record<keyof OffsetStore, unknown>> | null | undefined;
  const missing =
    typeof given === 'object' && given !== null
      ? (['get', 'commit', 'getAll', 'clear', 'clearAll'] as const).filter(
          (name) => typeof given[name] !== 'function',
        )
      : ['get'];
  if (missing.length > 0) {
    throw argumentTypeError(
      '`store` to be an OffsetStore with get(), commit(), getAll(), clear() and clearAll()',
      store,
    );
  }
}

function unsupported(what: string, capability: string): UnsupportedError {
  return new UnsupportedError(`Expected a store with ${capability}() for ${what}, and this one has none`);
}

function named(source: string, offset: Offset): string {
  return `${quote(source)} at ${quote(Offset.format(offset))}`;
}

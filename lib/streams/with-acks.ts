import { Transform, type TransformCallback } from 'node:stream';
import { DeliveryError } from '../errors.js';
import { messageOf } from '../failures.js';
import { copyMetadata, type Metadata } from '../metadata.js';
import type { OffsetInput } from '../offset.js';
import { systemClock, withDeadline } from '../tracker/clock.js';
import { placeOf } from '../tracker/deliveries.js';
import { assertNackPolicy, type NackPolicy } from '../tracker/delivery.js';
import type { OffsetTracker, StuckReport } from '../tracker/offset-tracker.js';
import { assertInteger, assertOptions, assertSignal, MAX_TIMER_MS } from '../validate.js';
import { Attachment, type CommitListener, emitSafely, type Recorder } from './attachment.js';
import { type Delivery, type DeliveryOwner, StreamDelivery } from './delivery.js';
import { ItemPlaces, type Taker } from './item-places.js';
import { SourceCommits } from './source-commits.js';
import {
  checkedEndOptions,
  type CommitEvent,
  type OffsetStreamOptions,
  streamOptionsOf,
} from './stream-options.js';

/** The options of {@link withAcks}. */
export interface AckOptions<T> extends OffsetStreamOptions<T> {
  /**
   * How many deliveries of one source may be in flight before the stream takes no more, 1 … 2^31-1. A stream of
   * several sources is held up by the one that is full, for it cannot give its items back. Default: the tracker's,
   * 10,000.
   */
  readonly maxInFlight?: number | undefined;
  /**
   * What a `nack()` does. `'fail'`: destroys the stream with the reason. `'skip'`: the delivery counts as done. A
   * function: is given the delivery and the reason, to put it aside (a dead letter); once it has, the delivery counts
   * as done, and where it fails, the stream is destroyed with its error. Default: the tracker's, `'fail'`.
   */
  readonly onNack?: NackPolicy<Delivery<T>> | undefined;
  /**
   * After how long a delivery of this stream that holds its source's watermark back is reported as stuck, by the
   * `'stuck'` event, in milliseconds, 1 … 2^31-1, at most a quarter of it later: once each. Default: the tracker's,
   * 60,000.
   */
  readonly stuckAfterMs?: number | undefined;
}

/** The options of {@link AckTransform.settled}. */
export interface SettledOptions {
  /** Ends the wait with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait, in milliseconds, 1 … 2^31-1. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
}

/** What listeners of an {@link AckTransform} are given. */
interface AckTransformEvents<T> {
  /** After each commit that landed for a source of this stream. */
  commit: [commit: CommitEvent];
  /** A delivery holds its source's watermark back for longer than `stuckAfterMs`; once for each. */
  stuck: [report: StuckReport];
  data: [delivery: Delivery<T>];
  error: [error: Error];
}

/** The Transform of {@link withAcks}: items in, deliveries out. */
export interface AckTransform<T> extends Transform {
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<Delivery<T>>;
  // By this one Node's types take the stream for a middle stage of a pipeline; iteration goes by the first.
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<any>;
  // And by the last one a function that stands after it in a pipeline is told what it gets.
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<Delivery<T>>;
  on<E extends keyof AckTransformEvents<T>>(
    event: E,
    listener: (...args: AckTransformEvents<T>[E]) => void,
  ): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once<E extends keyof AckTransformEvents<T>>(
    event: E,
    listener: (...args: AckTransformEvents<T>[E]) => void,
  ): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  once(event: string | symbol, listener: (...args: any[]) => void): this;

  /**
   * Resolves when every delivery that was handed out is acked, or its nack dealt with, and all is committed (with
   * `manual`: recorded). Await it where the work outlives the pipeline.
   *
   * @throws the error that the stream was destroyed with, or a later nack or commit failed with; DeliveryError
   *   `OFFSET_UNACKED` that says how many are left when `timeoutMs` is over; the signal's reason
   */
  settled(options?: SettledOptions): Promise<void>;
}

/**
 * Put it right after the source: it hands each item out as a {@link Delivery}, and records its offset only once
 * that and every one before it is acked. So it does not matter what comes between, nor in which order the work
 * ends: workers side by side, batches, filters, stages that buffer. Whoever drops a delivery must ack it, or its
 * source is never committed past it.
 *
 * `'end'` comes without waiting for acks, since a stage that gathers items needs it to let the last ones go. With
 * {@link ackDeliveries} as the last stage a pipeline ends once all is acked and committed; otherwise await `settled()`,
 * or, where the pipeline itself waits for the work, the tracker's `close()`. On an error, an abort, `destroy()` or
 * `break`, what the watermark has reached is still committed, within `drainTimeoutMs`; the rest comes again, and its
 * acks do nothing any more.
 *
 * After a crash at most what was in flight and what the strategy leaves uncommitted is repeated: `maxInFlight`
 * limits it.
 *
 * @param sourceOrOptions - the name of the items' source, or options
 * @throws TypeError or RangeError for wrong arguments. The stream is destroyed as that of {@link withOffsets} is,
 *   with the reason of a nack under `onNack: 'fail'` (DeliveryError `OFFSET_NACKED` where that is no Error), or with
 *   the error of an `onNack` function
 * @example
 * ```ts
 * await pipeline(
 *   orders,
 *   withAcks(tracker, { source: 'orders', offsetOf: (order: Order) => order.id }),
 *   async (deliveries) => {
 *     await pMap(deliveries, async (delivery) => {
 *       await handle(delivery.value);
 *       await delivery.ack();
 *     }, { concurrency: 8 });
 *   },
 * );
 * await tracker.close();
 * ```
 */
export function withAcks<T>(
  tracker: OffsetTracker,
  sourceOrOptions: string | AckOptions<T>,
): AckTransform<T> {
  const hub = new DeliveryHub<T>(tracker, sourceOrOptions);
  const attachment = new Attachment(hub);
  // Not a class of its own: instances of one shape keep the code of Node's streams fast.
  const stream = new Transform({
    objectMode: true,
    highWaterMark: hub.highWaterMark,
    transform(item: T, _encoding, callback) {
      let delivery: StreamDelivery<T> | undefined | Promise<StreamDelivery<T> | undefined>;
      try {
        delivery = hub.handOut(item);
      } catch (error) {
        callback(error as Error);
        return;
      }
      if (delivery instanceof Promise) {
        delivery.then((handedOut) => hub.pass(this, handedOut, callback), callback);
      } else {
        hub.pass(this, delivery, callback);
      }
    },
    flush: (callback) => attachment.finish(callback),
    destroy: (error, callback) => attachment.destroy(error, callback),
  });
  hub.attach(stream);
  attachment.attach(stream);
  return Object.assign(stream, { settled: (options?: SettledOptions) => hub.whenSettled(options) });
}

/** The deliveries of one stream: how they come from items, what their acks and nacks do to it, and how it ends. */
class DeliveryHub<T> implements Recorder, DeliveryOwner<T>, Taker<T, StreamDelivery<T>> {
  readonly #tracker: OffsetTracker;
  readonly #places: ItemPlaces<T, StreamDelivery<T>>;
  readonly #commits: SourceCommits;
  readonly #maxInFlight: number;
  readonly #stuckAfterMs: number | undefined;
  readonly #drainTimeoutMs: number;
  #stream: Transform | undefined;
  #endReports = (): void => undefined;
  /** The delivery handed out last, and the last ones of the other sources: the stream's parts of their lists end there. */
  #last: StreamDelivery<T> | undefined;
  readonly #lastOf = new Map<string, StreamDelivery<T>>();
  /** Deliveries that are neither acked nor dealt with. */
  #open = 0;
  /** No further delivery is handed out. */
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  /** What those wait for who wait for all to be settled. */
  readonly #wakes = new Set<() => void>();

  readonly signal: AbortSignal | undefined;
  readonly highWaterMark: number | undefined;
  readonly onNack: NackPolicy<Delivery<T>>;

  constructor(tracker: OffsetTracker, sourceOrOptions: string | AckOptions<T>) {
    const options = streamOptionsOf(tracker, sourceOrOptions);
    const { signal, drainTimeoutMs, highWaterMark } = checkedEndOptions(options);
    const { maxInFlight = tracker.maxInFlight, onNack = tracker.onNack, stuckAfterMs } = options;
    assertInteger('maxInFlight', maxInFlight, 1, MAX_TIMER_MS);
    assertNackPolicy(onNack);
    if (stuckAfterMs !== undefined) assertInteger('stuckAfterMs', stuckAfterMs, 1, MAX_TIMER_MS);
    this.#tracker = tracker;
    this.#maxInFlight = maxInFlight;
    this.#stuckAfterMs = stuckAfterMs;
    this.#drainTimeoutMs = drainTimeoutMs;
    this.onNack = onNack;
    this.#places = new ItemPlaces(options, (source) => tracker.getOffset(source), this);
    this.#commits = new SourceCommits(tracker, this.#places.sources, drainTimeoutMs);
    this.signal = signal;
    this.highWaterMark = highWaterMark;
  }

  attach(stream: Transform): void {
    this.#stream = stream;
    this.#endReports = this.#tracker.onStuck((report) => {
      if (this.#commits.owns(report.source)) emitSafely(stream, 'stuck', report);
    });
  }

  onCommit(listener: CommitListener): () => void {
    return this.#commits.onCommit(listener);
  }

  /** The item's delivery; undefined where the item is dropped. */
  handOut(item: T): StreamDelivery<T> | undefined | Promise<StreamDelivery<T> | undefined> {
    return this.#places.next(item);
  }

  /** Sends the delivery on, and asks for the next item once there is room for it. */
  pass(stream: Transform, delivery: StreamDelivery<T> | undefined, callback: TransformCallback): void {
    if (delivery === undefined) {
      callback();
      return;
    }
    const { deliveries } = delivery.committer;
    if (deliveries.inFlight < this.#maxInFlight) {
      callback(null, delivery);
      return;
    }
    stream.push(delivery);
    void deliveries.whenBelow(this.#maxInFlight).then(() => callback());
  }

  /** Hands out the item whose place was told. */
  take(
    item: T,
    source: string,
    offset: OffsetInput,
    metadata: Metadata | undefined,
    index: number,
  ): StreamDelivery<T> {
    let delivery: StreamDelivery<T>;
    try {
      const copy = metadata === undefined ? undefined : copyMetadata(metadata);
      delivery = new StreamDelivery<T>(item, placeOf(offset), copy, this);
      this.#tracker.handOut(source, delivery);
    } catch (error) {
      this.#places.check(source, offset, metadata, index);
      throw error;
    }
    this.#open++;
    if (this.#last?.committer !== delivery.committer) this.#changeSource(delivery);
    this.#last = delivery;
    return delivery;
  }

  #changeSource(delivery: StreamDelivery<T>): void {
    if (this.#last !== undefined) this.#lastOf.set(this.#last.source, this.#last);
    if (this.#stuckAfterMs !== undefined && !this.#lastOf.has(delivery.source)) {
      delivery.committer.deliveries.reportStuckAfter(this.#stuckAfterMs);
    }
  }

  onSettled(): void {
    this.#open--;
    if (this.#open <= 0) this.#wake();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
    // After a clean end it is what drain() ends with.
    if (!this.#ended) this.#stream!.destroy(error instanceof Error ? error : failedWith(error));
  }

  /** When all items have come. What is acked until then is not committed for that, for most acks are still to come. */
  async finish(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#places.finish();
  }

  /**
   * When the stream is destroyed: after a clean end once all is settled or time is up; else what was not acked is
   * given up, and what is recorded is committed.
   */
  async drain(error: Error | null): Promise<void> {
    this.#ended = true;
    this.#places.end();
    if (error === null && this.#stream!.readableEnded) {
      this.#wake();
      await this.whenSettled({ timeoutMs: this.#drainTimeoutMs }, false).catch(() => undefined);
      if (this.#failure !== undefined) {
        this.#endReports();
        throw this.#failure.error;
      }
    } else {
      if (error !== null) this.#failure ??= { error };
      // At once, for a new stream may begin in the same turn with what comes again.
      if (this.#last !== undefined) this.#lastOf.set(this.#last.source, this.#last);
      for (const [source, { index }] of this.#lastOf) this.#tracker.abandon(source, index + 1);
      this.#open = 0;
      this.#wake();
      await this.#commits.drain();
    }
    this.#endReports();
  }

  async whenSettled(options: SettledOptions | undefined, keepAlive = true): Promise<void> {
    assertOptions('options', options);
    const { signal, timeoutMs = 60_000 } = options ?? {};
    assertSignal(signal);
    assertInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    signal?.throwIfAborted();
    let wake = (): void => undefined;
    const settled = new Promise<void>((resolve, reject) => {
      wake = () => {
        if (signal?.aborted === true) reject(signal.reason);
        else if (this.#failure !== undefined) reject(this.#failure.error);
        else if (this.#ended && this.#open <= 0) resolve();
      };
    });
    this.#wakes.add(wake);
    signal?.addEventListener('abort', wake, { once: true });
    wake();
    try {
      await withDeadline(systemClock, timeoutMs, settled, () => this.#unackedError(timeoutMs), keepAlive);
    } finally {
      this.#wakes.delete(wake);
      signal?.removeEventListener('abort', wake);
    }
    await this.#commits.finish();
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
  }

  #unackedError(timeoutMs: number): DeliveryError {
    const left = this.#ended
      ? `${this.#open} deliveries were`
      : 'The stream had not ended, and deliveries were';
    return new DeliveryError(
      `${left} neither acked nor nacked within ${timeoutMs} ms (timeoutMs): each delivery wants an ack() or a nack(), ` +
        'those that are dropped too',
      { code: 'OFFSET_UNACKED' },
    );
  }
}

/** What was thrown and is no error, as an error. */
function failedWith(reason: unknown): DeliveryError {
  return new DeliveryError(`A delivery failed: ${messageOf(reason)}`, { cause: reason });
}

import { Transform } from 'node:stream';
import type { OffsetTracker } from '../tracker/offset-tracker.js';
import { Attachment } from './attachment.js';
import { ItemRecorder } from './item-recorder.js';
import type { CommitEvent, OffsetStreamOptions } from './stream-options.js';

/** What listeners of an {@link OffsetTransform} are given. */
interface OffsetTransformEvents<T> {
  /** After each commit that landed for a source of this stream. */
  commit: [commit: CommitEvent];
  data: [item: T];
  error: [error: Error];
}

/** The Transform of {@link withOffsets}: items of type `T` in and out, and `'commit'` events. */
export interface OffsetTransform<T> extends Transform {
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<T>;
  // By this one Node's types take the stream for a middle stage of a pipeline; iteration goes by the first.
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<any>;
  // And by the last one a function that stands after it in a pipeline is told what it gets.
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<T>;
  on<E extends keyof OffsetTransformEvents<T>>(
    event: E,
    listener: (...args: OffsetTransformEvents<T>[E]) => void,
  ): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once<E extends keyof OffsetTransformEvents<T>>(
    event: E,
    listener: (...args: OffsetTransformEvents<T>[E]) => void,
  ): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  once(event: string | symbol, listener: (...args: any[]) => void): this;
}

/**
 * Put it after the stage that does the work: an item that passes here is recorded as done, and whatever stands
 * behind it still has items in its buffers. It passes each item on and records its offset, which the tracker
 * commits as its strategy says. On a clean end all that was recorded is committed (with `manual`, not) before
 * `'end'`; on an error, an abort, `destroy()` or `break`, what was recorded before is still committed, within
 * `drainTimeoutMs`, and the original error is what you see. That commit may land after `pipeline()` has rejected
 * or the loop was left, but before this stream's `'close'`: let the tracker be closed before the process ends.
 *
 * After a crash, what was done and still waited to be recorded is repeated too, beside what the strategy leaves
 * uncommitted: up to `highWaterMark` items here, 16 by default, and as many again in a Transform right before.
 *
 * Use it with `pipeline()`: with a bare `.pipe()` an error upstream is not told to what stands downstream. It
 * must be read: as the last stage, use `commitOffsets()`. After an error begin anew with a new tracker, or once
 * this one has nothing pending: what it has recorded already it refuses as `OFFSET_BEHIND`.
 *
 * @param sourceOrOptions - the name of the items' source, or options
 * @throws TypeError or RangeError for wrong arguments. The stream is destroyed with InvalidOffsetError
 *   `OFFSET_INVALID` (it names the item's index) for an item whose offset, source or metadata cannot be told,
 *   `OFFSET_BEHIND` for one out of order; SourceNotFoundError `OFFSET_SOURCE_NOT_FOUND` for a source to count or skip
 *   of which nothing is stored under the reset policy `'none'`; FencedError `OFFSET_FENCED`; ClosedError
 *   `OFFSET_CLOSED` where the tracker was closed; the error of a failed commit, such as OffsetIoError `OFFSET_IO` or
 *   `OFFSET_DURABILITY_UNKNOWN`; an AggregateError where, at a clean end, those of several sources failed
 * @example
 * ```ts
 * await pipeline(
 *   readLines('orders.jsonl', { after: await tracker.getCheckpoint('orders') }),
 *   async function* (lines) {
 *     for await (const line of lines) {
 *       await handle(JSON.parse(line.line));
 *       yield line;
 *     }
 *   },
 *   withOffsets(tracker, { source: 'orders', offsetOf: (line: FileLine) => line.offset }),
 *   sink,
 * );
 * ```
 */
export function withOffsets<T>(
  tracker: OffsetTracker,
  sourceOrOptions: string | OffsetStreamOptions<T>,
): OffsetTransform<T> {
  const recorder = new ItemRecorder<T>(tracker, sourceOrOptions);
  const attachment = new Attachment(recorder);
  // Not a class of its own: instances of one shape keep the code of Node's streams fast.
  const stream = new Transform({
    objectMode: true,
    highWaterMark: recorder.highWaterMark,
    transform(item: T, _encoding, callback) {
      let passes: boolean | undefined | Promise<boolean | undefined>;
      try {
        passes = recorder.record(item);
      } catch (error) {
        callback(error as Error);
        return;
      }
      if (passes === true) callback(null, item);
      else if (typeof passes !== 'object') callback();
      else passes.then((passed) => (passed ? callback(null, item) : callback()), callback);
    },
    flush: (callback) => attachment.finish(callback),
    destroy: (error, callback) => attachment.destroy(error, callback),
  });
  attachment.attach(stream);
  return stream;
}

import { Transform, type TransformCallback } from 'node:stream';
import type { OffsetTracker } from '../tracker/offset-tracker.js';
import { type CommitEvent, ItemRecorder, type OffsetStreamOptions } from './item-recorder.js';
import { attach, type Attachment } from './attach.js';

/** The Transform of {@link withOffsets}: items of type `T` in and out, and `'commit'` events. */
export interface OffsetTransform<T> extends Transform {
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<T>;
  /** After each commit that landed for a source of this stream. */
  on(event: 'commit', listener: (commit: CommitEvent) => void): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once(event: 'commit', listener: (commit: CommitEvent) => void): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  once(event: string | symbol, listener: (...args: any[]) => void): this;
}

class WithOffsets<T> extends Transform {
  readonly #recorder: ItemRecorder<T>;
  readonly #attachment: Attachment;

  constructor(recorder: ItemRecorder<T>) {
    super({
      objectMode: true,
      ...(recorder.highWaterMark === undefined ? undefined : { highWaterMark: recorder.highWaterMark }),
    });
    this.#recorder = recorder;
    this.#attachment = attach(this, recorder);
  }

  override _transform(item: T, _encoding: BufferEncoding, callback: TransformCallback): void {
    let passes: boolean | Promise<boolean>;
    try {
      passes = this.#recorder.record(item);
    } catch (error) {
      callback(error as Error);
      return;
    }
    if (typeof passes === 'boolean') {
      callback(null, passes ? item : undefined);
      return;
    }
    passes.then((passed) => callback(null, passed ? item : undefined), callback);
  }

  override _flush(callback: TransformCallback): void {
    this.#attachment.finish(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#attachment.destroy(error, callback);
  }
}

/**
 * Put it after the stage that does the work: an item that passes here is recorded as done, and whatever stands
 * behind it still has items in its buffers. It passes each item on and records its offset, which the tracker
 * commits as its strategy says. On a clean end all that was recorded is committed (with `manual`, not) before
 * `'end'`; on an error, an abort, `destroy()` or `break`, what was recorded before is still committed, within
 * `drainTimeoutMs`, and the original error is what you see.
 *
 * Use it with `pipeline()`: with a bare `.pipe()` an error upstream is not told to what stands downstream. It
 * must be read: as the last stage, use `commitOffsets()`.
 *
 * @param sourceOrOptions - the name of the items' source, or options
 * @throws TypeError or RangeError for wrong arguments. The stream is destroyed with InvalidOffsetError
 *   `OFFSET_INVALID` (it names the item's index) for an item whose offset, source or metadata cannot be told,
 *   `OFFSET_BEHIND` for one out of order, FencedError, or the error of a failed commit
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
  return new WithOffsets<T>(new ItemRecorder(tracker, sourceOrOptions));
}

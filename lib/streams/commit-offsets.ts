import { Writable } from 'node:stream';
import type { OffsetTracker } from '../tracker/offset-tracker.js';
import { attach, type Attachment } from './attach.js';
import { type CommitEvent, ItemRecorder, type OffsetStreamOptions } from './item-recorder.js';

/** The Writable of {@link commitOffsets}, with its `'commit'` events. */
export interface OffsetWritable extends Writable {
  /** After each commit that landed for a source of this stream. */
  on(event: 'commit', listener: (commit: CommitEvent) => void): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once(event: 'commit', listener: (commit: CommitEvent) => void): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  once(event: string | symbol, listener: (...args: any[]) => void): this;
}

class CommitOffsets<T> extends Writable {
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

  override _write(item: T, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    let recorded: boolean | Promise<boolean>;
    try {
      recorded = this.#recorder.record(item);
    } catch (error) {
      callback(error as Error);
      return;
    }
    if (typeof recorded === 'boolean') callback();
    else recorded.then(() => callback(), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#attachment.finish(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#attachment.destroy(error, callback);
  }
}

/**
 * The last stage of a pipeline whose earlier stages did the work: records the offset of each item written to it,
 * and on a clean end commits all that was recorded (with `manual`, not) before `'finish'`. The same as
 * `withOffsets()` in everything else.
 *
 * @param sourceOrOptions - the name of the items' source, or options
 * @throws as {@link withOffsets}
 * @example
 * ```ts
 * await pipeline(orders, handleEach, commitOffsets(tracker, { source: 'orders', offsetOf: (o: Order) => o.id }));
 * ```
 */
export function commitOffsets<T>(
  tracker: OffsetTracker,
  sourceOrOptions: string | OffsetStreamOptions<T>,
): OffsetWritable {
  return new CommitOffsets<T>(new ItemRecorder(tracker, sourceOrOptions));
}

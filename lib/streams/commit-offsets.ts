import { Writable } from 'node:stream';
import type { OffsetTracker } from '../tracker/offset-tracker.js';
import { Attachment } from './attachment.js';
import { ItemRecorder } from './item-recorder.js';
import type { CommitEvent, OffsetStreamOptions } from './stream-options.js';

/** What listeners of an {@link OffsetWritable} are given. */
interface OffsetWritableEvents {
  /** After each commit that landed for a source of this stream. */
  commit: [commit: CommitEvent];
  error: [error: Error];
}

/** The Writable of {@link commitOffsets} and of {@link transactionalSink}, with its `'commit'` events. */
export interface OffsetWritable extends Writable {
  on<E extends keyof OffsetWritableEvents>(
    event: E,
    listener: (...args: OffsetWritableEvents[E]) => void,
  ): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once<E extends keyof OffsetWritableEvents>(
    event: E,
    listener: (...args: OffsetWritableEvents[E]) => void,
  ): this;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node's own signature
  once(event: string | symbol, listener: (...args: any[]) => void): this;
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
  const recorder = new ItemRecorder<T>(tracker, sourceOrOptions);
  const attachment = new Attachment(recorder);
  const stream = new Writable({
    objectMode: true,
    highWaterMark: recorder.highWaterMark,
    write(item: T, _encoding, callback) {
      let recorded: boolean | undefined | Promise<boolean | undefined>;
      try {
        recorded = recorder.record(item);
      } catch (error) {
        callback(error as Error);
        return;
      }
      if (typeof recorded !== 'object') callback();
      else recorded.then(() => callback(), callback);
    },
    final: (callback) => attachment.finish(callback),
    destroy: (error, callback) => attachment.destroy(error, callback),
  });
  attachment.attach(stream);
  return stream;
}

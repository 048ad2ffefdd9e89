import type { Transform, Writable } from 'node:stream';
import { abortError, type ItemRecorder } from './item-recorder.js';

/** The two ends of a stream that records. */
export interface Attachment {
  /** For `_flush` and `_final`. */
  finish(callback: (error?: Error | null) => void): void;
  /** For `_destroy`. */
  destroy(error: Error | null, callback: (error?: Error | null) => void): void;
}

/** Joins a stream to its recorder: `'commit'` events, the abort signal, and the commits at the end. */
export function attach<T>(stream: Transform | Writable, recorder: ItemRecorder<T>): Attachment {
  const { signal } = recorder;
  const detach = recorder.onCommit((source, offset) => {
    if (recorder.owns(source)) stream.emit('commit', { source, offset });
  });
  const abort = (): void => {
    stream.destroy(abortError(signal!));
  };
  // Not at once: the stream is still under construction.
  if (signal?.aborted === true) process.nextTick(abort);
  else signal?.addEventListener('abort', abort, { once: true });

  let finished = false;
  return {
    finish(callback) {
      recorder.finish().then(
        () => {
          finished = true;
          callback();
        },
        (error: unknown) => callback(error as Error),
      );
    },
    destroy(error, callback) {
      const end = (): void => {
        detach();
        signal?.removeEventListener('abort', abort);
        callback(error);
      };
      if (finished) end();
      else void recorder.drain().then(end);
    },
  };
}

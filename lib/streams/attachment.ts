import type { Writable } from 'node:stream';
import { abortError, type ItemRecorder } from './item-recorder.js';

type Callback = (error?: Error | null) => void;

/**
 * What joins a stream to its recorder, the way of the items aside: `'commit'` events, the abort signal, and the
 * commits at the end. Those need two hooks of the stream: `_flush` and `_final` do not run at an error, an abort or
 * a destroy, and `_destroy` runs too late to hold `'end'` and `'finish'` back.
 */
export class Attachment<T> {
  readonly #recorder: ItemRecorder<T>;
  #detach = (): void => undefined;

  constructor(recorder: ItemRecorder<T>) {
    this.#recorder = recorder;
  }

  /** Once, with the stream whose hooks call the methods below. */
  attach(stream: Writable): void {
    const recorder = this.#recorder;
    const { signal } = recorder;
    const endCommits = recorder.onCommit((source, offset) => {
      if (recorder.owns(source)) stream.emit('commit', { source, offset });
    });
    const abort = (): void => {
      stream.destroy(abortError(signal!));
    };
    this.#detach = () => {
      endCommits();
      signal?.removeEventListener('abort', abort);
    };
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  }

  /** For `_flush` and `_final`. */
  finish(callback: Callback): void {
    this.#recorder.finish().then(
      () => callback(),
      (error: unknown) => callback(error as Error),
    );
  }

  /** For `_destroy`; after a clean end, which calls it too, there is nothing left to commit. */
  destroy(error: Error | null, callback: Callback): void {
    void this.#recorder.drain().then(() => {
      this.#detach();
      callback(error);
    });
  }
}

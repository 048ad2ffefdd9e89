import type { Writable } from 'node:stream';
import { Offset } from '../offset.js';
import { abortError, type CommitEvent } from './stream-options.js';

type Callback = (error?: Error | null) => void;

/** Told of a commit that landed. The offset is the committer's own: whoever gives it away copies it. */
export type CommitListener = (source: string, offset: Offset) => void;

/** What a stream is joined to: how its items' offsets are committed, and what of that its hooks call. */
export interface Recorder {
  readonly signal: AbortSignal | undefined;
  /** Calls back after each commit that landed for a source of the stream; gives the function that ends that. */
  onCommit(listener: CommitListener): () => void;
  /** At a clean end. */
  finish(): Promise<void>;
  /** When the stream is destroyed; after a clean end too. An error is the stream's where it has none yet. */
  drain(error: Error | null): Promise<void>;
}

/**
 * What joins a stream to its recorder, the way of the items aside: `'commit'` events, the abort signal, and the
 * commits at the end. Those need two hooks of the stream: `_flush` and `_final` do not run at an error, an abort or
 * a destroy, and `_destroy` runs too late to hold `'end'` and `'finish'` back.
 */
export class Attachment {
  readonly #recorder: Recorder;
  #detach = (): void => undefined;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  /** Once, with the stream whose hooks call the methods below. */
  attach(stream: Writable): void {
    const { signal } = this.#recorder;
    const endCommits = this.#recorder.onCommit((source, offset) => {
      if (stream.listenerCount('commit') === 0) return;
      emitSafely(stream, 'commit', { source, offset: Offset.from(offset) } satisfies CommitEvent);
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
    this.#recorder.drain(error).then(
      () => {
        this.#detach();
        callback(error);
      },
      (failure: unknown) => {
        this.#detach();
        callback(error ?? (failure as Error));
      },
    );
  }
}

/** Emits for the caller's listeners: a mistake of theirs must not pass for a failed commit. */
export function emitSafely(stream: Writable, event: string, message: object): void {
  try {
    stream.emit(event, message);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

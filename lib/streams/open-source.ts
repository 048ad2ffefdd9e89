import type { Readable } from 'node:stream';
import { argumentTypeError } from '../validate.js';

/** What a loop reads from, and closes when it is left before the end. */
export interface OpenSource<T> {
  /** The next item. Called again only once the last call was answered. */
  next(): Promise<IteratorResult<T, unknown>>;
  /**
   * Closes it. Resolves when that is done; but an iterator that has not answered `next()` is only told, and not
   * waited for, since its answer may never come. A source that has ended by itself is left alone.
   */
  close(): Promise<void>;
}

/**
 * Refuses what cannot be iterated.
 *
 * @throws TypeError
 */
export function assertIterable(
  iterable: unknown,
): asserts iterable is Iterable<unknown> | AsyncIterable<unknown> {
  const given = iterable as Partial<Iterable<unknown> & AsyncIterable<unknown>> | null | undefined;
  if (typeof given?.[Symbol.asyncIterator] === 'function' || typeof given?.[Symbol.iterator] === 'function')
    return;
  throw argumentTypeError(
    '`iterable` to be an iterable or async iterable: an array, a generator, a Readable, a ReadableStream',
    iterable,
  );
}

/**
 * Opens an iterable for reading. Streams are closed by their own means, because their iterators do not hear
 * `return()` before they have answered `next()`, which an idle stream never does.
 */
export function openSource<T>(iterable: Iterable<T> | AsyncIterable<T>): OpenSource<T> {
  if (isWebStream<T>(iterable)) return new WebSource(iterable);
  const { [Symbol.asyncIterator]: asynchronous } = iterable as Partial<AsyncIterable<T>>;
  const iterator = asynchronous?.call(iterable) ?? (iterable as Iterable<T>)[Symbol.iterator]();
  return new IteratorSource(iterator, isReadable(iterable) ? iterable : undefined);
}

class IteratorSource<T> implements OpenSource<T> {
  readonly #iterator: Iterator<T, unknown> | AsyncIterator<T, unknown>;
  readonly #readable: Readable | undefined;
  #asked = false;
  #over = false;

  constructor(iterator: Iterator<T, unknown> | AsyncIterator<T, unknown>, readable: Readable | undefined) {
    this.#iterator = iterator;
    this.#readable = readable;
  }

  async next(): Promise<IteratorResult<T, unknown>> {
    this.#asked = true;
    let result: IteratorResult<T, unknown>;
    try {
      result = await this.#iterator.next();
    } catch (error) {
      // An iterator that failed is over, and is not told to return.
      this.#over = true;
      throw error;
    } finally {
      this.#asked = false;
    }
    if (result.done === true) this.#over = true;
    return result;
  }

  async close(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#readable?.destroy();
    const returned = this.#iterator.return?.();
    if (!this.#asked) await returned;
    else Promise.resolve(returned).catch(() => undefined);
  }
}

class WebSource<T> implements OpenSource<T> {
  readonly #reader: ReadableStreamDefaultReader<T>;
  #over = false;

  constructor(stream: ReadableStream<T>) {
    this.#reader = stream.getReader();
  }

  async next(): Promise<IteratorResult<T, unknown>> {
    try {
      const result = await this.#reader.read();
      if (result.done) this.#end();
      return result;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#over) return;
    const cancelled = this.#reader.cancel();
    this.#end();
    await cancelled;
  }

  #end(): void {
    this.#over = true;
    this.#reader.releaseLock();
  }
}

// By shape, because streams may be of another realm or package.

function isReadable(value: unknown): value is Readable {
  const { pipe, destroy } = value as Partial<Readable>;
  return typeof pipe === 'function' && typeof destroy === 'function';
}

function isWebStream<T>(value: unknown): value is ReadableStream<T> {
  return typeof (value as Partial<ReadableStream<T>>).getReader === 'function';
}

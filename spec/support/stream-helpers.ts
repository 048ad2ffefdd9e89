import { setImmediate as turn } from 'node:timers/promises';
import type { Readable, Writable } from 'node:stream';
import { CommitStrategy } from '../../lib/commit-strategy.js';

/** One of each, with numbers at which several kinds of commit happen in a stream of ten items. */
export const STRATEGIES: ReadonlyArray<readonly [string, CommitStrategy]> = [
  ['auto', CommitStrategy.auto],
  ['periodic(3)', CommitStrategy.periodic(3)],
  ['periodic(1000)', CommitStrategy.periodic(1000)],
  ['periodic(1000, { maxDelayMs })', CommitStrategy.periodic(1000, { maxDelayMs: 60_000 })],
  ['interval', CommitStrategy.interval(60_000)],
  ['eager', CommitStrategy.eager],
  ['manual', CommitStrategy.manual],
];

/** Goes on once the condition holds; the test's time limit is what ends it when it never does. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** Lets everything happen that needs no time to pass. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 20; n++) await turn();
}

/** Resolves when the stream emitted `'close'`, whatever its error was. */
export function closed(stream: Readable | Writable): Promise<void> {
  if (stream.closed) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once('close', resolve);
    stream.on('error', () => undefined);
  });
}

/** What the promise was rejected with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('Expected a rejection');
}

/** Real time, with a count of the timers that have neither fired nor been cleared, whoever set them. */
export class TimerCount {
  readonly #live = new Set<unknown>();
  readonly #setTimeout = globalThis.setTimeout;
  readonly #clearTimeout = globalThis.clearTimeout;

  /** Counts until `stop()`. */
  start(): void {
    const original = this.#setTimeout;
    const counted = (callback: () => void, ms?: number): NodeJS.Timeout => {
      const handle = original(() => {
        this.#live.delete(handle);
        callback();
      }, ms);
      this.#live.add(handle);
      return handle;
    };
    globalThis.setTimeout = counted as typeof globalThis.setTimeout;
    globalThis.clearTimeout = ((handle: NodeJS.Timeout) => {
      this.#live.delete(handle);
      this.#clearTimeout(handle);
    }) as typeof globalThis.clearTimeout;
  }

  stop(): void {
    globalThis.setTimeout = this.#setTimeout;
    globalThis.clearTimeout = this.#clearTimeout;
  }

  get live(): number {
    return this.#live.size;
  }
}

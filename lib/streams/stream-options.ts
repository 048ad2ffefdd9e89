import type { Offset } from '../offset.js';
import { OffsetTracker } from '../tracker/offset-tracker.js';
import { argumentTypeError, assertInteger, assertSignal, MAX_TIMER_MS } from '../validate.js';
import type { PlaceOptions } from './item-places.js';

/** What the streams of this library are told about the items that pass, and how they end. */
export interface OffsetStreamOptions<T> extends PlaceOptions<T> {
  /**
   * Destroys the stream with the signal's reason; what was recorded before is still committed. (A falsy reason
   * cannot be a stream's error: it is then the `cause` of an `AbortError`.)
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long the last commits may take when the stream is destroyed, in milliseconds, 1 … 2^31-1; then it closes
   * without them. A clean end waits for its commits, however long the tracker's `storeTimeoutMs` lets them take.
   * Default: 5,000.
   */
  readonly drainTimeoutMs?: number | undefined;
  /**
   * How many items the stream buffers on each side, an integer >= 0; the fewer, the fewer repeats after a crash.
   * Default: Node's, 16.
   */
  readonly highWaterMark?: number | undefined;
}

/** What a stream's `'commit'` event tells. */
export interface CommitEvent {
  /** The name of the source that was committed. */
  readonly source: string;
  /** Its committed offset now; the listener's own. */
  readonly offset: Offset;
}

/**
 * The options that a stream of a tracker was given, whole; each is checked where it is used.
 *
 * @throws TypeError for what is no tracker, or neither a source name nor options
 */
export function streamOptionsOf<O extends object>(tracker: OffsetTracker, sourceOrOptions: string | O): O {
  if (!(tracker instanceof OffsetTracker))
    throw argumentTypeError('`tracker` to be an OffsetTracker', tracker);
  // Every other option has a default.
  const options = typeof sourceOrOptions === 'string' ? ({ source: sourceOrOptions } as O) : sourceOrOptions;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw argumentTypeError('a source name or options with `source`', options);
  }
  return options;
}

/** The options that say how a stream buffers and ends. */
type EndOptions = Pick<OffsetStreamOptions<never>, 'signal' | 'drainTimeoutMs' | 'highWaterMark'>;

/**
 * How a stream buffers and ends, by its options or their defaults.
 *
 * @throws TypeError or RangeError
 */
export function checkedEndOptions({
  signal,
  drainTimeoutMs = 5_000,
  highWaterMark,
}: EndOptions): EndOptions & { readonly drainTimeoutMs: number } {
  assertSignal(signal);
  assertInteger('drainTimeoutMs', drainTimeoutMs, 1, MAX_TIMER_MS);
  if (highWaterMark !== undefined) assertInteger('highWaterMark', highWaterMark, 0);
  return { signal, drainTimeoutMs, highWaterMark };
}

/** What aborts a stream: the signal's reason, save where that would pass for none. */
export function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  // Node takes anything that is truthy for a stream's error, though its types do not.
  if (reason) return reason as Error;
  return Object.assign(new Error('The operation was aborted', { cause: reason }), {
    name: 'AbortError',
    code: 'ABORT_ERR',
  });
}

import { argumentTypeError, assertInteger, assertOptions, MAX_TIMER_MS } from './validate.js';

/**
 * When recorded offsets become committed ones. After a crash, at most the items that were recorded and not
 * committed, and those whose work was under way, are seen again; so the strategy sets the bound of repeats.
 */
export type CommitStrategy =
  | { readonly kind: 'auto' }
  | { readonly kind: 'periodic'; readonly n: number; readonly maxDelayMs?: number }
  | { readonly kind: 'interval'; readonly ms: number }
  | { readonly kind: 'eager' }
  | { readonly kind: 'manual' };

/** The second argument of {@link CommitStrategy.periodic}. */
export interface PeriodicOptions {
  /** Commit also this many milliseconds after the first pending record, 1 … 2^31-1. Default: no such limit. */
  readonly maxDelayMs?: number | undefined;
}

const auto = Object.freeze({ kind: 'auto' }) as CommitStrategy;
const eager = Object.freeze({ kind: 'eager' }) as CommitStrategy;
const manual = Object.freeze({ kind: 'manual' }) as CommitStrategy;

function periodic(n: number, options?: PeriodicOptions): CommitStrategy {
  assertInteger('n', n, 1);
  assertOptions('options', options);
  const maxDelayMs = options?.maxDelayMs;
  if (maxDelayMs === undefined) return Object.freeze({ kind: 'periodic', n });
  assertInteger('maxDelayMs', maxDelayMs, 1, MAX_TIMER_MS);
  return Object.freeze({ kind: 'periodic', n, maxDelayMs });
}

function interval(ms: number): CommitStrategy {
  assertInteger('ms', ms, 1, MAX_TIMER_MS);
  return Object.freeze({ kind: 'interval', ms });
}

/**
 * What makes commit strategies. The type of the same name is what it makes.
 *
 * @namespace
 */
export const CommitStrategy = Object.freeze({
  /** The default: `record()` resolves once its offset is committed. Repeats after a crash: the item in hand. */
  auto,
  /**
   * Every `n` records of a source, and `maxDelayMs` after the first pending one where that is given.
   * Repeats after a crash: up to `n`, the item in hand included, while commits succeed; with `maxDelayMs` up to
   * 2n-1, for a commit that the time began is not waited for.
   *
   * @param n - a positive integer; the n-th record resolves once committed, the others at once
   * @throws TypeError or RangeError
   * @example
   * ```ts
   * CommitStrategy.periodic(1000, { maxDelayMs: 500 });
   * ```
   */
  periodic,
  /**
   * By time alone: `ms` after the first pending record of a source, idle streams included. Repeats after a
   * crash: what the stream does in `ms` and two commits, the one before and the one under way.
   *
   * @param ms - 1 … 2^31-1 milliseconds
   * @throws TypeError or RangeError
   */
  interval,
  /**
   * Never waits: one commit per source is in flight while anything is pending, and the newest offset wins.
   * Repeats after a crash: what the stream does during two commits.
   */
  eager,
  /** Only `commit()` and `commitAll()`. Repeats after a crash: all since the last of those. */
  manual,
});

/**
 * The checked strategy of an option; a copy, so that later changes to the argument change nothing.
 *
 * @internal
 * @throws TypeError for what is no strategy, RangeError for one whose numbers are out of range
 */
export function checkedStrategy(value: unknown): CommitStrategy {
  const given = value as Partial<Record<'kind' | 'n' | 'maxDelayMs' | 'ms', unknown>> | null | undefined;
  switch (typeof given === 'object' ? given?.kind : undefined) {
    case 'auto':
      return auto;
    case 'eager':
      return eager;
    case 'manual':
      return manual;
    case 'periodic':
      return periodic(given?.n as number, { maxDelayMs: given?.maxDelayMs as number | undefined });
    case 'interval':
      return interval(given?.ms as number);
    default:
      throw argumentTypeError(
        '`strategy` to be CommitStrategy.auto, .periodic(n), .interval(ms), .eager or .manual',
        // Of an object, its kind says most.
        typeof given === 'object' ? (given?.kind ?? value) : value,
      );
  }
}

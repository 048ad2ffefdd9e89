import type { Checkpoint } from './checkpoint.js';
import type { Metadata } from './metadata.js';
import type { Offset } from './offset.js';

/** What goes with a commit. */
export interface CommitOptions {
  /**
   * The epoch that the committer works under, an integer >= 0. The commit is refused with `FencedError` unless it is
   * the source's own; 0 is the epoch of a source that was never reset, cleared or claimed. Default: not fenced.
   */
  readonly epoch?: number | undefined;
  /**
   * Kept with the offset, in place of what was kept before. A commit without it drops that, unless its offset is
   * the committed one.
   */
  readonly metadata?: Metadata | undefined;
  /** Commit even where the offset lies before the committed one. Default: false. */
  readonly allowRegression?: boolean | undefined;
}

/** One source's part of a {@link OffsetStore.commitMany}. */
export interface CommitEntry extends CommitOptions {
  /** The name of the source. */
  readonly source: string;
  /** What becomes its committed offset. */
  readonly offset: Offset;
}

/**
 * Where offsets are kept. Anybody can write one: the first five methods are enough, and
 * `testOffsetStore()` of `streamweave-offset/testing` tells whether it holds this contract.
 *
 * What every method holds to:
 *
 * - A promise that resolves means durable: whatever the store promises to survive, the change survives.
 *   One that rejects means that nothing was changed, save where the code is `OFFSET_DURABILITY_UNKNOWN`.
 * - Source names are any well-formed strings of 1 to 1024 bytes without U+0000, told apart byte for byte.
 *   Others are refused with a TypeError or RangeError, as are options of the wrong type and epochs that are no
 *   integers >= 0; what is no offset with `OFFSET_INVALID`; metadata that could not be given back as it was with
 *   `OFFSET_SERIALIZATION`. Every refusal is a rejection, never a throw, and changes nothing.
 * - Offsets, metadata, entries and Maps are copied in and out: what the caller changes once the call was made, or
 *   in what it was given, the store does not see.
 * - Calls that overlap take effect in any order, each as a whole. A read that begins after a commit has
 *   resolved sees it, or what came later.
 * - Errors are `OffsetError`s that carry the `source` they are about; the original is their `cause`.
 * - From the call of `close()` on, every call but `close()` itself rejects with `ClosedError`; calls made before
 *   are finished, and then `close()` resolves.
 */
export interface OffsetStore {
  /** The committed offset; undefined only when there is none. */
  get(source: string): Promise<Offset | undefined>;

  /**
   * Makes the offset the source's committed one. In this order: an `epoch` other than the source's is
   * `FencedError`; an offset before the committed one, where the two have an order, is `InvalidOffsetError`
   * `OFFSET_BEHIND` that names both, unless `allowRegression`; the committed offset again, with no other metadata,
   * is a no-op that leaves `committedAt`. Offsets without an order replace one another.
   * Check and change are one step, whoever else commits at the same time.
   *
   * @example
   * ```ts
   * await store.commit('orders', Offset.sequence(41), { epoch, metadata: { file: 'orders-7.csv' } });
   * ```
   */
  commit(source: string, offset: Offset, options?: CommitOptions): Promise<void>;

  /** The committed offset of every source that has one. */
  getAll(): Promise<Map<string, Offset>>;

  /** Forgets the source's offset and metadata and, where there are epochs, raises its epoch, which stays. */
  clear(source: string): Promise<void>;

  /** Clears every source that the store knows, those without an offset included. */
  clearAll(): Promise<void>;

  /**
   * Optional. Commits all entries or none; the rules are those of `commit`, and a source that stands in
   * several entries has them applied in order. Arguments may be checked before anything else; of the entries that
   * what is stored refuses, the error is that of the first.
   *
   * @example
   * ```ts
   * await store.commitMany([
   *   { source: 'orders', offset: Offset.sequence(41) },
   *   { source: 'refunds', offset: Offset.sequence(7), epoch: 2 },
   * ]);
   * ```
   */
  commitMany?(entries: Iterable<CommitEntry>): Promise<void>;

  /** Optional. The source's checkpoint; undefined when it has no offset. */
  inspect?(source: string): Promise<Checkpoint | undefined>;

  /** Optional. The checkpoint of every source that has an offset. */
  inspectAll?(): Promise<Map<string, Checkpoint>>;

  /**
   * Optional; a store that has `inspect`, `inspectAll`, `reset` or `claim` has it. The source's epoch: of a
   * cleared source too, which keeps its epoch; 0 for one never seen. A store without it keeps no epochs, and is
   * given none to commit under.
   */
  epoch?(source: string): Promise<number>;

  /** Optional. Sets the offset, forward or back, drops the metadata, raises the epoch, and gives the new epoch. */
  reset?(source: string, offset: Offset): Promise<number>;

  /**
   * Optional. Raises the source's epoch and gives the new one; the offset, if any, stays. The claimant
   * commits under it, and whoever worked under an earlier one is refused from now on.
   *
   * @example
   * ```ts
   * const epoch = await store.claim('orders');
   * await store.commit('orders', Offset.sequence(42), { epoch });
   * ```
   */
  claim?(source: string): Promise<number>;

  /** Optional. Finishes the calls made before and lets go of what the store holds; a second call does nothing more. */
  close?(): Promise<void>;
}

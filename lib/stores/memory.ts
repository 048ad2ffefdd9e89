import type { Checkpoint } from '../checkpoint.js';
import { ClosedError } from '../errors.js';
import { Offset, type OffsetInput } from '../offset.js';
import type { CommitEntry, CommitOptions, OffsetStore } from '../offset-store.js';
import { argumentTypeError, assertSource } from '../validate.js';
import {
  applyClaim,
  applyClear,
  applyCommit,
  applyReset,
  checkCommit,
  checkEntries,
  copyOut,
  type SourceState,
} from './commit-rules.js';

/**
 * Keeps offsets in this process's memory: for tests, and for sources that start over with the process.
 * It has every capability of the OffsetStore contract, and is its plainest reading.
 *
 * @example
 * ```ts
 * const store = new InMemoryOffsetStore(new Map([['orders', Offset.sequence(41)]]));
 * const tracker = new OffsetTracker(store);
 * ```
 */
export class InMemoryOffsetStore implements OffsetStore {
  readonly #states = new Map<string, SourceState>();
  #closed = false;

  /**
   * Keeps nothing at first, or copies of the offsets that it is given.
   *
   * @param initial - offsets to begin with, as a Map, other entries, or a plain object
   * @throws TypeError, RangeError or InvalidOffsetError for what cannot be one
   */
  constructor(
    initial: Iterable<readonly [string, OffsetInput]> | Readonly<Record<string, OffsetInput>> = [],
  ) {
    if (typeof initial !== 'object' || initial === null) {
      throw argumentTypeError('`initial` to be a Map, entries or an object of offsets', initial);
    }
    const entries = Symbol.iterator in initial ? initial : Object.entries(initial);
    for (const [source, offset] of entries) {
      assertSource(source);
      this.#states.set(source, { offset: Offset.from(offset), epoch: 0, committedAt: new Date() });
    }
  }

  async get(source: string): Promise<Offset | undefined> {
    const offset = this.#state(source)?.offset;
    return offset === undefined ? undefined : Offset.from(offset);
  }

  async commit(source: string, offset: OffsetInput, options?: CommitOptions): Promise<void> {
    this.#assertOpen();
    // Arguments first: a getter or an iterator of the caller's must not run between the reading and the writing.
    const checked = checkCommit(offset, options);
    const current = this.#state(source);
    const next = applyCommit(source, current, checked);
    if (next !== current) this.#states.set(source, next);
  }

  async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
    this.#assertOpen();
    const commits = checkEntries(entries);
    const changed = new Map<string, SourceState>();
    for (const { source, commit } of commits) {
      const current = changed.get(source) ?? this.#state(source);
      const next = applyCommit(source, current, commit);
      if (next !== current) changed.set(source, next);
    }
    for (const [source, state] of changed) this.#states.set(source, state);
  }

  async getAll(): Promise<Map<string, Offset>> {
    return new Map(Array.from(this.#checkpoints(), ([source, checkpoint]) => [source, checkpoint.offset]));
  }

  async inspect(source: string): Promise<Checkpoint | undefined> {
    return copyOut(this.#state(source));
  }

  async inspectAll(): Promise<Map<string, Checkpoint>> {
    return new Map(this.#checkpoints());
  }

  async epoch(source: string): Promise<number> {
    return this.#state(source)?.epoch ?? 0;
  }

  async reset(source: string, offset: OffsetInput): Promise<number> {
    this.#assertOpen();
    const checked = Offset.from(offset);
    const next = applyReset(this.#state(source), checked);
    this.#states.set(source, next);
    return next.epoch;
  }

  async claim(source: string): Promise<number> {
    const next = applyClaim(this.#state(source));
    this.#states.set(source, next);
    return next.epoch;
  }

  async clear(source: string): Promise<void> {
    this.#states.set(source, applyClear(this.#state(source)));
  }

  async clearAll(): Promise<void> {
    this.#assertOpen();
    for (const [source, state] of this.#states) this.#states.set(source, applyClear(state));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError('This InMemoryOffsetStore was closed; make a new one');
  }

  #state(source: string): SourceState | undefined {
    this.#assertOpen();
    assertSource(source);
    return this.#states.get(source);
  }

  *#checkpoints(): Generator<[string, Checkpoint]> {
    this.#assertOpen();
    for (const [source, state] of this.#states) {
      const checkpoint = copyOut(state);
      if (checkpoint !== undefined) yield [source, checkpoint];
    }
  }
}

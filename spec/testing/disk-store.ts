import type { Checkpoint } from '../../lib/checkpoint.js';
import { ClosedError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import type { CommitEntry, CommitOptions, OffsetStore } from '../../lib/offset-store.js';
import {
  applyClaim,
  applyClear,
  applyCommit,
  applyReset,
  checkCommit,
  copyOut,
  type SourceState,
} from '../../lib/stores/commit-rules.js';
import { assertSource } from '../../lib/validate.js';

/** What several stores may stand on: the states, and the end of the queue of those who work on them. */
export class Disk {
  readonly states = new Map<string, SourceState>();
  #tail: Promise<unknown> = Promise.resolve();

  turn<T>(work: (states: Map<string, SourceState>) => T): Promise<T> {
    const mine = this.#tail.then(() => work(this.states));
    this.#tail = mine.catch(() => undefined);
    return mine;
  }

  async idle(): Promise<void> {
    await this.#tail;
  }
}

const now = (): Date => new Date();

/** A store that holds the contract, in memory that outlives it, made to be broken by subclasses. */
export class DiskStore implements OffsetStore {
  protected closed = false;

  constructor(readonly disk: Disk = new Disk()) {}

  async get(source: string): Promise<Offset | undefined> {
    this.check(source);
    return this.disk.turn((states) => copyOut(states.get(source))?.offset);
  }

  async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
    this.check(source);
    const commit = checkCommit(offset, options);
    await this.disk.turn((states) =>
      states.set(source, applyCommit(source, states.get(source), commit, now)),
    );
  }

  async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
    this.assertOpen();
    const checked = [...entries].map((entry) => {
      this.check(entry.source);
      return { source: entry.source, commit: checkCommit(entry.offset, entry) };
    });
    await this.disk.turn((states) => {
      const changed = new Map<string, SourceState>();
      for (const { source, commit } of checked) {
        changed.set(source, applyCommit(source, changed.get(source) ?? states.get(source), commit, now));
      }
      for (const [source, state] of changed) states.set(source, state);
    });
  }

  async getAll(): Promise<Map<string, Offset>> {
    return new Map(Array.from(await this.inspectAll(), ([source, { offset }]) => [source, offset]));
  }

  async inspect(source: string): Promise<Checkpoint | undefined> {
    this.check(source);
    return this.disk.turn((states) => copyOut(states.get(source)));
  }

  async inspectAll(): Promise<Map<string, Checkpoint>> {
    this.assertOpen();
    return this.disk.turn((states) => {
      const all = new Map<string, Checkpoint>();
      for (const [source, state] of states) {
        const checkpoint = copyOut(state);
        if (checkpoint !== undefined) all.set(source, checkpoint);
      }
      return all;
    });
  }

  async epoch(source: string): Promise<number> {
    this.check(source);
    return this.disk.turn((states) => states.get(source)?.epoch ?? 0);
  }

  async reset(source: string, offset: Offset): Promise<number> {
    this.check(source);
    const checked = Offset.from(offset);
    return this.change(source, (state) => applyReset(state, checked, now));
  }

  async claim(source: string): Promise<number> {
    this.check(source);
    return this.change(source, applyClaim);
  }

  async clear(source: string): Promise<void> {
    this.check(source);
    await this.change(source, applyClear);
  }

  async clearAll(): Promise<void> {
    this.assertOpen();
    await this.disk.turn((states) => {
      for (const [source, state] of states) states.set(source, applyClear(state));
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.disk.idle();
  }

  protected assertOpen(): void {
    if (this.closed) throw new ClosedError('This store was closed');
  }

  protected check(source: string): void {
    this.assertOpen();
    assertSource(source);
  }

  protected change(source: string, apply: (state: SourceState | undefined) => SourceState): Promise<number> {
    return this.disk.turn((states) => {
      const next = apply(states.get(source));
      states.set(source, next);
      return next.epoch;
    });
  }
}

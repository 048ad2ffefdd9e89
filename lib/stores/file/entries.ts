import type { SourceState } from '../commit-rules.js';

/** What is kept for one source, and the line that says it. */
export interface Entry {
  readonly source: string;
  readonly line: string;
  /** The length of the line in bytes. */
  readonly size: number;
  readonly state: SourceState;
}

/**
 * The entries of a file in their order. Never changed once made. A commit changes few of many and removes
 * none, so the new list shares with the old one the index, and copies it only where a source is new.
 */
export class Entries {
  static readonly NONE = new Entries([], new Map());

  readonly list: readonly Entry[];
  readonly #index: ReadonlyMap<string, number>;

  private constructor(list: readonly Entry[], index: ReadonlyMap<string, number>) {
    this.list = list;
    this.#index = index;
  }

  /** Of a source that stands there more than once, the last entry. */
  static of(list: readonly Entry[]): Entries {
    const index = new Map<string, number>();
    for (const { source } of list) index.set(source, index.size);
    return index.size === list.length ? new Entries(list, index) : Entries.NONE.with(list);
  }

  get size(): number {
    return this.list.length;
  }

  get(source: string): Entry | undefined {
    const at = this.#index.get(source);
    return at === undefined ? undefined : this.list[at];
  }

  /** The same list with these entries in the place of those of their sources, or at the end. */
  with(changes: Iterable<Entry>): Entries {
    const list = this.list.slice();
    let index = this.#index;
    let added: Map<string, number> | undefined;
    for (const entry of changes) {
      const at = index.get(entry.source);
      if (at !== undefined) {
        list[at] = entry;
        continue;
      }
      added ??= new Map(index);
      index = added;
      added.set(entry.source, list.push(entry) - 1);
    }
    return new Entries(list, index);
  }

  sources(): string[] {
    return this.list.map(({ source }) => source);
  }
}

/** What the stores in SQL databases have in common: the contract's methods, over a table of offsets. */
import type { Checkpoint } from '../checkpoint.js';
import { Offset, type OffsetInput } from '../offset.js';
import type { CommitEntry, CommitOptions, OffsetStore } from '../offset-store.js';
import { assertSource, quote } from '../validate.js';
import { checkCommit, checkEntries, copyOut, type SourceCommit } from './commit-rules.js';
import { decodeEpoch, decodeRow, loadSerializer, needsSerializer, rowNeedsSerializer } from './row.js';
import type { SqlTable } from './sql-table.js';

/** What was asked of the database, for the words of an error. */
export interface SqlCall {
  /** Such as `Commit of source "a"`. */
  readonly what: string;
  readonly source?: string | undefined;
  /** Whether the database changes by it. */
  readonly writes: boolean;
  /** Whether superjson has to be loaded first. */
  readonly serializer?: boolean | undefined;
}

/** The offsets in a table, whichever way its statements come to be run. */
export abstract class SqlOffsets implements OffsetStore {
  /** Runs the work, and wraps what it throws. */
  protected abstract run<R>(call: SqlCall, work: (table: SqlTable) => R | Promise<R>): Promise<R>;
  /** Makes all commits or none; of those refused, the first gives the error. */
  protected abstract runMany(call: SqlCall, commits: readonly SourceCommit[]): Promise<void>;
  protected abstract assertOpen(): void;

  async get(source: string): Promise<Offset | undefined> {
    this.#check(source);
    const row = await this.run(reading(source), (table) => table.row(source));
    return row === undefined ? undefined : decodeRow(source, row).offset;
  }

  async commit(source: string, offset: OffsetInput, options?: CommitOptions): Promise<void> {
    this.#check(source);
    const commit = checkCommit(offset, options);
    const serializer = needsSerializer(commit.metadata);
    const call = { what: `Commit of source ${quote(source)}`, source, writes: true, serializer };
    return this.run(call, (table) => table.commit({ source, commit }));
  }

  async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
    this.assertOpen();
    const commits = checkEntries(entries);
    if (commits.length === 0) return;
    const serializer = commits.some(({ commit }) => needsSerializer(commit.metadata));
    const call = { what: `Commit of ${commits.length} entries`, writes: true, serializer };
    await this.runMany(call, commits);
  }

  async getAll(): Promise<Map<string, Offset>> {
    this.assertOpen();
    const all = new Map<string, Offset>();
    for (const row of await this.run(LISTING, (table) => table.rows())) {
      const { offset } = decodeRow(row.source, row);
      if (offset !== undefined) all.set(row.source, offset);
    }
    return all;
  }

  async inspect(source: string): Promise<Checkpoint | undefined> {
    this.#check(source);
    const row = await this.run(reading(source), (table) => table.rowWithMetadata(source));
    if (row === undefined) return undefined;
    if (rowNeedsSerializer(row)) await loadSerializer();
    return copyOut(decodeRow(source, row));
  }

  async inspectAll(): Promise<Map<string, Checkpoint>> {
    this.assertOpen();
    const rows = await this.run(LISTING, (table) => table.rowsWithMetadata());
    if (rows.some(rowNeedsSerializer)) await loadSerializer();
    const all = new Map<string, Checkpoint>();
    for (const row of rows) {
      const checkpoint = copyOut(decodeRow(row.source, row));
      if (checkpoint !== undefined) all.set(row.source, checkpoint);
    }
    return all;
  }

  async epoch(source: string): Promise<number> {
    this.#check(source);
    const row = await this.run(reading(source), (table) => table.row(source));
    return row === undefined ? 0 : decodeEpoch(source, row.epoch);
  }

  async reset(source: string, offset: OffsetInput): Promise<number> {
    this.#check(source);
    const checked = Offset.from(offset);
    const call = { what: `Reset of source ${quote(source)}`, source, writes: true };
    return this.run(call, (table) => table.reset(source, checked));
  }

  async claim(source: string): Promise<number> {
    this.#check(source);
    const call = { what: `Claim of source ${quote(source)}`, source, writes: true };
    return this.run(call, (table) => table.claim(source));
  }

  async clear(source: string): Promise<void> {
    this.#check(source);
    const call = { what: `Clear of source ${quote(source)}`, source, writes: true };
    return this.run(call, (table) => table.clear(source));
  }

  async clearAll(): Promise<void> {
    this.assertOpen();
    return this.run({ what: 'Clear of all sources', writes: true }, (table) => table.clearAll());
  }

  #check(source: string): void {
    this.assertOpen();
    assertSource(source);
  }
}

export const ENSURING: SqlCall = { what: 'Making the table of offsets', writes: true };
export const TRANSACTION: SqlCall = { what: 'The transaction', writes: true };
const LISTING: SqlCall = { what: 'Reading all sources', writes: false };

function reading(source: string): SqlCall {
  return { what: `Reading source ${quote(source)}`, source, writes: false };
}

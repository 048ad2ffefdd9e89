import { OffsetIoError } from '../../errors.js';
import { messageOf } from '../../failures.js';
import type { Offset } from '../../offset.js';
import { quote } from '../../validate.js';
import type { SourceCommit } from '../commit-rules.js';
import { decodeEpoch, encodeMetadata, encodePosition, type StoredRow } from '../row.js';
import {
  applied,
  conditionOfChange,
  FORGOTTEN,
  type ListedRow,
  MAX_TRIES,
  otherTableError,
  REPLACED,
  type SqlTable,
  stateOf,
  stubbornError,
} from '../sql-table.js';
import { quoteName, type TableName } from '../table-name.js';
import { inTransaction, type SqliteDatabase, type SqliteStatement, type SqliteValue } from './client.js';
import { isBusy } from './failures.js';

const COLUMN_TYPES = {
  source: 'TEXT NOT NULL PRIMARY KEY',
  epoch: 'INTEGER NOT NULL DEFAULT 0',
  kind: 'TEXT',
  position: 'TEXT',
  metadata: 'TEXT',
  committed_at: 'INTEGER',
};

const changed = conditionOfChange('IS NOT');

/** How many commits go into one statement. */
const MAX_AT_ONCE = 10_000;

/**
 * The table of offsets on one connection. Everything in here is one statement, or a few that nobody comes between,
 * since drivers for SQLite are synchronous; it throws what the driver throws.
 */
export class SqliteTable implements SqlTable {
  readonly #database: SqliteDatabase;
  readonly #name: TableName;
  readonly #statements = new Map<string, SqliteStatement>();
  #found = false;

  constructor(database: SqliteDatabase, name: TableName) {
    this.#database = database;
    this.#name = name;
  }

  /** The SQL that makes the table where it is not there. */
  static schema({ quoted }: TableName): string {
    const columns = Object.entries(COLUMN_TYPES).map(([name, type]) => `  ${name} ${type}`);
    return `CREATE TABLE IF NOT EXISTS ${quoted} (\n${columns.join(',\n')}\n) WITHOUT ROWID;\n`;
  }

  /**
   * Makes the table where it is not there, and checks the one that is.
   *
   * @throws OffsetIoError when it cannot be made; OffsetSerializationError `OFFSET_CORRUPT` when it is another table
   */
  ensure(): void {
    if (this.#found) return;
    let columns = this.#columns();
    if (columns.length === 0) {
      try {
        this.#database.exec(SqliteTable.schema(this.#name));
      } catch (error) {
        // A lock that is held passes.
        if (isBusy(error)) throw error;
        throw new OffsetIoError(
          `The table ${quote(this.#name.quoted)} is not there and could not be made: ${messageOf(error)}. Where this ` +
            'process may not make it, run the SQL of schema() as somebody who may',
          { cause: error },
        );
      }
      columns = this.#columns();
    }
    const missing = Object.keys(COLUMN_TYPES).filter((name) => !columns.includes(name));
    if (missing.length > 0) throw otherTableError(this.#name, `has no column ${missing.join(', no ')}`);
    try {
      this.#commitStatement(undefined, false);
    } catch (error) {
      throw otherTableError(this.#name, 'cannot be committed to', error);
    }
    // What is made in a transaction may yet be unmade.
    this.#found = inTransaction(this.#database) === false;
  }

  #columns(): unknown[] {
    const { schema, table } = this.#name;
    const rows =
      schema === undefined
        ? this.#prepare('SELECT name FROM pragma_table_info(?)').all(table)
        : this.#prepare('SELECT name FROM pragma_table_info(?, ?)').all(table, schema);
    return rows.map((row) => (row as { readonly name: unknown }).name);
  }

  #prepare(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }

  /** One value of `PRAGMA` for the schema of the table. */
  pragma(name: string): unknown {
    const schema = this.#name.schema === undefined ? '' : `${quoteName(this.#name.schema)}.`;
    const [row] = this.#database.prepare(`PRAGMA ${schema}${name}`).all();
    return Object.values(row ?? {})[0];
  }

  /** Whether the table is in a file; else there is nothing that outlives the process. */
  isInFile(): boolean {
    const schema = this.#name.schema ?? 'main';
    const databases = this.#database.prepare('PRAGMA database_list').all() as ReadonlyArray<
      Readonly<Record<string, unknown>>
    >;
    return databases.some(({ name, file }) => name === schema && typeof file === 'string' && file !== '');
  }

  /** The row without its metadata, which only those who ask for it pay for. */
  row(source: string): StoredRow | undefined {
    const [row] = this.#prepare(
      `SELECT epoch, kind, position, committed_at AS committedAt FROM ${this.#name.quoted} WHERE source = ?`,
    ).all(source);
    return row as StoredRow | undefined;
  }

  rowWithMetadata(source: string): StoredRow | undefined {
    const [row] = this.#prepare(
      `SELECT epoch, kind, position, metadata, committed_at AS committedAt FROM ${this.#name.quoted} WHERE source = ?`,
    ).all(source);
    return row as StoredRow | undefined;
  }

  /** The rows of all sources that have an offset. */
  rows(): ListedRow[] {
    return this.#prepare(
      `SELECT source, epoch, kind, position, committed_at AS committedAt FROM ${this.#name.quoted} WHERE kind IS NOT NULL`,
    ).all() as ListedRow[];
  }

  rowsWithMetadata(): ListedRow[] {
    return this.#prepare(
      `SELECT source, epoch, kind, position, metadata, committed_at AS committedAt FROM ${this.#name.quoted} ` +
        'WHERE kind IS NOT NULL',
    ).all() as ListedRow[];
  }

  /**
   * The rules of a commit as one statement, so that they hold whoever else commits. Where it changes no row, the
   * source is at another epoch, or the offset lies before the committed one, or is that again.
   */
  #commitStatement(epoch: number | undefined, allowRegression: boolean): SqliteStatement {
    const table = this.#name.quoted;
    // A source that is not there is at epoch 0, and one at another epoch is there.
    const values =
      epoch !== undefined && epoch > 0
        ? `SELECT ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM ${table} WHERE source = ? AND epoch = ?)`
        : 'VALUES (?, ?, ?, ?, ?)';
    return this.#prepare(
      `INSERT INTO ${table} AS old (source, kind, position, metadata, committed_at) ${values} ` +
        `ON CONFLICT (source) DO UPDATE SET ${REPLACED} WHERE ${changed(allowRegression)}` +
        (epoch === 0 ? ' AND old.epoch = 0' : ''),
    );
  }

  /** @throws FencedError, InvalidOffsetError `OFFSET_BEHIND` */
  commit(one: SourceCommit): void {
    const { source, commit } = one;
    const { offset, epoch, metadata, allowRegression } = commit;
    const text = metadata === undefined ? null : encodeMetadata(source, metadata);
    const values: SqliteValue[] = [source, offset.kind, encodePosition(offset), text, Date.now()];
    if (epoch !== undefined && epoch > 0) values.push(source, epoch);
    const statement = this.#commitStatement(epoch, allowRegression);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (Number(statement.run(...values).changes) > 0) return;
      // The statement has decided; the row only tells why. If it does not, the source has changed since: once more.
      const row = this.rowWithMetadata(source);
      const current = stateOf(source, row);
      if (applied(one, current, row?.metadata) === current) return;
    }
    throw stubbornError(one);
  }

  /** @returns the new epoch */
  reset(source: string, offset: Offset): number {
    return this.#raise(
      source,
      `INSERT INTO ${this.#name.quoted} AS old (source, epoch, kind, position, committed_at) VALUES (?, 1, ?, ?, ?) ` +
        'ON CONFLICT (source) DO UPDATE SET epoch = old.epoch + 1, kind = excluded.kind, position = excluded.position, ' +
        'metadata = NULL, committed_at = excluded.committed_at RETURNING epoch',
      [source, offset.kind, encodePosition(offset), Date.now()],
    );
  }

  /** @returns the new epoch */
  claim(source: string): number {
    return this.#raise(
      source,
      `INSERT INTO ${this.#name.quoted} AS old (source, epoch) VALUES (?, 1) ` +
        'ON CONFLICT (source) DO UPDATE SET epoch = old.epoch + 1 RETURNING epoch',
      [source],
    );
  }

  clear(source: string): void {
    this.#raise(
      source,
      `INSERT INTO ${this.#name.quoted} AS old (source, epoch) VALUES (?, 1) ON CONFLICT (source) DO UPDATE SET ` +
        `epoch = old.epoch + 1, ${FORGOTTEN} RETURNING epoch`,
      [source],
    );
  }

  #raise(source: string, sql: string, values: readonly SqliteValue[]): number {
    // All rows are asked for, though there is one: the statement ends only with its last.
    const [row] = this.#prepare(sql).all(...values);
    return decodeEpoch(source, (row as StoredRow | undefined)?.epoch);
  }

  clearAll(): void {
    this.#prepare(`UPDATE ${this.#name.quoted} SET epoch = epoch + 1, ${FORGOTTEN}`).run();
  }

  begin(): void {
    this.#prepare('BEGIN IMMEDIATE').run();
  }

  end(): void {
    this.#prepare('COMMIT').run();
  }

  /** Never fails: what could not be rolled back was rolled back by SQLite, or ends with the connection. */
  rollBack(): void {
    if (inTransaction(this.#database) === false) return;
    try {
      this.#prepare('ROLLBACK').run();
    } catch {
      // The error that led here tells more.
    }
  }

  /**
   * All commits or none, within the transaction that is open.
   *
   * @throws as {@link commit}, for the first of those refused
   */
  commitMany(commits: readonly SourceCommit[]): void {
    this.#atomically(() => {
      for (let from = 0; from < commits.length; from += MAX_AT_ONCE) {
        const some = commits.slice(from, from + MAX_AT_ONCE);
        // Some were refused, or were no change: one by one they tell.
        if (!this.#commitAtOnce(some)) for (const each of some) this.commit(each);
      }
      return true;
    });
  }

  /** One statement for all, which costs half; false, and nothing is done, when not each of them changed its row. */
  #commitAtOnce(commits: readonly SourceCommit[]): boolean {
    const distinct = new Set(commits.map(({ source }) => source)).size === commits.length;
    if (!distinct || commits.some(({ commit }) => commit.allowRegression)) return false;
    const table = this.#name.quoted;
    const rows = commits.map(({ source, commit: { offset, epoch, metadata } }) => [
      source,
      offset.kind,
      encodePosition(offset),
      metadata === undefined ? null : encodeMetadata(source, metadata),
      epoch ?? null,
    ]);
    const field = (index: number): string => `json_extract(entry.value, '$[${index}]')`;
    const epoch = `coalesce((SELECT epoch FROM ${table} WHERE source = ${field(0)}), 0)`;
    return this.#atomically(() => {
      const { changes } = this.#prepare(
        `INSERT INTO ${table} AS old (source, kind, position, metadata, committed_at) ` +
          `SELECT ${field(0)}, ${field(1)}, ${field(2)}, ${field(3)}, ? FROM json_each(?) AS entry ` +
          `WHERE ${field(4)} IS NULL OR ${field(4)} = ${epoch} ` +
          `ON CONFLICT (source) DO UPDATE SET ${REPLACED} WHERE ${changed(false)}`,
      ).run(Date.now(), JSON.stringify(rows));
      return Number(changes) === commits.length;
    });
  }

  /** All of the work's changes, or none when it throws or gives false; within the transaction that is open. */
  #atomically(work: () => boolean): boolean {
    this.#prepare('SAVEPOINT streamweave_offset').run();
    let done = false;
    try {
      done = work();
    } catch (error) {
      try {
        this.#undo();
      } catch {
        // SQLite has rolled the whole transaction back already, as it does when the disk is full.
      }
      throw error;
    }
    if (done) this.#prepare('RELEASE streamweave_offset').run();
    else this.#undo();
    return done;
  }

  #undo(): void {
    this.#prepare('ROLLBACK TO streamweave_offset').run();
    this.#prepare('RELEASE streamweave_offset').run();
  }
}

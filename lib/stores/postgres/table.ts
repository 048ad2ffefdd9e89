import { OffsetIoError } from '../../errors.js';
import { messageOf } from '../../failures.js';
import type { Offset } from '../../offset.js';
import { quote } from '../../validate.js';
import type { SourceCommit, SourceState } from '../commit-rules.js';
import { decodeEpoch, decodeRow, encodeMetadata, encodePosition, type StoredRow } from '../row.js';
import {
  applied,
  type ListedRow,
  MAX_TRIES,
  otherTableError,
  type SqlTable,
  stateOf,
  stubbornError,
} from '../sql-table.js';
import type { PostgresValue } from './client.js';
import type { Query, Statement } from './drivers.js';
import { isRefusal, RefusedSignal, sqlStateOf } from './failures.js';
import { COLUMNS, type Statements } from './statements.js';

/** The table of offsets, on a connection. It throws what the connection throws. */
export class PostgresTable implements SqlTable {
  readonly #statements: Statements;
  readonly #query: Query;

  constructor(statements: Statements, query: Query) {
    this.#statements = statements;
    this.#query = query;
  }

  /**
   * Makes the table where it is not there, and checks the one that is.
   *
   * @throws OffsetIoError when it cannot be made; OffsetSerializationError `OFFSET_CORRUPT` when it is another table
   */
  async ensure(): Promise<void> {
    const { schema } = this.#statements;
    let columns = await this.#columns();
    if (columns.size === 0) {
      try {
        await this.#query(schema);
      } catch (error) {
        // Another process made it in the same moment, and the server sees that late.
        if (!isRefusal(error)) throw error;
        if (!['23505', '42P07', '42710'].includes(sqlStateOf(error) ?? '')) throw this.#notMade(error);
      }
      columns = await this.#columns();
      if (columns.size === 0) throw this.#notMade(new Error('it was made, and yet it is not there'));
    }
    const missing = Object.keys(COLUMNS).filter((name) => !columns.has(name));
    if (missing.length > 0)
      throw otherTableError(this.#statements.table, `has no column ${missing.join(', no ')}`);
    for (const [name, [, type]] of Object.entries(COLUMNS)) {
      const found = columns.get(name)!.type;
      if (found !== type)
        throw otherTableError(
          this.#statements.table,
          `has a column ${name} of type ${found}, and not ${type}`,
        );
    }
    if (!columns.get('source')!.unique) {
      throw otherTableError(
        this.#statements.table,
        'has neither a primary key nor a unique index on the column source alone',
      );
    }
  }

  async #columns(): Promise<Map<string, { type: string; unique: boolean }>> {
    const { rows } = await this.#query(
      'SELECT a.attname::text, format_type(a.atttypid, NULL), EXISTS (SELECT FROM pg_index AS i ' +
        'WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL ' +
        'AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)::text ' +
        'FROM pg_attribute AS a WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped',
      [this.#statements.table.quoted],
    );
    return new Map(
      rows.map(([name, type, unique]) => [
        String(name),
        { type: String(type), unique: unique === 'true' || unique === true },
      ]),
    );
  }

  #notMade(error: unknown): unknown {
    const reasons: Readonly<Record<string, string>> = {
      '25006':
        'The server is a replica, or its transactions are read-only: run the SQL of schema() on the primary',
      '42501': 'Run the SQL of schema() as somebody who may make it',
      '3F000': 'Make the schema first, or choose another with the option `table`',
    };
    return new OffsetIoError(
      `The table ${quote(this.#statements.table.quoted)} is not there and could not be made: ${messageOf(error)}. ` +
        (reasons[sqlStateOf(error) ?? ''] ??
          'Where this user may not make it, run the SQL of schema() as somebody who may'),
      { cause: error },
    );
  }

  async row(source: string): Promise<StoredRow | undefined> {
    const {
      rows: [row],
    } = await this.#query(this.#statements.row(), [source]);
    return row === undefined ? undefined : storedRow(row);
  }

  async rowWithMetadata(source: string): Promise<StoredRow | undefined> {
    const {
      rows: [row],
    } = await this.#query(this.#statements.rowWithMetadata(), [source]);
    return row === undefined ? undefined : storedRow(row);
  }

  async rows(): Promise<ListedRow[]> {
    return (await this.#query(this.#statements.rows())).rows.map(listedRow);
  }

  async rowsWithMetadata(): Promise<ListedRow[]> {
    return (await this.#query(this.#statements.rowsWithMetadata())).rows.map(listedRow);
  }

  async commit(one: SourceCommit): Promise<void> {
    const { source, commit } = one;
    const { offset, epoch, metadata, allowRegression } = commit;
    const text = metadata === undefined ? null : encodeMetadata(source, metadata);
    const values: PostgresValue[] = [source, offset.kind, encodePosition(offset), text];
    if (epoch !== undefined && epoch > 0) values.push(String(epoch));
    const statement = this.#statements.commit(epoch, allowRegression);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if ((await this.#query(statement, values)).count === 1) return;
      // The statement has decided; the row only tells why. If it does not, the source has changed since: once more.
      const row = await this.rowWithMetadata(source);
      const current = stateOf(source, row);
      if (applied(one, current, row?.metadata) === current) return;
    }
    throw stubbornError(one);
  }

  /**
   * Makes the commits, within a transaction or savepoint that undoes those made where it throws.
   *
   * @throws RefusedSignal when one of them was refused; {@link judge} tells which
   */
  async commitMany(commits: readonly SourceCommit[]): Promise<void> {
    for (const round of rounds(commits)) {
      for (const group of groups(round)) await this.#commitAtOnce(group);
    }
  }

  async #commitAtOnce(commits: readonly SourceCommit[]): Promise<void> {
    // All who commit many lock their rows in one order, so that none waits for another who waits for it.
    const sorted = commits.toSorted((a, b) => (a.source < b.source ? -1 : 1));
    const { epoch, allowRegression } = sorted[0]!.commit;
    const { count } = await this.#query(this.#statements.commitMany(epoch !== undefined, allowRegression), [
      arrayLiteral(sorted.map(({ source }) => source)),
      arrayLiteral(sorted.map(({ commit }) => String(commit.epoch ?? 0))),
      arrayLiteral(sorted.map(({ commit }) => commit.offset.kind)),
      arrayLiteral(sorted.map(({ commit }) => encodePosition(commit.offset))),
      arrayLiteral(
        sorted.map(({ source, commit: { metadata } }) =>
          metadata === undefined ? null : encodeMetadata(source, metadata),
        ),
      ),
    ]);
    if (count === sorted.length) return;
    // Some were refused, or were no change. All rows are locked by now, so what they tell stays so.
    const states = await this.#statesOf(sorted);
    for (const one of sorted) {
      const { state, metadata } = states.get(one.source) ?? {};
      let unchanged: boolean;
      try {
        unchanged = applied(one, state, metadata) === state;
      } catch (error) {
        throw new RefusedSignal('refused', { cause: error });
      }
      if (!unchanged) throw new RefusedSignal('changed meanwhile');
    }
  }

  /**
   * Looks why {@link commitMany} gave up, and resolves when there is no reason any more, to try again.
   *
   * @throws FencedError, InvalidOffsetError `OFFSET_BEHIND`, for the first of those refused
   */
  async judge(commits: readonly SourceCommit[], tries: number): Promise<void> {
    const states = await this.#statesOf(commits);
    const after = new Map<string, SourceState | undefined>();
    for (const one of commits) {
      const { source } = one;
      const current = after.has(source) ? after.get(source) : states.get(source)?.state;
      after.set(source, applied(one, current, states.get(source)?.metadata));
    }
    if (tries >= MAX_TRIES) throw stubbornError(commits[0]!);
  }

  async #statesOf(
    commits: readonly SourceCommit[],
  ): Promise<Map<string, { readonly state: SourceState; readonly metadata: unknown }>> {
    const sources = [...new Set(commits.map(({ source }) => source))];
    const { rows } = await this.#query(this.#statements.rowsOf(), [arrayLiteral(sources)]);
    return new Map(
      rows
        .map(listedRow)
        .map((row) => [
          row.source,
          { state: decodeRow(row.source, { ...row, metadata: null }), metadata: row.metadata },
        ]),
    );
  }

  async reset(source: string, offset: Offset): Promise<number> {
    return this.#raise(source, this.#statements.reset(), [source, offset.kind, encodePosition(offset)]);
  }

  async claim(source: string): Promise<number> {
    return this.#raise(source, this.#statements.claim(), [source]);
  }

  async clear(source: string): Promise<void> {
    await this.#raise(source, this.#statements.clear(), [source]);
  }

  async #raise(source: string, statement: Statement, values: PostgresValue[]): Promise<number> {
    const {
      rows: [row],
    } = await this.#query(statement, values);
    return decodeEpoch(source, row?.[0]);
  }

  async clearAll(): Promise<void> {
    await this.#query(this.#statements.clearAll());
  }
}

function storedRow([epoch, kind, position, committedAt, metadata]: readonly unknown[]): StoredRow {
  return { epoch, kind, position, committedAt, metadata };
}

function listedRow([source, ...row]: readonly unknown[]): ListedRow {
  return { source: source as string, ...storedRow(row) };
}

/** The commits such that each of their sources is in a round once: the n-th of a source is in the n-th. */
function rounds(commits: readonly SourceCommit[]): SourceCommit[][] {
  const all: SourceCommit[][] = [];
  const counts = new Map<string, number>();
  for (const one of commits) {
    const count = counts.get(one.source) ?? 0;
    counts.set(one.source, count + 1);
    (all[count] ??= []).push(one);
  }
  return all;
}

/** The commits that one statement can make: fenced or not, and with or without `allowRegression`. */
function groups(commits: readonly SourceCommit[]): SourceCommit[][] {
  const all = new Map<string, SourceCommit[]>();
  for (const one of commits) {
    const key = `${one.commit.epoch !== undefined} ${one.commit.allowRegression}`;
    const group = all.get(key);
    if (group === undefined) all.set(key, [one]);
    else group.push(one);
  }
  return [...all.values()];
}

/** An array as Postgres reads it from text. */
function arrayLiteral(values: readonly (string | null)[]): string {
  const items = values.map((value) => (value === null ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`));
  return `{${items.join(',')}}`;
}

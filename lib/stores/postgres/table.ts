import { createHash } from 'node:crypto';
import { OffsetIoError } from '../../errors.js';
import type { Offset } from '../../offset.js';
import { messageOf } from '../../failures.js';
import { quote } from '../../validate.js';
import type { SourceState } from '../commit-rules.js';
import { decodeEpoch, decodeRow, encodeMetadata, encodePosition, type StoredRow } from '../row.js';
import {
  applied,
  conditionOfChange,
  FORGOTTEN,
  type ListedRow,
  MAX_TRIES,
  otherTableError,
  REPLACED,
  type SourceCommit,
  type SqlTable,
  stateOf,
  stubbornError,
} from '../sql-table.js';
import type { TableName } from '../table-name.js';
import type { PostgresValue } from './client.js';
import type { Query, Statement } from './drivers.js';
import { isRefusal, RefusedSignal, sqlStateOf } from './failures.js';

/** The columns: what they are made as, and what the server then says that they are. */
const COLUMNS: Readonly<Record<string, readonly [definition: string, type: string]>> = {
  source: ['text COLLATE "C" NOT NULL PRIMARY KEY', 'text'],
  epoch: ['bigint NOT NULL DEFAULT 0', 'bigint'],
  kind: ['text COLLATE "C"', 'text'],
  position: ['text COLLATE "C"', 'text'],
  metadata: ['text COLLATE "C"', 'text'],
  committed_at: ['timestamptz(3)', 'timestamp with time zone'],
};

const changed = conditionOfChange('IS DISTINCT FROM', ' COLLATE "C"');

const COMMITTED_AT_MS = 'round(extract(epoch FROM committed_at) * 1000)::bigint::text';

/** The statements on a table. Drivers prepare each once for a connection, by its name. */
export class Statements {
  readonly table: TableName;
  readonly #all = new Map<string, Statement>();

  constructor(table: TableName) {
    this.table = table;
  }

  /** The SQL that makes the table where it is not there. */
  get schema(): string {
    const columns = Object.entries(COLUMNS).map(([name, [definition]]) => `  ${name} ${definition}`);
    return `CREATE TABLE IF NOT EXISTS ${this.table.quoted} (\n${columns.join(',\n')}\n);\n`;
  }

  /** The rules of a commit as one statement, so that they hold whoever else commits. */
  commit(epoch: number | undefined, allowRegression: boolean): Statement {
    if (epoch === undefined || epoch === 0) {
      return this.#statement(
        `INSERT INTO ${this.table.quoted} AS old (source, kind, position, metadata, committed_at) ` +
          'VALUES ($1::text, $2::text, $3::text, $4::text, clock_timestamp()) ' +
          `ON CONFLICT (source) DO UPDATE SET ${REPLACED} WHERE ${changed(allowRegression)}` +
          (epoch === 0 ? ' AND old.epoch = 0' : '') +
          ' RETURNING true',
      );
    }
    // A source that is not there is at epoch 0, and one at another epoch is there.
    return this.#statement(
      `UPDATE ${this.table.quoted} AS old SET ${REPLACED} ` +
        'FROM (SELECT $1::text AS source, $2::text AS kind, $3::text AS position, $4::text AS metadata, ' +
        'clock_timestamp() AS committed_at) AS excluded ' +
        `WHERE old.source = excluded.source AND old.epoch = $5::bigint AND ${changed(allowRegression)} RETURNING true`,
    );
  }

  /** The same for any number of sources, each of which is given once. */
  commitMany(fenced: boolean, allowRegression: boolean): Statement {
    const table = this.table.quoted;
    return this.#statement(
      `INSERT INTO ${table} AS old (source, epoch, kind, position, metadata, committed_at) ` +
        'SELECT new.source, new.epoch, new.kind, new.position, new.metadata, clock_timestamp() ' +
        'FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[]) ' +
        'AS new (source, epoch, kind, position, metadata) ' +
        `WHERE new.epoch = 0 OR new.epoch = (SELECT epoch FROM ${table} AS known WHERE known.source = new.source) ` +
        `ON CONFLICT (source) DO UPDATE SET ${REPLACED} WHERE ${changed(allowRegression)}` +
        (fenced ? ' AND old.epoch = excluded.epoch' : '') +
        ' RETURNING source',
    );
  }

  row(): Statement {
    return this.#statement(
      `SELECT epoch::text, kind, position, ${COMMITTED_AT_MS} FROM ${this.table.quoted} WHERE source = $1::text`,
    );
  }

  rowWithMetadata(): Statement {
    return this.#statement(
      `SELECT epoch::text, kind, position, ${COMMITTED_AT_MS}, metadata FROM ${this.table.quoted} ` +
        'WHERE source = $1::text',
    );
  }

  rowsOf(): Statement {
    return this.#statement(
      `SELECT source, epoch::text, kind, position, ${COMMITTED_AT_MS}, metadata FROM ${this.table.quoted} ` +
        'WHERE source = ANY ($1::text[])',
    );
  }

  rows(): Statement {
    return this.#statement(
      `SELECT source, epoch::text, kind, position, ${COMMITTED_AT_MS} FROM ${this.table.quoted} ` +
        'WHERE kind IS NOT NULL',
    );
  }

  rowsWithMetadata(): Statement {
    return this.#statement(
      `SELECT source, epoch::text, kind, position, ${COMMITTED_AT_MS}, metadata FROM ${this.table.quoted} ` +
        'WHERE kind IS NOT NULL',
    );
  }

  reset(): Statement {
    return this.#statement(
      `INSERT INTO ${this.table.quoted} AS old (source, epoch, kind, position, committed_at) ` +
        'VALUES ($1::text, 1, $2::text, $3::text, clock_timestamp()) ' +
        `ON CONFLICT (source) DO UPDATE SET epoch = old.epoch + 1, ${REPLACED} RETURNING epoch::text`,
    );
  }

  claim(): Statement {
    return this.#statement(
      `INSERT INTO ${this.table.quoted} AS old (source, epoch) VALUES ($1::text, 1) ` +
        'ON CONFLICT (source) DO UPDATE SET epoch = old.epoch + 1 RETURNING epoch::text',
    );
  }

  clear(): Statement {
    return this.#statement(
      `INSERT INTO ${this.table.quoted} AS old (source, epoch) VALUES ($1::text, 1) ` +
        `ON CONFLICT (source) DO UPDATE SET epoch = old.epoch + 1, ${FORGOTTEN} RETURNING epoch::text`,
    );
  }

  /** Rows are locked in the order in which commits of many sources lock them. */
  clearAll(): Statement {
    const table = this.table.quoted;
    return this.#statement(
      `WITH known AS (SELECT source FROM ${table} ORDER BY source COLLATE "C" FOR UPDATE) ` +
        `UPDATE ${table} AS old SET epoch = old.epoch + 1, ${FORGOTTEN} FROM known WHERE old.source = known.source`,
    );
  }

  #statement(text: string): Statement {
    let statement = this.#all.get(text);
    if (statement === undefined) {
      // Two versions of this library, and two stores, may share a connection.
      const name = `streamweave_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
      this.#all.set(text, (statement = { name, text }));
    }
    return statement;
  }
}

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
    const rows = await this.#query(
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
    const [row] = await this.#query(this.#statements.row(), [source]);
    return row === undefined ? undefined : storedRow(row);
  }

  async rowWithMetadata(source: string): Promise<StoredRow | undefined> {
    const [row] = await this.#query(this.#statements.rowWithMetadata(), [source]);
    return row === undefined ? undefined : storedRow(row);
  }

  async rows(): Promise<ListedRow[]> {
    return (await this.#query(this.#statements.rows())).map(listedRow);
  }

  async rowsWithMetadata(): Promise<ListedRow[]> {
    return (await this.#query(this.#statements.rowsWithMetadata())).map(listedRow);
  }

  async commit(one: SourceCommit): Promise<void> {
    const { source, commit } = one;
    const { offset, epoch, metadata, allowRegression } = commit;
    const text = metadata === undefined ? null : encodeMetadata(source, metadata);
    const values: PostgresValue[] = [source, offset.kind, encodePosition(offset), text];
    if (epoch !== undefined && epoch > 0) values.push(String(epoch));
    const statement = this.#statements.commit(epoch, allowRegression);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if ((await this.#query(statement, values)).length > 0) return;
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
    const written = await this.#query(this.#statements.commitMany(epoch !== undefined, allowRegression), [
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
    if (written.length === sorted.length) return;
    // The others were refused, or were no change. Their rows are locked by now, so what they tell stays so.
    const done = new Set(written.map(([source]) => source));
    const rest = sorted.filter(({ source }) => !done.has(source));
    const states = await this.#statesOf(rest);
    for (const one of rest) {
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
    const rows = await this.#query(this.#statements.rowsOf(), [arrayLiteral(sources)]);
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
    const [row] = await this.#query(statement, values);
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

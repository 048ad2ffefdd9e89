/** The SQL of the table of offsets in Postgres. */
import { createHash } from 'node:crypto';
import { conditionOfChange, FORGOTTEN, REPLACED } from '../sql-table.js';
import type { TableName } from '../table-name.js';
import type { Statement } from './drivers.js';

/** The columns: what they are made as, and what the server then says that they are. */
export const COLUMNS: Readonly<Record<string, readonly [definition: string, type: string]>> = {
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

  /** The rules of a commit as one statement, so that they hold whoever else commits. It writes one row, or none. */
  commit(epoch: number | undefined, allowRegression: boolean): Statement {
    if (epoch === undefined || epoch === 0) {
      return this.#statement(
        `INSERT INTO ${this.table.quoted} AS old (source, kind, position, metadata, committed_at) ` +
          'VALUES ($1::text, $2::text, $3::text, $4::text, clock_timestamp()) ' +
          `ON CONFLICT (source) DO UPDATE SET ${REPLACED} WHERE ${changed(allowRegression)}` +
          (epoch === 0 ? ' AND old.epoch = 0' : ''),
      );
    }
    // A source that is not there is at epoch 0, and one at another epoch is there.
    return this.#statement(
      `UPDATE ${this.table.quoted} AS old SET ${REPLACED} ` +
        'FROM (SELECT $1::text AS source, $2::text AS kind, $3::text AS position, $4::text AS metadata, ' +
        'clock_timestamp() AS committed_at) AS excluded ' +
        `WHERE old.source = excluded.source AND old.epoch = $5::bigint AND ${changed(allowRegression)}`,
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
        (fenced ? ' AND old.epoch = excluded.epoch' : ''),
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

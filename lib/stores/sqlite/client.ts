/** What the drivers for SQLite have in common, by shape: none of them is imported. */

/** What is bound to a statement. */
export type SqliteValue = string | number | null;

/** A prepared statement, of whichever driver. */
export interface SqliteStatement {
  /** Runs it, and tells how many rows it changed. */
  run(...values: SqliteValue[]): { readonly changes: number | bigint };
  /** Runs it, and gives all its rows, as objects by the names of their columns. */
  all(...values: SqliteValue[]): unknown[];
}

/** A connection: that of better-sqlite3, libsql (its synchronous API) or node:sqlite. */
export interface SqliteDatabase {
  /** Runs SQL that gives no rows. */
  exec(sql: string): unknown;
  /** Prepares a statement, which is run any number of times. */
  prepare(sql: string): SqliteStatement;
}

/** Whether the connection is known to be closed. A statement of libsql's goes on writing after that. */
export function isClosed(database: SqliteDatabase): boolean {
  const { open, isOpen } = database as { readonly open?: unknown; readonly isOpen?: unknown };
  return open === false || isOpen === false;
}

/** Whether a transaction is open on the connection; undefined where the driver does not tell. */
export function inTransaction(database: SqliteDatabase): boolean | undefined {
  const { inTransaction, isTransaction } = database as {
    readonly inTransaction?: unknown;
    readonly isTransaction?: unknown;
  };
  if (typeof inTransaction === 'boolean') return inTransaction;
  return typeof isTransaction === 'boolean' ? isTransaction : undefined;
}

export function isDatabase(value: unknown): value is SqliteDatabase {
  const { exec, prepare } = (value ?? {}) as Partial<SqliteDatabase>;
  return typeof value === 'object' && typeof exec === 'function' && typeof prepare === 'function';
}

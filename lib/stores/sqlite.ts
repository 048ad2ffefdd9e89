import { setTimeout as delay } from 'node:timers/promises';
import { type Backoff, backoffMs } from '../backoff.js';
import { ClosedError, OffsetIoError } from '../errors.js';
import type { OffsetStore } from '../offset-store.js';
import type { TransactionalOffsetStore } from '../transactional-store.js';
import { argumentTypeError, assertInteger, assertOptions, MAX_TIMER_MS } from '../validate.js';
import type { SourceCommit } from './commit-rules.js';
import { loadSerializer } from './row.js';
import { RunningCalls } from './running-calls.js';
import { ENSURING, type SqlCall, SqlOffsets, TRANSACTION } from './sql.js';
import { inTransaction, isClosed, isDatabase, type SqliteDatabase } from './sqlite/client.js';
import { warnOfLoss } from './sqlite/durability.js';
import { isBusy, isTransient, wrapped } from './sqlite/failures.js';
import { SqliteTable } from './sqlite/table.js';
import { checkedTableName, type TableName } from './table-name.js';
import { Turns } from './turns.js';

export type { SqliteDatabase, SqliteStatement, SqliteValue } from './sqlite/client.js';

/** The options of a {@link SqliteOffsetStore}. */
export interface SqliteOffsetStoreOptions {
  /**
   * The table, made on first use where it is not there; with the schema of an attached database in front of a dot,
   * if need be. Any names, quoted for you. Default: `streamweave_offsets`.
   */
  readonly table?: string | undefined;
  /**
   * How long a call waits for a lock that another connection or process holds, and for a transaction on its own
   * connection to end, in milliseconds, 1 … 2^31-1. A `busy_timeout` of the connection comes before each try, and
   * blocks the process meanwhile; the store itself does not. Default: 5,000.
   */
  readonly lockTimeoutMs?: number | undefined;
}

/** The waits between tries where the database is locked. */
const BUSY: Backoff = { minDelayMs: 1, maxDelayMs: 50 };

/**
 * Keeps offsets in a table of a SQLite database, where outputs may live, too: then both change in one transaction,
 * and effects are exactly once.
 *
 * It takes the connection that you made, with `better-sqlite3`, `libsql` (its synchronous API) or `node:sqlite`, and
 * never closes it. Any number of processes may share the file, and any number of stores the connection. While
 * `transaction()` runs, the other calls of the stores on its connection wait; your own statements on that connection
 * do not, and become part of it, so give other work a connection of its own.
 *
 * Durability is the connection's: what `synchronous` promises is what a commit that resolved promises. Every setting
 * but OFF survives a crash of the process. For power loss set, on each connection, `PRAGMA journal_mode = WAL` and
 * `PRAGMA synchronous = FULL`; with a rollback journal that is deleted, SQLite's default, only `EXTRA` is enough.
 * `better-sqlite3` is built with NORMAL for WAL, which may lose the last commits; `libsql` and `node:sqlite` have
 * FULL. On first use a process warning (code `STREAMWEAVE_OFFSET_DURABILITY`) tells of settings that are not enough.
 * Network file systems are not supported, as SQLite says.
 *
 * A lock that another connection holds is waited for without blocking the process, for `lockTimeoutMs`; after that,
 * calls reject with `OffsetLockError` `OFFSET_LOCK_TIMEOUT`, having changed nothing.
 *
 * Errors, beside those of the OffsetStore contract: `OFFSET_IO` (a read-only database, a full disk, a table that is
 * missing and may not be made, what else SQLite refuses), `OFFSET_CORRUPT` (the table is another, a row is
 * damaged, or the file is), `OFFSET_DURABILITY_UNKNOWN` (the disk failed during a write), `OFFSET_CLOSED` (the
 * connection was closed); the driver's error is the `cause`.
 *
 * @example
 * ```ts
 * import Database from 'libsql';
 * import { SqliteOffsetStore } from 'streamweave-offset/sqlite';
 *
 * const database = new Database('orders.db');
 * database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
 * const store = new SqliteOffsetStore(database);
 *
 * await store.transaction(async (tx) => {
 *   tx.prepare('INSERT INTO invoices (id, total) VALUES (?, ?)').run(7, 42);
 *   await store.using(tx).commit('orders', Offset.sequence(7));
 * });
 * ```
 */
export class SqliteOffsetStore<Db extends SqliteDatabase = SqliteDatabase>
  extends SqlOffsets
  implements TransactionalOffsetStore<Db>
{
  readonly #database: Db;
  readonly #name: TableName;
  readonly #lockTimeoutMs: number;
  readonly #turns: Turns;
  readonly #tables = new WeakMap<SqliteDatabase, SqliteTable>();
  readonly #calls = new RunningCalls();
  #warned = false;
  #closed = false;
  #transactions = 0;

  /**
   * Checks its arguments, and runs nothing.
   *
   * @throws TypeError or RangeError for what is no connection or option
   */
  constructor(database: Db, options?: SqliteOffsetStoreOptions) {
    super();
    assertDatabase('database', database);
    assertOptions('options', options);
    const { table = 'streamweave_offsets', lockTimeoutMs = 5_000 } = options ?? {};
    assertInteger('lockTimeoutMs', lockTimeoutMs, 1, MAX_TIMER_MS);
    this.#database = database;
    this.#name = checkedTableName(table);
    this.#lockTimeoutMs = lockTimeoutMs;
    this.#turns = Turns.of(database);
  }

  /** The SQL that makes the table where it is not there, for migrations. */
  schema(): string {
    return SqliteTable.schema(this.#name);
  }

  /**
   * Makes the table where it is not there. Every call does this first; by itself it shows early what is wrong.
   *
   * @throws OffsetIoError when it is not there and cannot be made; OffsetSerializationError `OFFSET_CORRUPT` when the
   *   table of that name is another
   */
  async ensureSchema(): Promise<void> {
    this.assertOpen();
    await this.run(ENSURING, () => undefined);
  }

  /**
   * Runs the work in a transaction (`BEGIN IMMEDIATE`), with the connection. What it promises, see
   * {@link TransactionalOffsetStore.transaction}. Inside, commit through {@link using}: a call of the store itself
   * waits for the transaction to end, and fails after `lockTimeoutMs`. The work must be done with the connection
   * when its promise settles.
   *
   * @throws OffsetLockError when the lock could not be had in time; OffsetIoError
   */
  async transaction<R>(work: (tx: Db) => R | Promise<R>): Promise<R> {
    this.assertOpen();
    if (typeof work !== 'function') throw argumentTypeError('`work` to be a function', work);
    this.#transactions++;
    try {
      return await this.#calls.track(this.#inTurn(TRANSACTION, (table) => this.#transaction(table, work)));
    } finally {
      this.#transactions--;
    }
  }

  /**
   * The store inside a transaction on the connection: of {@link transaction}, or one that you began (`BEGIN
   * IMMEDIATE`: one that reads first and is not immediate may fail when it writes). Every call is made at once. A
   * call outside of an open transaction is refused with `ClosedError`, where the driver tells of it. The function
   * that a driver's own `transaction()` takes is no place for it: that does not wait for promises.
   *
   * @throws TypeError for what is no connection
   */
  using(tx: Db): OffsetStore {
    assertDatabase('tx', tx);
    return new SqliteTransactionOffsets(tx, this.#table(tx), () => {
      if (this.#transactions === 0) this.assertOpen();
    });
  }

  /** Whether the error is, or was caused by, a lock that another connection held (`SQLITE_BUSY`, `SQLITE_LOCKED`). */
  isTransient(error: unknown): boolean {
    return isTransient(error);
  }

  /** Finishes the calls made before. The connection stays open: whoever made it closes it. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#calls.ended();
  }

  protected assertOpen(): void {
    if (this.#closed) throw new ClosedError('This SqliteOffsetStore was closed; make a new one');
  }

  protected run<R>(call: SqlCall, work: (table: SqliteTable) => R | Promise<R>): Promise<R> {
    const running = this.#inTurn(call, (table) =>
      this.#untilFree(call, () => {
        this.#prepare(table);
        return work(table);
      }),
    );
    return this.#calls.track(running);
  }

  protected runMany(call: SqlCall, commits: readonly SourceCommit[]): Promise<void> {
    return this.run(call, (table) => {
      table.begin();
      try {
        table.commitMany(commits);
        table.end();
      } catch (error) {
        table.rollBack();
        throw error;
      }
    });
  }

  async #transaction<R>(table: SqliteTable, work: (tx: Db) => R | Promise<R>): Promise<R> {
    await this.#untilFree(TRANSACTION, () => {
      this.#prepare(table);
      table.begin();
    });
    try {
      const result = await work(this.#database);
      await this.#untilFree(TRANSACTION, () => table.end());
      return result;
    } catch (error) {
      table.rollBack();
      throw error;
    }
  }

  #prepare(table: SqliteTable): void {
    table.ensure();
    if (this.#warned) return;
    this.#warned = true;
    warnOfLoss(table);
  }

  #table(database: SqliteDatabase): SqliteTable {
    let table = this.#tables.get(database);
    if (table === undefined) this.#tables.set(database, (table = new SqliteTable(database, this.#name)));
    return table;
  }

  /** Has the connection to itself while the work goes on. */
  async #inTurn<R>(call: SqlCall, work: (table: SqliteTable) => R | Promise<R>): Promise<R> {
    if (call.serializer === true) await loadSerializer();
    const turn = this.#turns.take(this.#lockTimeoutMs, call);
    if (turn !== undefined) await turn;
    try {
      this.#assertUsable(call);
      const done = work(this.#table(this.#database));
      return done instanceof Promise ? await done : done;
    } finally {
      this.#turns.pass();
    }
  }

  #assertUsable({ what, source }: SqlCall): void {
    if (isClosed(this.#database)) {
      throw new ClosedError(`${what} failed: its connection was closed; make a new store on an open one`, {
        source,
      });
    }
    if (inTransaction(this.#database) === true) {
      throw new OffsetIoError(
        `${what} failed: a transaction is open on the connection that the store has not begun, and nothing would be ` +
          'durable before its end. Use using() inside a transaction, and another connection beside one',
        { source },
      );
    }
  }

  /** Does it, again and again while another connection holds the lock; a promise only where that is so. */
  #untilFree<R>(call: SqlCall, attempt: () => R | Promise<R>): R | Promise<R> {
    try {
      return attempt();
    } catch (error) {
      if (isBusy(error)) return this.#retry(call, attempt, error);
      throw wrapped(error, call, this.#database);
    }
  }

  async #retry<R>(call: SqlCall, attempt: () => R | Promise<R>, firstError: unknown): Promise<R> {
    const untilMs = performance.now() + this.#lockTimeoutMs;
    let busy = firstError;
    for (let retried = 0; performance.now() < untilMs; retried++) {
      await delay(backoffMs(BUSY, retried));
      try {
        return await attempt();
      } catch (error) {
        if (!isBusy(error)) throw wrapped(error, call, this.#database);
        busy = error;
      }
    }
    throw wrapped(busy, call, this.#database);
  }
}

/** The offsets inside a transaction of the caller's. */
class SqliteTransactionOffsets extends SqlOffsets {
  readonly #database: SqliteDatabase;
  readonly #table: SqliteTable;

  constructor(
    database: SqliteDatabase,
    table: SqliteTable,
    protected readonly assertOpen: () => void,
  ) {
    super();
    this.#database = database;
    this.#table = table;
  }

  protected async run<R>(call: SqlCall, work: (table: SqliteTable) => R | Promise<R>): Promise<R> {
    if (call.serializer === true) await loadSerializer();
    try {
      if (inTransaction(this.#database) === false) {
        throw new ClosedError(
          `${call.what} failed: no transaction is open on the connection that using() was given. Begin one before, and ` +
            'commit it only once this call has resolved',
          { source: call.source },
        );
      }
      this.#table.ensure();
      return await work(this.#table);
    } catch (error) {
      throw wrapped(error, call, this.#database);
    }
  }

  protected runMany(call: SqlCall, commits: readonly SourceCommit[]): Promise<void> {
    return this.run(call, (table) => table.commitMany(commits));
  }
}

function assertDatabase(name: string, value: unknown): void {
  if (!isDatabase(value)) {
    throw argumentTypeError(
      `\`${name}\` to be a connection of better-sqlite3, libsql or node:sqlite (exec() and prepare())`,
      value,
    );
  }
}

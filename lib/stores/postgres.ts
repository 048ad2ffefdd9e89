import { ClosedError } from '../errors.js';
import type { OffsetStore } from '../offset-store.js';
import type { TransactionalOffsetStore } from '../transactional-store.js';
import { argumentTypeError, assertInteger, assertOptions, MAX_TIMER_MS } from '../validate.js';
import type { SourceCommit } from './commit-rules.js';
import {
  isConnection,
  isPool,
  isPostgresJs,
  isStatements,
  type PostgresClient,
  type PostgresTransaction,
} from './postgres/client.js';
import { type Driver, driverOf, type Query } from './postgres/drivers.js';
import { isConflict, isTransient, RefusedSignal, wrapped } from './postgres/failures.js';
import { Statements } from './postgres/statements.js';
import { PostgresTable } from './postgres/table.js';
import { loadSerializer } from './row.js';
import { RunningCalls } from './running-calls.js';
import { ENSURING, type SqlCall, SqlOffsets, TRANSACTION } from './sql.js';
import type { SqlTable } from './sql-table.js';
import { checkedTableName } from './table-name.js';

export type {
  PgConnection,
  PgPool,
  PostgresClient,
  PostgresJsSql,
  PostgresJsStatements,
  PostgresTransaction,
  PostgresValue,
} from './postgres/client.js';

/** The options of a {@link PostgresOffsetStore}. */
export interface PostgresOffsetStoreOptions {
  /**
   * The table, made on first use where it is not there; with its schema in front of a dot, if need be. Any names,
   * quoted for you. Default: `streamweave_offsets`, in the first schema of the connection's `search_path`.
   */
  readonly table?: string | undefined;
  /**
   * Whether statements are prepared, once for each connection: faster. Set it to false behind a pooler that hands
   * out connections by the transaction and does not know of prepared statements (PgBouncer before version 1.21).
   * Default: true.
   */
  readonly prepare?: boolean | undefined;
  /**
   * On a Client of `pg`, which is a single connection: how long a call waits for a transaction of a store's on it to
   * end, in milliseconds, 1 … 2^31-1. Default: 30,000.
   */
  readonly lockTimeoutMs?: number | undefined;
}

/** How often a statement is run again that the server undid for another's sake. */
const MAX_CONFLICTS = 20;

/**
 * Keeps offsets in a table of a Postgres database, where outputs may live, too: then both change in one transaction,
 * and effects are exactly once.
 *
 * It takes the client that you made, and never ends it: a `Pool` of `pg`, or a connected `Client`, or the `sql` of
 * `postgres`. A Pool, or `sql`, is what a process wants: each call uses a connection for as long as its statement takes,
 * and one that was lost is replaced. Give it an `'error'` listener, as its documentation says. On a Client calls wait
 * for one another, and while `transaction()` runs on it, so do those of all stores on it; your own statements do not,
 * and become part of the transaction. Any number of processes may share the table.
 *
 * Every commit is one statement and one round trip; the server itself refuses what is fenced or behind. A commit that
 * resolved survives what the server's settings say: leave `fsync` and `synchronous_commit` on.
 *
 * When the connection is lost before the server answered, it is unknown whether a commit took effect: it rejects with
 * `OFFSET_DURABILITY_UNKNOWN`, and to make it once more is safe. What surely was not done rejects with `OFFSET_IO`. A
 * tracker with `retry` does both by itself.
 *
 * Errors, beside those of the OffsetStore contract: `OFFSET_IO` (the server is down, does not know the user, is a
 * replica, refuses; the table is missing and may not be made), `OFFSET_CORRUPT` (the table is another, or a row is
 * damaged), `OFFSET_DURABILITY_UNKNOWN`; the driver's error is the `cause`.
 *
 * @example
 * ```ts
 * import { Pool } from 'pg';
 * import { PostgresOffsetStore } from 'streamweave-offset/postgres';
 *
 * const pool = new Pool({ connectionString: process.env.DATABASE_URL });
 * pool.on('error', (error) => console.error('An idle connection was lost:', error.message));
 * const store = new PostgresOffsetStore(pool);
 *
 * await store.transaction(async (tx) => {
 *   await tx.query('INSERT INTO invoices (id, total) VALUES ($1, $2)', [7, 42]);
 *   await store.using(tx).commit('orders', Offset.sequence(7));
 * });
 * ```
 */
export class PostgresOffsetStore<Client extends PostgresClient = PostgresClient>
  extends SqlOffsets
  implements TransactionalOffsetStore<PostgresTransaction<Client>>
{
  readonly #driver: Driver;
  readonly #statements: Statements;
  readonly #calls = new RunningCalls();
  #found = false;
  #finding: Promise<void> | undefined;
  #closed = false;
  #transactions = 0;

  /**
   * Checks its arguments, and sends nothing.
   *
   * @throws TypeError or RangeError for what is no client or option
   */
  constructor(client: Client, options?: PostgresOffsetStoreOptions) {
    super();
    if (!isPool(client) && !isConnection(client) && !isPostgresJs(client)) {
      throw argumentTypeError('`client` to be a Pool or Client of pg, or the `sql` of postgres', client);
    }
    assertOptions('options', options);
    const { table = 'streamweave_offsets', prepare = true, lockTimeoutMs = 30_000 } = options ?? {};
    if (typeof prepare !== 'boolean') throw argumentTypeError('`prepare` to be a boolean', prepare);
    assertInteger('lockTimeoutMs', lockTimeoutMs, 1, MAX_TIMER_MS);
    this.#driver = driverOf(client, { prepare, lockTimeoutMs });
    this.#statements = new Statements(checkedTableName(table));
  }

  /** The SQL that makes the table where it is not there, for migrations. */
  schema(): string {
    return this.#statements.schema;
  }

  /**
   * Makes the table where it is not there. The first call of any method does this first; by itself it shows early
   * what is wrong. Any number of processes may do it at once.
   *
   * @throws OffsetIoError when it is not there and cannot be made; OffsetSerializationError `OFFSET_CORRUPT` when the
   *   table of that name is another
   */
  async ensureSchema(): Promise<void> {
    this.assertOpen();
    await this.#calls.track(this.#ensure());
  }

  /**
   * Runs the work in a transaction (`BEGIN`), with what its statements run on: of a Pool, a client; of a Client,
   * itself; of `postgres`, the `sql` of `sql.begin()`. What it promises, see
   * {@link TransactionalOffsetStore.transaction}. Inside, commit through {@link using}. The work must be done with
   * it when its promise settles.
   *
   * @throws OffsetIoError `OFFSET_DURABILITY_UNKNOWN` when the connection was lost during COMMIT; `OFFSET_IO`
   */
  async transaction<R>(work: (tx: PostgresTransaction<Client>) => R | Promise<R>): Promise<R> {
    this.assertOpen();
    if (typeof work !== 'function') throw argumentTypeError('`work` to be a function', work);
    return await this.#calls.track(this.#transaction(work));
  }

  /**
   * The store inside a transaction: of {@link transaction}, or one that you began yourself. Calls are made one after
   * another. A call outside of an open transaction is refused with `ClosedError`, where the driver tells of it.
   *
   * @throws TypeError for what no statement can be run on
   */
  using(tx: PostgresTransaction<Client>): OffsetStore {
    if (!isConnection(tx) && !isStatements(tx)) {
      throw argumentTypeError('`tx` to be what statements run on inside a transaction', tx);
    }
    return new PostgresTransactionOffsets({
      // What is under way in a transaction of the store's own is finished, though the store be closed.
      assertOpen: () => {
        if (this.#transactions === 0) this.assertOpen();
      },
      open: async (call) => {
        const query = this.#driver.within(tx, call);
        const table = this.#table(query);
        // What is made in a transaction may yet be unmade, and so is looked for again.
        if (!this.#found) await table.ensure();
        return { query, table };
      },
      tx,
    });
  }

  /**
   * Whether the error is, or was caused by, a serialization failure, a deadlock, or a connection that was lost or
   * could not be had; false for `OFFSET_DURABILITY_UNKNOWN`.
   */
  isTransient(error: unknown): boolean {
    return isTransient(error);
  }

  /** Finishes the calls made before. The client stays open: whoever made it ends it. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#calls.ended();
  }

  protected assertOpen(): void {
    if (this.#closed) throw new ClosedError('This PostgresOffsetStore was closed; make a new one');
  }

  protected run<R>(call: SqlCall, work: (table: SqlTable) => R | Promise<R>): Promise<R> {
    return this.#calls.track(this.#run(call, work));
  }

  protected runMany(call: SqlCall, commits: readonly SourceCommit[]): Promise<void> {
    return this.#calls.track(this.#runMany(call, commits));
  }

  async #transaction<R>(work: (tx: PostgresTransaction<Client>) => R | Promise<R>): Promise<R> {
    await this.#ensure();
    this.#transactions++;
    try {
      return await this.#driver.transaction(TRANSACTION, (tx) => work(tx as PostgresTransaction<Client>));
    } finally {
      this.#transactions--;
    }
  }

  async #run<R>(call: SqlCall, work: (table: PostgresTable) => R | Promise<R>): Promise<R> {
    if (call.serializer === true) await loadSerializer();
    if (!this.#found) await this.#ensure();
    return await this.#settled(call, false, () =>
      this.#driver.run(call, async (query) => work(this.#table(query))),
    );
  }

  async #runMany(call: SqlCall, commits: readonly SourceCommit[]): Promise<void> {
    if (call.serializer === true) await loadSerializer();
    if (!this.#found) await this.#ensure();
    for (let tries = 1; ; tries++) {
      try {
        await this.#settled(call, true, () =>
          this.#driver.transaction(call, (tx) =>
            this.#table(this.#driver.within(tx, call)).commitMany(commits),
          ),
        );
        return;
      } catch (error) {
        if (!(error instanceof RefusedSignal)) throw error;
        await this.#run({ ...call, writes: false }, (table) => table.judge(commits, tries));
      }
    }
  }

  /** Runs it again while the server undoes it for the sake of another's transaction: nothing has changed then. */
  async #settled<R>(call: SqlCall, within: boolean, attempt: () => Promise<R>): Promise<R> {
    for (let conflicts = 0; ; conflicts++) {
      try {
        return await attempt();
      } catch (error) {
        if (conflicts >= MAX_CONFLICTS || !isConflict(error)) throw wrapped(error, call, within);
      }
    }
  }

  #table(query: Query): PostgresTable {
    return new PostgresTable(this.#statements, query);
  }

  /** Finds or makes the table, once; what failed is tried again at the next call. */
  async #ensure(): Promise<void> {
    if (this.#found) return;
    this.#finding ??= (async () => {
      try {
        await this.#driver.run(ENSURING, (query) => this.#table(query).ensure());
        this.#found = true;
      } catch (error) {
        throw wrapped(error, ENSURING, true);
      } finally {
        this.#finding = undefined;
      }
    })();
    await this.#finding;
  }
}

/** A transaction of the caller's. */
interface OpenTransaction {
  /** What its statements run on. */
  readonly tx: object;
  readonly assertOpen: () => void;
  /** The table in it, and what else is run there. */
  readonly open: (call: SqlCall) => Promise<{ readonly table: PostgresTable; readonly query: Query }>;
}

/** The last call on each transaction. */
const lastCalls = new WeakMap<object, Promise<unknown>>();

/** The offsets inside a transaction of the caller's. */
class PostgresTransactionOffsets extends SqlOffsets {
  readonly #transaction: OpenTransaction;

  constructor(transaction: OpenTransaction) {
    super();
    this.#transaction = transaction;
  }

  protected assertOpen(): void {
    this.#transaction.assertOpen();
  }

  protected run<R>(call: SqlCall, work: (table: SqlTable) => R | Promise<R>): Promise<R> {
    return this.#inOrder(call, ({ table }) => work(table));
  }

  protected runMany(call: SqlCall, commits: readonly SourceCommit[]): Promise<void> {
    return this.#inOrder(call, async ({ table, query }) => {
      for (let tries = 1; ; tries++) {
        await query('SAVEPOINT streamweave_offset');
        try {
          await table.commitMany(commits);
          await query('RELEASE SAVEPOINT streamweave_offset');
          return;
        } catch (error) {
          // Where even this fails, the whole transaction has failed.
          await query('ROLLBACK TO SAVEPOINT streamweave_offset').catch(() => undefined);
          if (!(error instanceof RefusedSignal)) throw error;
        }
        await query('RELEASE SAVEPOINT streamweave_offset');
        await table.judge(commits, tries);
      }
    });
  }

  /** Calls on one transaction are made one after another: a savepoint is for the statements of one call. */
  async #inOrder<R>(
    call: SqlCall,
    work: (opened: Awaited<ReturnType<OpenTransaction['open']>>) => R | Promise<R>,
  ): Promise<R> {
    const { tx, open } = this.#transaction;
    const doing = (lastCalls.get(tx) ?? Promise.resolve()).then(async () => {
      if (call.serializer === true) await loadSerializer();
      try {
        return await work(await open(call));
      } catch (error) {
        throw wrapped(error, call, true);
      }
    });
    lastCalls.set(
      tx,
      doing.catch(() => undefined),
    );
    return await doing;
  }
}

/** How statements get to the server through each of the drivers, and how transactions begin and end. */
import { ClosedError, OffsetIoError } from '../../errors.js';
import type { SqlCall } from '../sql.js';
import { Turns } from '../turns.js';
import {
  inTransaction,
  isPool,
  isPostgresJs,
  type PgConnection,
  type PgPool,
  type PostgresClient,
  type PostgresJsSql,
  type PostgresJsStatements,
  type PostgresValue,
} from './client.js';
import { NotSentError, statementError, wrapped } from './failures.js';

/** A statement whose text does not change, under a name that stands for it. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** What the server answers to a statement. */
interface Answer {
  /** As arrays of their columns. */
  readonly rows: unknown[][];
  /** How many rows the statement gave, or wrote. */
  readonly count: number | null;
}

/** Runs a statement. */
export type Query = (statement: Statement | string, values?: PostgresValue[]) => Promise<Answer>;

export interface DriverOptions {
  /** Whether statements are prepared under a name. */
  readonly prepare: boolean;
  /** How long a call waits for a transaction on the same connection. */
  readonly lockTimeoutMs: number;
}

/** A driver's client, alike for all of them. */
export interface Driver {
  /** Runs work whose statements take effect each by itself. */
  run<R>(call: SqlCall, work: (query: Query) => Promise<R>): Promise<R>;
  /**
   * Runs work in a transaction. What the work rejects with goes on as it is; what the driver does is wrapped.
   *
   * @param work - gets what the caller's statements run on
   */
  transaction<R>(call: SqlCall, work: (tx: object) => R | Promise<R>): Promise<R>;
  /** Runs statements in a transaction that is open. */
  within(tx: object, call: SqlCall): Query;
}

export function driverOf(client: PostgresClient, options: DriverOptions): Driver {
  if (isPostgresJs(client)) return new PostgresJsDriver(client, options);
  return isPool(client) ? new PoolDriver(client, options) : new ClientDriver(client, options);
}

function pgQuery(connection: PgConnection, prepare: boolean): Query {
  return async (statement, values = []) => {
    const config =
      typeof statement === 'string'
        ? { text: statement, values, rowMode: 'array' as const }
        : { ...(prepare ? statement : { text: statement.text }), values, rowMode: 'array' as const };
    try {
      const { rows, rowCount } = await connection.query(config);
      return { rows: rows as unknown[][], count: rowCount };
    } catch (error) {
      throw statementError(error);
    }
  };
}

function postgresJsQuery(statements: PostgresJsStatements, prepare: boolean): Query {
  return async (statement, values = []) => {
    try {
      const rows =
        typeof statement === 'string'
          ? await statements.unsafe(statement, values).values()
          : await statements.unsafe(statement.text, values, { prepare }).values();
      return { rows, count: rows.count };
    } catch (error) {
      throw statementError(error);
    }
  };
}

/**
 * What pg tells of a connection besides the failure of a statement. Without a listener, the end of a connection that
 * is out of its pool would end the process.
 */
class Watch {
  error: unknown;
  readonly #connection: PgConnection;
  readonly #listener = (error: unknown): void => {
    this.error ??= error;
  };

  constructor(connection: PgConnection) {
    this.#connection = connection;
    connection.on('error', this.#listener);
  }

  end(): void {
    this.#connection.removeListener('error', this.#listener);
  }
}

/** A transaction on a connection of pg's. */
async function pgTransaction<R>(
  connection: PgConnection,
  watch: Watch,
  call: SqlCall,
  work: (tx: object) => R | Promise<R>,
): Promise<R> {
  const query = pgQuery(connection, false);
  try {
    await query('BEGIN');
  } catch (error) {
    throw wrapped(error, call, true);
  }
  let result: R;
  try {
    result = await work(connection);
  } catch (error) {
    await query('ROLLBACK').catch((failure: unknown) => {
      // The server does it when the connection ends; until then it must not be used.
      watch.error ??= failure;
    });
    throw error;
  }
  if (watch.error !== undefined) throw wrapped(new NotSentError(watch.error), call, true);
  let command: unknown;
  try {
    ({ command } = await connection.query({ text: 'COMMIT', values: [], rowMode: 'array' }));
  } catch (error) {
    throw wrapped(statementError(error), call, false);
  }
  // The server does not refuse to commit what has failed: it rolls back, and says so in passing.
  if (command === 'ROLLBACK') {
    throw new OffsetIoError(
      `${call.what} failed: it was rolled back, for a statement in it had failed. Let the work reject when that is so`,
      { source: call.source },
    );
  }
  return result;
}

/** Statements in a transaction of pg's that is open. */
function pgWithin(connection: PgConnection, prepare: boolean, { what, source }: SqlCall): Query {
  if (inTransaction(connection) === false) {
    throw new ClosedError(
      `${what} failed: no transaction is open on the client that using() was given. Begin one before, and commit it ` +
        'only once this call has resolved',
      { source },
    );
  }
  return pgQuery(connection, prepare);
}

/** pg's Pool: each call has a connection of its own. */
class PoolDriver implements Driver {
  readonly #pool: PgPool;
  readonly #prepare: boolean;

  constructor(pool: PgPool, { prepare }: DriverOptions) {
    this.#pool = pool;
    this.#prepare = prepare;
  }

  run<R>(call: SqlCall, work: (query: Query) => Promise<R>): Promise<R> {
    return this.#withConnection(call, (connection) => work(pgQuery(connection, this.#prepare)));
  }

  transaction<R>(call: SqlCall, work: (tx: object) => R | Promise<R>): Promise<R> {
    return this.#withConnection(call, (connection, watch) => pgTransaction(connection, watch, call, work));
  }

  within(tx: object, call: SqlCall): Query {
    return pgWithin(tx as PgConnection, this.#prepare, call);
  }

  async #withConnection<R>(
    call: SqlCall,
    work: (connection: PgConnection, watch: Watch) => Promise<R>,
  ): Promise<R> {
    let connection: Awaited<ReturnType<PgPool['connect']>>;
    try {
      connection = await this.#pool.connect();
    } catch (error) {
      throw wrapped(new NotSentError(error), call, true);
    }
    const watch = new Watch(connection);
    try {
      return await work(connection, watch);
    } finally {
      watch.end();
      // A transaction that could not be ended must not be met by whoever gets the connection next.
      connection.release(watch.error !== undefined || inTransaction(connection) === true);
    }
  }
}

/** pg's Client: one connection for all, so nothing may come between while a transaction is open. */
class ClientDriver implements Driver {
  readonly #client: PgConnection;
  readonly #prepare: boolean;
  readonly #lockTimeoutMs: number;
  readonly #turns: Turns;

  constructor(client: PgConnection, { prepare, lockTimeoutMs }: DriverOptions) {
    this.#client = client;
    this.#prepare = prepare;
    this.#lockTimeoutMs = lockTimeoutMs;
    this.#turns = Turns.of(client);
  }

  run<R>(call: SqlCall, work: (query: Query) => Promise<R>): Promise<R> {
    return this.#inTurn(call, () => work(pgQuery(this.#client, this.#prepare)));
  }

  transaction<R>(call: SqlCall, work: (tx: object) => R | Promise<R>): Promise<R> {
    return this.#inTurn(call, (watch) => pgTransaction(this.#client, watch, call, work));
  }

  within(tx: object, call: SqlCall): Query {
    return pgWithin(tx as PgConnection, this.#prepare, call);
  }

  async #inTurn<R>(call: SqlCall, work: (watch: Watch) => Promise<R>): Promise<R> {
    const turn = this.#turns.take(this.#lockTimeoutMs, call);
    if (turn !== undefined) await turn;
    const watch = new Watch(this.#client);
    try {
      if (inTransaction(this.#client) === true) {
        throw new OffsetIoError(
          `${call.what} failed: a transaction is open on the client that the store has not begun, and nothing would be ` +
            'durable before its end. Use using() inside a transaction, and another client, or a Pool, beside one',
          { source: call.source },
        );
      }
      return await work(watch);
    } finally {
      watch.end();
      this.#turns.pass();
    }
  }
}

/** The `sql` of postgres.js, which has a pool of its own. */
class PostgresJsDriver implements Driver {
  readonly #sql: PostgresJsSql;
  readonly #prepare: boolean;

  constructor(sql: PostgresJsSql, { prepare }: DriverOptions) {
    this.#sql = sql;
    this.#prepare = prepare;
  }

  run<R>(_call: SqlCall, work: (query: Query) => Promise<R>): Promise<R> {
    return work(postgresJsQuery(this.#sql, this.#prepare));
  }

  /**
   * When the connection is lost, `begin()` rejects while the work still goes on, and the driver would send what the
   * work asks for then, and the ROLLBACK or COMMIT after it, to a connection that is no more (which ends the
   * process), or to the next that it makes in its place, outside of any transaction. So from that moment on the work
   * can send nothing, and the driver is not told how it ended.
   */
  async transaction<R>(call: SqlCall, work: (tx: object) => R | Promise<R>): Promise<R> {
    const scope = { ended: false };
    let phase: 'beginning' | 'working' | 'ending' = 'beginning';
    let failure: { readonly error: unknown } | undefined;
    const inside = (tx: PostgresJsStatements): Promise<R> =>
      new Promise((resolve, reject) => {
        phase = 'working';
        const working = (async () => work(guarded(tx, scope)))();
        working.then(
          (result) => {
            if (scope.ended) return;
            phase = 'ending';
            resolve(result);
          },
          (error: unknown) => {
            if (scope.ended) return;
            failure = { error };
            // One turn later, for then the driver has told whether it was the connection that failed.
            setImmediate(() => {
              if (!scope.ended) reject(error);
            });
          },
        );
      });
    try {
      return (await this.#sql.begin(inside as never)) as R;
    } catch (error) {
      if (failure !== undefined) throw failure.error;
      if (phase === 'beginning') throw wrapped(new NotSentError(error), call, true);
      throw wrapped(statementError(error), call, phase === 'working');
    } finally {
      scope.ended = true;
    }
  }

  within(tx: object): Query {
    return postgresJsQuery(tx as PostgresJsStatements, this.#prepare);
  }
}

/** The transaction's `sql`, until its end. */
function guarded<T extends PostgresJsStatements>(tx: T, scope: { readonly ended: boolean }): T {
  const assertOpen = (): void => {
    if (scope.ended) {
      throw new ClosedError(
        'The transaction has ended, or its connection was lost: its `sql` cannot be used any more',
      );
    }
  };
  return new Proxy(tx, {
    apply(target, self, args) {
      assertOpen();
      return Reflect.apply(target as unknown as (...values: unknown[]) => unknown, self, args);
    },
    get(target, property) {
      assertOpen();
      const value: unknown = Reflect.get(target, property);
      if (property !== 'savepoint') return value;
      return (...args: unknown[]): unknown =>
        Reflect.apply(
          value as (...values: unknown[]) => unknown,
          target,
          args.map((arg) =>
            typeof arg === 'function'
              ? (nested: T): unknown => (arg as (sql: T) => unknown)(guarded(nested, scope))
              : arg,
          ),
        );
    },
  });
}

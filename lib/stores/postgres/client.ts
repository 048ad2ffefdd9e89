/** What the drivers for Postgres have in common, by shape: none of them is imported. */

/** What is bound to a statement: all values go as text, whose types the statements name. */
export type PostgresValue = string | null;

/** A connection of pg's: its Client, or a client of its Pool. */
export interface PgConnection {
  /**
   * Runs a statement, prepared under the name where one is given, and gives its rows as arrays of their columns, and
   * how many it was about.
   */
  query(config: {
    readonly text: string;
    readonly values?: PostgresValue[];
    readonly name?: string;
    readonly rowMode: 'array';
  }): Promise<{ readonly rows: unknown[]; readonly rowCount: number | null; readonly command?: unknown }>;
  /** Tells of the end of the connection while no statement is under way. */
  on(event: 'error', listener: (error: Error) => void): unknown;
  /** Ends what {@link on} began. */
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

/** pg's Pool. */
export interface PgPool {
  /** How many connections it has; a Client has no such property, which tells the two apart. */
  readonly totalCount: number;
  /** Lends a connection, until that is released; `release(true)` has it closed. */
  connect(): Promise<PgConnection & { release(destroy?: boolean): void }>;
}

/** What runs statements of postgres.js, inside a transaction and outside. */
export interface PostgresJsStatements {
  /** Runs the text of a statement; `values()` gives its rows as arrays of their columns, and how many it was about. */
  unsafe(
    text: string,
    values?: PostgresValue[],
    options?: { readonly prepare?: boolean },
  ): { values(): PromiseLike<unknown[][] & { readonly count: number }> };
}

/** The `sql` of postgres.js. */
export interface PostgresJsSql extends PostgresJsStatements {
  /** Runs the work in a transaction, on a connection that is reserved for it. */
  begin(work: never): Promise<unknown>;
}

/** What a store can be made on: pg's Pool or a connected Client, or the `sql` of postgres.js. */
export type PostgresClient = PgPool | PgConnection | PostgresJsSql;

/**
 * What a transaction's statements run on: of a Pool, the client that was taken from it; of a Client, itself; of
 * postgres.js, what `sql.begin()` gives.
 */
export type PostgresTransaction<C> = C extends {
  begin: {
    (work: (tx: infer Tx) => unknown): unknown;
    (options: string, work: (tx: infer Tx) => unknown): unknown;
  };
}
  ? Tx
  : C extends { readonly totalCount: number; connect: { (): Promise<infer Tx>; (callback: never): unknown } }
    ? Tx
    : C;

export function isPostgresJs(client: unknown): client is PostgresJsSql {
  return isStatements(client) && typeof (client as Partial<PostgresJsSql>).begin === 'function';
}

export function isStatements(client: unknown): client is PostgresJsStatements {
  return (
    typeof client === 'function' && typeof (client as Partial<PostgresJsStatements>).unsafe === 'function'
  );
}

export function isPool(client: unknown): client is PgPool {
  const { connect, totalCount } = (client ?? {}) as Partial<PgPool>;
  return typeof client === 'object' && typeof connect === 'function' && typeof totalCount === 'number';
}

export function isConnection(client: unknown): client is PgConnection {
  const { query, on, removeListener } = (client ?? {}) as Partial<PgConnection>;
  return (
    typeof client === 'object' &&
    typeof query === 'function' &&
    typeof on === 'function' &&
    typeof removeListener === 'function'
  );
}

/** Whether a transaction is open on the connection; undefined where the driver does not tell. */
export function inTransaction(connection: PgConnection): boolean | undefined {
  const { getTransactionStatus } = connection as { getTransactionStatus?: unknown };
  const status: unknown =
    typeof getTransactionStatus === 'function' ? getTransactionStatus.call(connection) : undefined;
  return typeof status === 'string' ? status !== 'I' : undefined;
}

import type { OffsetStore } from './offset-store.js';

/**
 * A store in a database that also holds the caller's own data, so that both change in one transaction: the
 * ground of exactly-once effects. `Tx` is what the caller's statements run on inside a transaction, such as a
 * client of `pg`.
 */
export interface TransactionalOffsetStore<Tx> extends OffsetStore {
  /**
   * Runs the work in one transaction of the store's own making: committed when the work's promise resolves,
   * rolled back when it rejects, and then the work's error is what this rejects with.
   *
   * @throws OffsetIoError `OFFSET_DURABILITY_UNKNOWN` when the connection was lost while the transaction was being
   *   committed: it took effect or it did not, and only reading back can tell; `OFFSET_IO` when it was not begun
   */
  transaction<R>(work: (tx: Tx) => R | Promise<R>): Promise<R>;

  /**
   * The same store inside a transaction of the caller's: what is committed through it takes effect, or does not,
   * with the caller's own statements. It must not be used after the transaction has ended.
   */
  using(tx: Tx): OffsetStore;

  /**
   * Whether a transaction that failed with the error was rolled back for a reason that passes, so that running it
   * once more may succeed: a serialization failure, a deadlock, a connection that was lost before the commit.
   */
  isTransient(error: unknown): boolean;
}

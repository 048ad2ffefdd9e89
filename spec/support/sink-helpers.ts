/** What the specs of transactionalSink() share: a database with a table of outputs, and stores that lose answers. */
import { OffsetIoError } from '../../lib/errors.js';
import type { OffsetStore } from '../../lib/offset-store.js';
import { SqliteOffsetStore, type SqliteDatabase } from '../../lib/stores/sqlite.js';
import type { TransactionalOffsetStore } from '../../lib/transactional-store.js';
import type { Databases, TestDatabase } from './sqlite.js';

export class Outputs {
  readonly database: TestDatabase;
  readonly store: SqliteOffsetStore;

  constructor(readonly databases: Databases) {
    this.database = databases.connect();
    // There is no key, so that what is written twice is there twice.
    this.database.exec('CREATE TABLE IF NOT EXISTS done (source TEXT NOT NULL, item INTEGER NOT NULL)');
    this.store = new SqliteOffsetStore(this.database, { lockTimeoutMs: 2_000 });
  }

  /** What has been written of a source, in the order it was. */
  items(source = 'numbers'): number[] {
    const rows = this.database.prepare('SELECT item FROM done WHERE source = ? ORDER BY rowid').all(source);
    return rows.map((row) => (row as { item: number }).item);
  }
}

export function insert(tx: SqliteDatabase, items: readonly number[], source = 'numbers'): void {
  const statement = tx.prepare('INSERT INTO done VALUES (?, ?)');
  for (const item of items) statement.run(source, item);
}

/** A reason that passes, as a database would give it. */
export class TransientError extends Error {}

/** What becomes of the answer to a transaction that was to be committed. */
type Fate = 'answered' | 'lost after' | 'lost before';

/** The store, which loses the answers that the test says: of commits that took effect, and of such that did not. */
export class LossyStore<Tx> implements TransactionalOffsetStore<Tx> {
  /** Asked of each transaction whose work succeeded. */
  fate: () => Fate = () => 'answered';
  transactions = 0;

  constructor(
    readonly inner: TransactionalOffsetStore<Tx> & Required<Pick<OffsetStore, 'claim' | 'inspect'>>,
  ) {}

  async transaction<R>(work: (tx: Tx) => R | Promise<R>): Promise<R> {
    this.transactions++;
    const lost = new OffsetIoError('connection lost', { code: 'OFFSET_DURABILITY_UNKNOWN' });
    let fate: Fate = 'answered';
    const result = await this.inner.transaction(async (tx) => {
      const done = await work(tx);
      fate = this.fate();
      if (fate === 'lost before') throw lost;
      return done;
    });
    if ((fate as Fate) === 'lost after') throw lost;
    return result;
  }

  using(tx: Tx): OffsetStore {
    return this.inner.using(tx);
  }

  isTransient(error: unknown): boolean {
    return error instanceof TransientError || this.inner.isTransient(error);
  }

  get: OffsetStore['get'] = (source) => this.inner.get(source);
  commit: OffsetStore['commit'] = (source, offset, options) => this.inner.commit(source, offset, options);
  getAll: OffsetStore['getAll'] = () => this.inner.getAll();
  clear: OffsetStore['clear'] = (source) => this.inner.clear(source);
  clearAll: OffsetStore['clearAll'] = () => this.inner.clearAll();
  claim: Required<OffsetStore>['claim'] = (source) => this.inner.claim(source);
  inspect: Required<OffsetStore>['inspect'] = (source) => this.inner.inspect(source);
}

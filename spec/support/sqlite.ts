/** SQLite databases for specs: files of their own, and connections by whichever driver. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Database from 'libsql';
import { SqliteOffsetStore, type SqliteDatabase } from '../../lib/stores/sqlite.js';
import type { StoreContractOptions } from '../../lib/testing/index.js';
import { EVERY_CAPABILITY } from './every-capability.js';

/** A connection that a spec can close. */
export type TestDatabase = SqliteDatabase & { close(): unknown };

/** With libsql; durable as the documentation says to make it. */
export function libsql(file: string): TestDatabase {
  const database = new Database(file, { timeout: 0 });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  return database;
}

/** With node:sqlite, where this Node has it. */
export function nodeSqlite(file: string): TestDatabase {
  const { DatabaseSync } = createRequire(path.join(process.cwd(), 'package.json'))('node:sqlite') as {
    DatabaseSync: new (file: string) => TestDatabase;
  };
  const database = new DatabaseSync(file);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  return database;
}

export const hasNodeSqlite = Number(process.versions.node.split('.')[0]) >= 22;

/** A folder for databases, and the end of it. */
export class Databases {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'streamweave-offset-'));
  readonly file = path.join(this.folder, 'offsets.db');
  readonly #open: TestDatabase[] = [];
  readonly #driver: (file: string) => TestDatabase;

  constructor(driver: (file: string) => TestDatabase = libsql) {
    this.#driver = driver;
  }

  connect(file = this.file): TestDatabase {
    const database = this.#driver(file);
    this.#open.push(database);
    return database;
  }

  destroy(): void {
    for (const database of this.#open) {
      try {
        database.close();
      } catch {
        // The spec has closed it.
      }
    }
    rmSync(this.folder, { recursive: true });
  }
}

/** What testOffsetStore() is told of the store on a driver. */
export function contractOf(
  name: string,
  driver: (file: string) => TestDatabase,
): Omit<StoreContractOptions<SqliteOffsetStore>, 'test'> {
  const databases = new WeakMap<SqliteOffsetStore, Databases>();
  const open = (on: Databases): SqliteOffsetStore => {
    const store = new SqliteOffsetStore(on.connect());
    databases.set(store, on);
    return store;
  };
  const again = (store: SqliteOffsetStore): SqliteOffsetStore => open(databases.get(store)!);
  return {
    name,
    create: () => open(new Databases(driver)),
    destroy: (store) => databases.get(store)!.destroy(),
    reopen: again,
    another: again,
    capabilities: EVERY_CAPABILITY,
  };
}

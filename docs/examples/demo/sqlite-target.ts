import Database from 'libsql';
import { SqliteOffsetStore } from 'streamweave-offset/sqlite';
import type { ExactlyOnceTarget } from './target.js';
import type { OutputLine } from './work.js';

/** The file of a SQLite database. */
export function openSqlite(path: string): ExactlyOnceTarget<Database.Database> {
  const database = new Database(path);
  // What makes a commit survive a power failure, not only a kill.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  const store = new SqliteOffsetStore(database);
  return {
    store,
    async start(source) {
      database.exec(
        'CREATE TABLE IF NOT EXISTS flights_done (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, ' +
          'position INTEGER NOT NULL, band TEXT NOT NULL, value REAL NOT NULL)',
      );
      database.prepare('DELETE FROM flights_done WHERE source = ?').run(source);
    },
    write(source, results, tx) {
      const insert = tx.prepare(
        'INSERT INTO flights_done (source, position, band, value) VALUES (?, ?, ?, ?)',
      );
      for (const { offset, group, value } of results) insert.run(source, offset, group, value);
    },
    async read(source) {
      return database
        .prepare(
          'SELECT position AS "offset", band AS "group", value FROM flights_done WHERE source = ? ORDER BY id',
        )
        .all(source) as OutputLine[];
    },
    async close() {
      await store.close();
      database.close();
    },
  };
}

/**
 * A process to be killed: it writes the flights of a file into a table, in transactions with their offsets. Arguments:
 * the file of flights, one on a line, the database, and how many go into a transaction. It says `commit` on stdout
 * for each. Bundled by the spec, for its start is most of what it costs.
 */
import { writeSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { readLines, type FileLine } from '../../lib/sources/lines.js';
import { SqliteOffsetStore, type SqliteDatabase } from '../../lib/stores/sqlite.js';
import { transactionalSink } from '../../lib/streams/transactional-sink.js';
import { libsql } from './sqlite.js';

interface Flight {
  readonly delay: number;
  readonly distance: number;
  readonly time: number;
}

const [flights, file, batchSize] = process.argv.slice(2) as [string, string, string];
const database = libsql(file);
database.exec(
  'CREATE TABLE IF NOT EXISTS flights (id INTEGER PRIMARY KEY, position INTEGER, delay REAL, distance REAL, time REAL)',
);
const store = new SqliteOffsetStore(database);
await pipeline(
  readLines(flights, { after: await store.inspect('flights') }),
  transactionalSink<FileLine, SqliteDatabase>(store, {
    source: 'flights',
    offsetOf: (line) => line.offset,
    metadataOf: (line) => line.metadata,
    batchSize: Number(batchSize),
    async write(lines, tx) {
      const insert = tx.prepare('INSERT INTO flights (position, delay, distance, time) VALUES (?, ?, ?, ?)');
      for (const { line, offset } of lines) {
        const { delay, distance, time } = JSON.parse(line) as Flight;
        insert.run(Number(offset.value), delay, distance, time);
      }
    },
  }).on('commit', () => writeSync(1, 'commit\n')),
);

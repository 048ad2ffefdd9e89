/** One of several processes on one database. Its argument is a {@link SqliteJob}; it prints what it did line by line. */
import { writeSync } from 'node:fs';
import { SqliteOffsetStore } from '../../lib/stores/sqlite.js';
import { Random } from './fire-random.js';
import { type RegisterJob, useRegister } from './register-client.js';
import { lineOf } from './register-processes.js';
import { libsql } from './sqlite.js';

export interface SqliteJob {
  readonly file: string;
  readonly seed: number;
  readonly register: RegisterJob;
}

const { file, seed, register } = JSON.parse(process.argv[2]!) as SqliteJob;
const database = libsql(file);
const store = new SqliteOffsetStore(database, { lockTimeoutMs: 20_000 });
await useRegister(store, register, new Random(seed), (operation) => {
  writeSync(1, lineOf(operation));
});
await store.close();
database.close();

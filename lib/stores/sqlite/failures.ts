/** What goes wrong on a connection to SQLite, in our errors. The drivers tell of it each in a manner of its own. */
import {
  ClosedError,
  OffsetError,
  OffsetIoError,
  OffsetLockError,
  OffsetSerializationError,
} from '../../errors.js';
import { messageOf } from '../../failures.js';
import type { SqlCall } from '../sql.js';
import { isClosed, type SqliteDatabase } from './client.js';

/** The result codes that make a difference here. */
const CODES = {
  SQLITE_BUSY: 5,
  SQLITE_LOCKED: 6,
  SQLITE_READONLY: 8,
  SQLITE_IOERR: 10,
  SQLITE_CORRUPT: 11,
  SQLITE_FULL: 13,
  SQLITE_NOTADB: 26,
} as const;

type Code = keyof typeof CODES;

const NAMES = Object.keys(CODES) as Code[];

/** SQLite's result code: better-sqlite3 and libsql name the extended one, node:sqlite gives its number. */
function codeOf(error: unknown): Code | undefined {
  const { code, errcode } = (error ?? {}) as { readonly code?: unknown; readonly errcode?: unknown };
  if (typeof errcode === 'number') return NAMES.find((name) => CODES[name] === (errcode & 0xff));
  if (typeof code !== 'string') return undefined;
  return NAMES.find((name) => code === name || code.startsWith(`${name}_`));
}

/** Whether another connection has the lock that the statement needed: nothing was done, and later it may succeed. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED';
}

/** Whether the error is that of a lock that another connection held, or was caused by one. */
export function isTransient(error: unknown): boolean {
  let next = error;
  for (let depth = 0; depth < 10 && typeof next === 'object' && next !== null; depth++) {
    if (next instanceof OffsetLockError || isBusy(next)) return true;
    next = (next as { readonly cause?: unknown }).cause;
  }
  return false;
}

/** Our error for that of a driver; one of ours stays as it is. */
export function wrapped(error: unknown, call: SqlCall, database: SqliteDatabase): OffsetError {
  if (error instanceof OffsetError) return error;
  const { source, writes } = call;
  const message = `${call.what} failed: ${messageOf(error)}`;
  const options = { source, cause: error };
  if (isClosed(database)) {
    return new ClosedError(`${message}. The connection was closed; make a new store on an open one`, options);
  }
  switch (codeOf(error)) {
    case 'SQLITE_BUSY':
    case 'SQLITE_LOCKED':
      return new OffsetLockError(
        `${message}. Another connection held the lock for as long as was waited for it (lockTimeoutMs, and the ` +
          "connection's own busy_timeout)",
        options,
      );
    case 'SQLITE_READONLY':
      return new OffsetIoError(`${message}. Open the database for writing`, options);
    case 'SQLITE_FULL':
      return new OffsetIoError(`${message}. Nothing was changed; make room, and try again`, options);
    case 'SQLITE_CORRUPT':
    case 'SQLITE_NOTADB':
      return new OffsetSerializationError(`${message}. The file was left as it is`, {
        ...options,
        code: 'OFFSET_CORRUPT',
      });
    case 'SQLITE_IOERR':
      // What reached the disk before the failure is not known, and the recovery after a crash may complete it.
      return new OffsetIoError(message, writes ? { ...options, code: 'OFFSET_DURABILITY_UNKNOWN' } : options);
    default:
      return new OffsetIoError(message, options);
  }
}

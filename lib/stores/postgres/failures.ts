/** What goes wrong between a driver and its server, in our errors. */
import { OffsetError, OffsetIoError } from '../../errors.js';
import { messageOf } from '../../failures.js';
import type { SqlCall } from '../sql.js';

/** There is no connection, and so nothing was sent: the error says why. */
export class NotSentError extends Error {
  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
  }
}

/** What ends the transaction of a commit of many, one of which was refused; another look tells which, and why. */
export class RefusedSignal extends Error {}

/** The SQLSTATE of an answer of the server; undefined for an error that is none. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { readonly code?: unknown; readonly severity?: unknown };
  return typeof severity === 'string' && typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)
    ? code
    : undefined;
}

/** The server gave up the connection, and not only the statement: the answer does not tell what became of that. */
const CONNECTION_LOST = /^(?:08|57P0|40003|25P03)/;

/** Answers to the wish for a connection. */
const NOT_CONNECTED = /^(?:28|3D|53300|57P03)/;

/** Codes of operating system and driver for a connection that was never made. */
const NOT_CONNECTED_CODES = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CONNECT_TIMEOUT',
  'CONNECTION_ENDED',
]);

/** What pg says of a statement that it did not send. */
const NOT_SENT_MESSAGES = /is not queryable|was closed and is not|Cannot use a pool after calling end/;

/** The error of one statement; as a {@link NotSentError} where it tells that nothing was sent. */
export function statementError(error: unknown): unknown {
  const state = sqlStateOf(error);
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  const notSent =
    state === undefined
      ? NOT_CONNECTED_CODES.has(code as string) || NOT_SENT_MESSAGES.test(messageOf(error))
      : NOT_CONNECTED.test(state);
  return notSent ? new NotSentError(error) : error;
}

/** Whether the server refused the statement, which then has changed nothing, and goes on serving the connection. */
export function isRefusal(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state === undefined || CONNECTION_LOST.test(state)) return false;
  return !['FATAL', 'PANIC'].includes((error as { readonly severity: string }).severity);
}

/** Serialization failure and deadlock: what was rolled back may succeed when it is run again. */
const CONFLICT = new Set(['40001', '40P01']);

/** Whether the error is one of those, or ours for one. */
export function isConflict(error: unknown): boolean {
  return CONFLICT.has(sqlStateOf(error instanceof OffsetError ? error.cause : error) ?? '');
}

/** How a connection's end is told where no answer of the server tells it. */
const LOST_CODES = new Set([
  ...NOT_CONNECTED_CODES,
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ECONNABORTED',
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
]);

const LOST_MESSAGES =
  /^Connection terminated|is not queryable|^timeout (?:exceeded when trying to connect|expired)/;

/**
 * Whether a transaction that failed with the error was rolled back for a reason that passes. Where it is unknown
 * whether it was rolled back, running it again is no way to find out.
 */
export function isTransient(error: unknown): boolean {
  let transient = false;
  let next = error;
  for (let depth = 0; depth < 10 && typeof next === 'object' && next !== null; depth++) {
    const { code, cause } = next as { readonly code?: unknown; readonly cause?: unknown };
    if (next instanceof OffsetError && code === 'OFFSET_DURABILITY_UNKNOWN') return false;
    const state = sqlStateOf(next);
    transient ||=
      state === undefined
        ? LOST_CODES.has(code as string) || LOST_MESSAGES.test(messageOf(next))
        : CONFLICT.has(state) || CONNECTION_LOST.test(state) || state === '53300';
    next = cause;
  }
  return transient;
}

/** What to do about an answer of the server, by its SQLSTATE or the class of it. */
const ADVICE: Readonly<Record<string, string>> = {
  '28': 'Give the client the user and password that the server knows',
  '3D': 'Make the database, or give the client the name of one that is there',
  '3F': 'Make the schema that the option `table` names',
  '25006': 'The server is a replica, or its transactions are read-only; connect the client to the primary',
  '42501': "The client's user needs SELECT, INSERT and UPDATE on the table, and USAGE on its schema",
  '42P01':
    'The table was dropped while the store was in use; make it again as schema() says, and make a new store',
  '53300':
    'The server has all the connections that it may have; make pools smaller, or raise max_connections',
  '53100': "The server's disk is full; make room, and try again",
  '57P03': 'The server is starting up or shutting down; try again',
};

function adviceOn(error: unknown): string {
  const state = sqlStateOf(error) ?? '';
  const advice = ADVICE[state] ?? ADVICE[state.slice(0, 2)];
  return advice === undefined ? '' : `. ${advice}`;
}

/**
 * Our error for that of a driver; one of ours stays as it is.
 *
 * @param within - whether a transaction was open: without its COMMIT nothing has changed
 */
export function wrapped(error: unknown, call: SqlCall, within: boolean): Error {
  if (error instanceof OffsetError || error instanceof RefusedSignal) return error;
  const { what, source, writes } = call;
  if (error instanceof NotSentError) {
    return new OffsetIoError(
      `${what} failed: there is no connection to the server (${error.message})${adviceOn(error.cause)}`,
      { source, cause: error.cause },
    );
  }
  const said = messageOf(error);
  if (isRefusal(error)) {
    return new OffsetIoError(`${what} failed: the server answered "${said}"${adviceOn(error)}`, {
      source,
      cause: error,
    });
  }
  if (!writes || within) {
    return new OffsetIoError(
      `${what} failed: the connection to the server was lost (${said})${writes ? '; nothing was changed' : ''}`,
      { source, cause: error },
    );
  }
  return new OffsetIoError(
    `${what} had no answer: the connection to the server was lost (${said}). Whether it took effect is unknown; ask ` +
      'again, or read it back',
    { code: 'OFFSET_DURABILITY_UNKNOWN', source, cause: error },
  );
}

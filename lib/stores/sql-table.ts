/** What the tables of offsets in SQL databases have in common: what is asked of them, and how a commit is decided. */
import { OffsetIoError, OffsetSerializationError } from '../errors.js';
import { Offset } from '../offset.js';
import { quote } from '../validate.js';
import { applyCommit, type SourceCommit, type SourceState } from './commit-rules.js';
import { decodeRow, encodeMetadata, type StoredRow } from './row.js';
import type { TableName } from './table-name.js';

/** A row as it is listed. */
export type ListedRow = StoredRow & { readonly source: string };

/** The table of offsets, on a connection. Drivers that block answer at once, the others with a promise. */
export interface SqlTable {
  /** The row without its metadata, which only those who ask for it pay for. */
  row(source: string): StoredRow | undefined | Promise<StoredRow | undefined>;
  rowWithMetadata(source: string): StoredRow | undefined | Promise<StoredRow | undefined>;
  /** The rows of all sources that have an offset. */
  rows(): ListedRow[] | Promise<ListedRow[]>;
  rowsWithMetadata(): ListedRow[] | Promise<ListedRow[]>;
  /** @throws FencedError, InvalidOffsetError `OFFSET_BEHIND` */
  commit(commit: SourceCommit): void | Promise<void>;
  /** @returns the new epoch */
  reset(source: string, offset: Offset): number | Promise<number>;
  /** @returns the new epoch */
  claim(source: string): number | Promise<number>;
  clear(source: string): void | Promise<void>;
  clearAll(): void | Promise<void>;
}

// Parts of the statements: `old` is what is kept, `excluded` what is to be.
export const REPLACED =
  'kind = excluded.kind, position = excluded.position, metadata = excluded.metadata, committed_at = excluded.committed_at';
export const FORGOTTEN = 'kind = NULL, position = NULL, metadata = NULL, committed_at = NULL';

/**
 * The condition under which a commit changes the row, if its epoch is not what refuses it; with `allowRegression`, and
 * without.
 *
 * @param isDistinct - the operator for texts that differ, to which null is a text like others
 * @param bytes - what has the database compare texts byte by byte, written behind each of them
 */
export function conditionOfChange(isDistinct: string, bytes = ''): (allowRegression: boolean) => string {
  const another = `old.kind ${isDistinct} excluded.kind`;
  const described =
    'old.position = excluded.position AND excluded.metadata IS NOT NULL AND ' +
    `old.metadata ${isDistinct} excluded.metadata`;
  const elsewhere = 'old.position <> excluded.position';
  const later =
    `old.position${bytes} < excluded.position${bytes} OR ` +
    `(old.kind NOT IN ('sequence', 'timestamp') AND ${elsewhere})`;
  const forward = `(${another} OR (${described}) OR ${later})`;
  const anywhere = `(${another} OR (${described}) OR ${elsewhere})`;
  return (allowRegression) => (allowRegression ? anywhere : forward);
}

/** How often a commit is tried again that was refused by what then is there no more. */
export const MAX_TRIES = 100;

/**
 * What is kept after the commit; `current` itself when it changes nothing.
 *
 * @param current - its metadata left out, which is only compared, and as text
 * @throws FencedError, InvalidOffsetError `OFFSET_BEHIND`
 */
export function applied(
  { source, commit }: SourceCommit,
  current: SourceState | undefined,
  storedMetadata: unknown,
): SourceState {
  const { metadata } = commit;
  const same = metadata !== undefined && encodeMetadata(source, metadata) === storedMetadata;
  return applyCommit(source, current, same ? { ...commit, metadata: undefined } : commit);
}

/** What {@link applied} takes of a row. */
export function stateOf(source: string, row: StoredRow | undefined): SourceState | undefined {
  return row === undefined ? undefined : decodeRow(source, { ...row, metadata: null });
}

/** The error for a commit that the rules allow, and that changes nothing. */
export function stubbornError({ source, commit }: SourceCommit): OffsetIoError {
  return new OffsetIoError(
    `The commit of ${quote(Offset.format(commit.offset))} for source ${quote(source)} changed no row in ${MAX_TRIES} tries, ` +
      'though nothing stood against it each time; is there a trigger or a rule on the table?',
    { source },
  );
}

/** The error for a table of the name that holds something else. */
export function otherTableError(
  { quoted }: TableName,
  problem: string,
  cause?: unknown,
): OffsetSerializationError {
  return new OffsetSerializationError(
    `The table ${quote(quoted)} cannot be taken for offsets: it ${problem}. Nothing was changed. Choose another name ` +
      'with the option `table`, or make the table as schema() says',
    { code: 'OFFSET_CORRUPT', ...(cause === undefined ? undefined : { cause }) },
  );
}

/** What the settings of a connection to SQLite mean for its commits when the power fails. */
import type { SqliteTable } from './table.js';

/** The warnings that were given. */
const warnings = new Set<string>();

/** The least `synchronous` with which a commit survives a power loss, by journal mode: 2 is FULL, 3 EXTRA. */
const ENOUGH = new Map<unknown, number>([
  ['wal', 2],
  ['truncate', 2],
  ['persist', 2],
  // The journal's end is the commit, and only EXTRA makes the end of its name durable.
  ['delete', 3],
]);

/** Warns, once in the process, of a database on which a commit may be lost with the power. */
export function warnOfLoss(table: SqliteTable): void {
  let warning: string;
  try {
    if (!table.isInFile()) return;
    const journal = table.pragma('journal_mode');
    const synchronous = table.pragma('synchronous');
    if (Number(synchronous) >= (ENOUGH.get(journal) ?? Infinity)) return;
    warning =
      `SqliteOffsetStore: with PRAGMA journal_mode = ${String(journal)} and synchronous = ${String(synchronous)} the last ` +
      'commits may be lost when the power fails. To keep them, run PRAGMA journal_mode = WAL and PRAGMA synchronous = FULL ' +
      'on the connection';
  } catch {
    return;
  }
  if (warnings.has(warning)) return;
  warnings.add(warning);
  process.emitWarning(warning, { code: 'STREAMWEAVE_OFFSET_DURABILITY' });
}

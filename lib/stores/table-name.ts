import { argumentRangeError, argumentTypeError } from '../validate.js';

/** The name of a table, and of the schema it lies in where one was given. */
export interface TableName {
  readonly schema: string | undefined;
  readonly table: string;
  /** Both quoted, for SQL. */
  readonly quoted: string;
}

/**
 * The table that an option names: `offsets`, or `app.offsets` with its schema. Each part is taken as it stands, case
 * and all, and quoted; so a name may hold anything but a dot.
 *
 * @throws TypeError when it is not a string; RangeError when it is empty, malformed, or has more than one dot
 */
export function checkedTableName(option: unknown): TableName {
  const expected = '`table` to be the name of a table, or of its schema and itself with a dot between';
  if (typeof option !== 'string') throw argumentTypeError(expected, option);
  const parts = option.split('.');
  if (parts.length > 2 || parts.includes('') || !option.isWellFormed() || option.includes('\0')) {
    throw argumentRangeError(expected, option);
  }
  const table = parts.pop()!;
  const schema = parts.pop();
  return {
    schema,
    table,
    quoted: schema === undefined ? quoteName(table) : `${quoteName(schema)}.${quoteName(table)}`,
  };
}

/** The name as SQL takes it whatever it holds. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

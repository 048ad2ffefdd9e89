/** Checks of arguments, and the words in which they are refused. Ground floor: imports nothing of ours. */

/** The longest source name, in bytes of UTF-8. */
export const MAX_SOURCE_BYTES = 1024;

/** The longest delay that Node's timers take, in milliseconds; a longer one would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

// Controls, invisible formatting (the marks that reorder text on a terminal among them), lone surrogates, and
// the line and paragraph separators.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * The text in double quotes, fit for one line of a message or a terminal: quotes and backslashes are
 * escaped, control characters and lone surrogates shown as `\u{…}`, and what is over 120 characters cut.
 */
export function quote(text: string): string {
  const shown = text.length > 120 ? `${text.slice(0, 120)}…` : text;
  const escaped = shown
    .replace(/["\\]/g, '\\$&')
    .replace(UNPRINTABLE, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
  return `"${escaped}"`;
}

/** What came, for the end of a message: `0 (number)`, `"x" (string)`, `an instance of Foo`. */
export function received(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `${quote(value)} (string)`;
    case 'number':
    case 'boolean':
      return `${String(value)} (${typeof value})`;
    case 'bigint':
      return `${value}n (bigint)`;
    case 'undefined':
      return 'undefined';
    case 'symbol':
    case 'function':
      return `a ${typeof value}`;
    default:
      break;
  }
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : `a Date`;
  const name: unknown = (value as object).constructor?.name;
  return typeof name === 'string' && name !== '' && name !== 'Object'
    ? `an instance of ${name}`
    : 'an object';
}

/**
 * The time of a Date in milliseconds; NaN for an invalid one, and for what is none. It takes Dates of any realm
 * (workers, vm contexts, jest), where instanceof does not, and is not deceived by what only looks like one.
 */
export function timeOf(value: unknown): number {
  try {
    return Date.prototype.getTime.call(value);
  } catch {
    return Number.NaN;
  }
}

/** A TypeError in Node's own manner: it carries the code `ERR_INVALID_ARG_TYPE`. */
export function argumentTypeError(expected: string, value: unknown): TypeError {
  return Object.assign(new TypeError(`Expected ${expected}, got ${received(value)}`), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
}

/** A RangeError in Node's own manner: it carries the code `ERR_OUT_OF_RANGE`. */
export function argumentRangeError(expected: string, value: unknown): RangeError {
  return Object.assign(new RangeError(`Expected ${expected}, got ${received(value)}`), {
    code: 'ERR_OUT_OF_RANGE',
  });
}

const SOURCE_NAME = `the source name to be a well-formed string of 1 to ${MAX_SOURCE_BYTES} bytes without U+0000`;

/**
 * Refuses what is not a source name: a well-formed string of 1 to 1024 bytes of UTF-8 without U+0000.
 *
 * @throws TypeError when it is not a string; RangeError when it is empty, too long or malformed
 */
export function assertSource(source: unknown): asserts source is string {
  if (typeof source !== 'string') throw argumentTypeError(SOURCE_NAME, source);
  if (
    source.length === 0 ||
    source.length > MAX_SOURCE_BYTES ||
    !source.isWellFormed() ||
    source.includes('\0') ||
    Buffer.byteLength(source) > MAX_SOURCE_BYTES
  ) {
    throw argumentRangeError(SOURCE_NAME, source);
  }
}

/**
 * Refuses what is not an integer in `min`…`max`; the name says the unit.
 *
 * @throws TypeError when it is not a number; RangeError when it is out of range
 */
export function assertInteger(
  name: string,
  value: unknown,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  const expected =
    min === 1 && max === Number.MAX_SAFE_INTEGER
      ? `\`${name}\` to be a positive integer`
      : `\`${name}\` to be an integer from ${min} to ${max}`;
  if (typeof value !== 'number') throw argumentTypeError(expected, value);
  if (!Number.isSafeInteger(value) || value < min || value > max) throw argumentRangeError(expected, value);
}

/** Refuses an options argument that is not an object (`undefined` is no options). */
export function assertOptions(name: string, value: unknown): asserts value is object | undefined {
  if (value === undefined) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw argumentTypeError(`\`${name}\` to be an object or undefined`, value);
  }
}

/** By shape, because a signal may be of another realm. */
export function assertSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal !== undefined && !(typeof signal === 'object' && signal !== null && 'aborted' in signal)) {
    throw argumentTypeError('`signal` to be an AbortSignal', signal);
  }
}

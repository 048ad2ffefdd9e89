import { InvalidOffsetError } from './errors.js';
import { quote, received, timeOf } from './validate.js';

/** The position of an item that its source numbers: 0 … 2^64-1. Gaps are normal. */
export interface SequenceOffset {
  /** Tells the five kinds apart. */
  readonly kind: 'sequence';
  /** The number: 0 … 2^64-1. */
  readonly value: bigint;
}

/** The position of an item that its source dates. */
export interface TimestampOffset {
  /** Tells the five kinds apart. */
  readonly kind: 'timestamp';
  /** The time, to the millisecond. */
  readonly value: Date;
}

/** A position that only its source understands: a cursor, a resume token. It has no order. */
export interface CustomOffset {
  /** Tells the five kinds apart. */
  readonly kind: 'custom';
  /** The text, as the source gave it. */
  readonly value: string;
}

/** Before the first item. */
export interface EarliestOffset {
  /** Tells the five kinds apart. */
  readonly kind: 'earliest';
}

/** After the last item there is when reading starts. */
export interface LatestOffset {
  /** Tells the five kinds apart. */
  readonly kind: 'latest';
}

/**
 * The position of one item in its source. A committed offset is that of the last item whose work is done:
 * reading resumes after it. Plain data: it survives `structuredClone`, workers and superjson.
 */
export type Offset = SequenceOffset | TimestampOffset | CustomOffset | EarliestOffset | LatestOffset;

/**
 * What is taken wherever an offset is wanted. A bigint or a number (a safe integer >= 0) is a sequence, a
 * Date a timestamp, and a string always a custom offset: `'earliest'` too; write `Offset.earliest` for that.
 */
export type OffsetInput = Offset | bigint | number | Date | string;

/** The largest sequence: 2^64-1. */
const MAX_SEQUENCE = 18_446_744_073_709_551_615n;

const CANONICAL_SEQUENCE = /^(?:0|[1-9][0-9]{0,19})$/;

function sequence(value: bigint | number): SequenceOffset {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new InvalidOffsetError(
        `Expected a sequence to be a safe integer >= 0 or a bigint from 0 to 2^64-1, got ${received(value)}`,
      );
    }
    return { kind: 'sequence', value: BigInt(value) };
  }
  if (typeof value !== 'bigint' || value < 0n || value > MAX_SEQUENCE) {
    throw new InvalidOffsetError(
      `Expected a sequence to be a safe integer >= 0 or a bigint from 0 to 2^64-1, got ${received(value)}`,
    );
  }
  return { kind: 'sequence', value };
}

function timestamp(value: Date): TimestampOffset {
  const ms = timeOf(value);
  if (Number.isNaN(ms)) {
    throw new InvalidOffsetError(`Expected a timestamp to be a valid Date, got ${received(value)}`);
  }
  return { kind: 'timestamp', value: new Date(ms) };
}

function custom(value: string): CustomOffset {
  if (typeof value !== 'string' || !value.isWellFormed()) {
    throw new InvalidOffsetError(
      `Expected a custom offset to be a string without lone surrogates, got ${received(value)}`,
    );
  }
  return { kind: 'custom', value };
}

const earliest: EarliestOffset = Object.freeze({ kind: 'earliest' });
const latest: LatestOffset = Object.freeze({ kind: 'latest' });

function fromObject(input: object): Offset {
  const { kind, value } = input as { kind?: unknown; value?: unknown };
  switch (kind) {
    case 'sequence':
      // A number here would make two offsets that look alike and are not equal.
      if (typeof value !== 'bigint') break;
      return sequence(value);
    case 'timestamp':
      return timestamp(value as Date);
    case 'custom':
      return custom(value as string);
    case 'earliest':
      return earliest;
    case 'latest':
      return latest;
    default:
      break;
  }
  throw new InvalidOffsetError(
    `Expected an offset: a bigint, a safe integer >= 0, a valid Date, a string, or an object that Offset.sequence(), ` +
      `.timestamp(), .custom(), .earliest or .latest made; got ${
        kind === undefined
          ? received(input)
          : `an object of kind ${received(kind)} and value ${received(value)}`
      }`,
  );
}

function from(input: OffsetInput): Offset {
  switch (typeof input) {
    case 'bigint':
    case 'number':
      return sequence(input);
    case 'string':
      return custom(input);
    case 'object':
      if (input === null) break;
      return Object.prototype.toString.call(input) === '[object Date]'
        ? timestamp(input as Date)
        : fromObject(input);
    default:
      break;
  }
  throw new InvalidOffsetError(
    `Expected an offset: a bigint, a safe integer >= 0, a valid Date, a string or an Offset, got ${received(input)}`,
  );
}

function increment(offset: SequenceOffset): SequenceOffset;
function increment(offset: Offset): SequenceOffset | undefined;
function increment(offset: Offset): SequenceOffset | undefined {
  if (offset.kind !== 'sequence') return undefined;
  if (offset.value >= MAX_SEQUENCE) {
    throw new InvalidOffsetError(
      'Expected a sequence below 2^64-1 to increment, got 2^64-1: there is none after it',
    );
  }
  return sequence(offset.value + 1n);
}

function compare(a: Offset, b: Offset): number | undefined {
  if (a.kind !== b.kind) return undefined;
  switch (a.kind) {
    case 'sequence': {
      const other = (b as SequenceOffset).value;
      return a.value < other ? -1 : a.value > other ? 1 : 0;
    }
    case 'timestamp':
      return Math.sign(a.value.getTime() - (b as TimestampOffset).value.getTime());
    case 'custom':
      return a.value === (b as CustomOffset).value ? 0 : undefined;
    default:
      return 0;
  }
}

function format(offset: Offset): string {
  const checked = from(offset);
  switch (checked.kind) {
    case 'sequence':
      return `seq:${checked.value}`;
    case 'timestamp':
      return `ts:${checked.value.toISOString()}`;
    case 'custom':
      return `custom:${checked.value}`;
    default:
      return checked.kind;
  }
}

function parse(text: string): Offset {
  if (typeof text === 'string') {
    if (text === 'earliest') return earliest;
    if (text === 'latest') return latest;
    if (text.startsWith('custom:')) return custom(text.slice(7));
    if (text.startsWith('seq:')) {
      const digits = text.slice(4);
      if (CANONICAL_SEQUENCE.test(digits) && BigInt(digits) <= MAX_SEQUENCE) return sequence(BigInt(digits));
    }
    if (text.startsWith('ts:')) {
      const date = new Date(text.slice(3));
      if (!Number.isNaN(date.getTime()) && date.toISOString() === text.slice(3)) return timestamp(date);
    }
  }
  throw new InvalidOffsetError(
    `Expected the text of an offset ('seq:42' up to 2^64-1 without leading zeros, 'ts:2026-01-01T00:00:00.000Z', ` +
      `'custom:…', 'earliest' or 'latest'), got ${typeof text === 'string' ? quote(text) : received(text)}`,
  );
}

/**
 * What makes, compares and prints offsets. The type of the same name is what it makes.
 *
 * @namespace
 */
export const Offset = Object.freeze({
  /**
   * The offset of an item that its source numbers.
   *
   * @param value - 0 … 2^64-1 as a bigint, or a safe integer >= 0
   * @throws InvalidOffsetError `OFFSET_INVALID`
   * @example
   * ```ts
   * Offset.sequence(42); // { kind: 'sequence', value: 42n }
   * ```
   */
  sequence,
  /**
   * The offset of an item that its source dates; the Date is copied.
   *
   * @throws InvalidOffsetError `OFFSET_INVALID` for an invalid Date
   * @example
   * ```ts
   * Offset.timestamp(new Date('2026-01-01')); // printed as ts:2026-01-01T00:00:00.000Z
   * ```
   */
  timestamp,
  /**
   * An offset that only its source understands. It has no order: of two different ones neither is ahead.
   *
   * @param value - any string without lone surrogates
   * @throws InvalidOffsetError `OFFSET_INVALID`
   * @example
   * ```ts
   * Offset.custom('line-5'); // printed as custom:line-5
   * ```
   */
  custom,
  /** Before the first item. */
  earliest,
  /** After the last item there is when reading starts. */
  latest,
  /**
   * The offset that an {@link OffsetInput} stands for; an Offset is copied and checked.
   *
   * @throws InvalidOffsetError `OFFSET_INVALID`
   * @example
   * ```ts
   * Offset.from(7); // Offset.sequence(7n)
   * Offset.from('line-5'); // Offset.custom('line-5')
   * ```
   */
  from,
  /**
   * The next sequence; undefined for the other kinds.
   *
   * @throws InvalidOffsetError `OFFSET_INVALID` at 2^64-1: it never wraps
   */
  increment,
  /**
   * Negative when `a` lies before `b`, 0 when they are equal, positive when it lies after; undefined where
   * there is no order: between different kinds, and between different custom offsets.
   */
  compare,
  /** Whether both are the same position. */
  equals: (a: Offset, b: Offset): boolean => compare(a, b) === 0,
  /** Whether it is {@link Offset.earliest}, before the first item. */
  isEarliest: (offset: Offset): offset is EarliestOffset => offset.kind === 'earliest',
  /** Whether it is {@link Offset.latest}, after the last item. */
  isLatest: (offset: Offset): offset is LatestOffset => offset.kind === 'latest',
  /**
   * The offset as text: `seq:42`, `ts:2026-01-01T00:00:00.000Z`, `custom:line-5`, `earliest`, `latest`.
   * `Offset.parse()` gives exactly the same offset back.
   *
   * @throws InvalidOffsetError `OFFSET_INVALID` for what is not an Offset
   */
  format,
  /**
   * The offset of a text that {@link Offset.format} made. Only the canonical form is taken.
   *
   * @throws InvalidOffsetError `OFFSET_INVALID`
   */
  parse,
});

/**
 * The refusal of an offset that lies before another, in the words that tracker and stores share.
 *
 * @internal
 */
export function behindError(
  source: string,
  offset: Offset,
  than: Offset,
  what: 'committed' | 'recorded',
): InvalidOffsetError {
  return new InvalidOffsetError(
    `Offset ${quote(format(offset))} lies before ${quote(format(than))}, which is already ${what} for source ` +
      `${quote(source)}; nothing was changed. To go back on purpose, use reset()`,
    { code: 'OFFSET_BEHIND', source },
  );
}

/**
 * What is kept for a source as the plain columns of a row, or the fields of a hash: how the stores in
 * databases write it, and read it back.
 *
 * The columns are such that the database itself can hold to the rules of a commit. Two offsets are equal when
 * both `kind` and `position` are. Of two sequences, or two timestamps, the earlier has the lesser `position` as
 * text, compared byte by byte (in Postgres: `COLLATE "C"`). Equal metadata is equal text. A source without an
 * offset has its epoch, and nothing else.
 *
 * There is one way to write a given state. The decoder takes that way and no other.
 */
import type { Checkpoint } from '../checkpoint.js';
import { OffsetSerializationError } from '../errors.js';
import { copyMetadata, metadataEquals, type Metadata, type MetadataValue } from '../metadata.js';
import { Offset } from '../offset.js';
import { quote, received } from '../validate.js';
import type { SourceState } from './commit-rules.js';
import {
  annotationsOf,
  needsAnnotation,
  revive,
  serializerLoaded,
  superjson,
  unwritableError,
} from './metadata-json.js';

export { loadSerializer } from './metadata-json.js';

/** The columns of a source, as they are written. */
export interface SourceRow {
  /** Null for a source without an offset, as are the next three. */
  readonly kind: Offset['kind'] | null;
  /** Of {@link encodePosition}. */
  readonly position: string | null;
  /** Of {@link encodeMetadata}; null where there is none. */
  readonly metadata: string | null;
  /** 0 … 2^53-1. */
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly committedAt: number | null;
}

/** The columns of a source, as a driver gives them: what is null may be undefined, and a number be a bigint or text. */
export type StoredRow = { readonly [column in keyof SourceRow]?: unknown };

const SEQUENCE_DIGITS = 20;
const SEQUENCE = /^[0-9]{20}$/;

/** Added to milliseconds since 1970, it makes those of every Date positive, and legible from 1970 on: 1 and the digits. */
const TIMESTAMP_BIAS = 10n ** 16n;
const TIMESTAMP_DIGITS = 17;
const TIMESTAMP = /^[01][0-9]{16}$/;

/**
 * The offset's `position`. Sequence: its 20 digits, zeros in front. Timestamp: 10^16 plus its milliseconds since
 * 1970, in 17 digits. Custom: itself, save that a backslash is doubled and U+0000, which databases cannot hold
 * or cut a text at, is `\0`. Earliest and latest: nothing.
 */
export function encodePosition(offset: Offset): string {
  switch (offset.kind) {
    case 'sequence':
      return offset.value.toString().padStart(SEQUENCE_DIGITS, '0');
    case 'timestamp':
      return (BigInt(offset.value.getTime()) + TIMESTAMP_BIAS).toString().padStart(TIMESTAMP_DIGITS, '0');
    case 'custom':
      return offset.value.replaceAll('\\', '\\\\').replaceAll('\0', '\\0');
    default:
      return '';
  }
}

function decodeOffset(kind: unknown, position: unknown): Offset {
  if (typeof position !== 'string') throw new Error(`a position that is no text, but ${received(position)}`);
  switch (kind) {
    case 'sequence':
      if (!SEQUENCE.test(position)) break;
      return Offset.sequence(BigInt(position));
    case 'timestamp':
      if (!TIMESTAMP.test(position)) break;
      return Offset.timestamp(new Date(Number(BigInt(position) - TIMESTAMP_BIAS)));
    case 'custom': {
      const offset = Offset.custom(
        position.replace(/\\(.?)/gsu, (_, escaped) => (escaped === '0' ? '\0' : escaped)),
      );
      if (encodePosition(offset) !== position) break;
      return offset;
    }
    case 'earliest':
    case 'latest':
      if (position !== '') break;
      return Offset[kind];
    default:
      throw new Error(`an offset of a kind that there is not, ${received(kind)}`);
  }
  throw new Error(`a position that no ${kind} offset has, ${received(position)}`);
}

/** Whether {@link encodeMetadata} needs {@link loadSerializer} first. */
export function needsSerializer(metadata: Metadata | undefined): boolean {
  return !serializerLoaded() && needsAnnotation(metadata);
}

/** Whether {@link decodeRow} needs {@link loadSerializer} first. */
export function rowNeedsSerializer({ metadata }: StoredRow): boolean {
  return !serializerLoaded() && typeof metadata === 'string' && metadata.includes(',"meta":{');
}

/** The same, the keys of every object in one order: equal metadata then is equal text. */
function sorted(value: MetadataValue | undefined): MetadataValue | undefined {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map(sorted) as MetadataValue[];
  const object = value as Metadata;
  return Object.fromEntries(
    Object.keys(object)
      .toSorted()
      .map((key) => [key, sorted(object[key])]),
  );
}

function metadataText(metadata: Metadata): string {
  const ordered = sorted(metadata);
  return needsAnnotation(ordered)
    ? JSON.stringify(superjson().serialize(ordered))
    : `{"json":${JSON.stringify(ordered)}}`;
}

/**
 * The metadata's text: what superjson writes for it, its keys sorted. It holds no U+0000.
 *
 * @param metadata - a copy of {@link copyMetadata}'s
 * @throws OffsetSerializationError `OFFSET_SERIALIZATION` when it could not be read back as it is
 */
export function encodeMetadata(source: string, metadata: Metadata): string {
  const text = metadataText(metadata);
  // What JSON holds, it holds exactly; of the rest it is proved before it is written.
  if (!needsAnnotation(metadata)) return text;
  let cause: unknown;
  try {
    if (metadataEquals(decodeMetadata(text), metadata)) return text;
  } catch (error) {
    cause = error;
  }
  throw unwritableError(source, cause);
}

function decodeMetadata(text: unknown): Metadata {
  if (typeof text !== 'string') throw new Error(`metadata that is no text, but ${received(text)}`);
  const { json, meta } = JSON.parse(text) as { json: unknown; meta?: unknown };
  const metadata = copyMetadata(meta === undefined ? json : revive(json, undefined, annotationsOf(meta)));
  if (metadataText(metadata) !== text) throw new Error('metadata that is not written as we write it');
  return metadata;
}

/** The columns of what is kept. */
export function encodeRow(source: string, state: SourceState): SourceRow {
  if (state.offset === undefined) {
    return { kind: null, position: null, metadata: null, epoch: state.epoch, committedAt: null };
  }
  const { offset, epoch, metadata, committedAt } = state;
  return {
    kind: offset.kind,
    position: encodePosition(offset),
    metadata: metadata === undefined ? null : encodeMetadata(source, metadata),
    epoch,
    committedAt: committedAt.getTime(),
  };
}

const DIGITS = /^(?:0|-?[1-9][0-9]{0,15})$/;

/** An integer in any of the types that drivers give one in. */
function decodeInteger(what: string, value: unknown, min: number): number {
  const number =
    typeof value === 'bigint' || (typeof value === 'string' && DIGITS.test(value)) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < min) {
    throw new Error(`${what} that is none, ${received(value)}`);
  }
  return number;
}

/**
 * A source's epoch, in whatever type the driver gave it.
 *
 * @throws OffsetSerializationError `OFFSET_CORRUPT` for what is none
 */
export function decodeEpoch(source: string, value: unknown): number {
  return decoding(source, () => decodeInteger('an epoch', value, 0));
}

/**
 * What the columns say is kept for the source.
 *
 * @throws OffsetSerializationError `OFFSET_CORRUPT`, which names the source, for what {@link encodeRow} never writes
 */
export function decodeRow(source: string, row: StoredRow): SourceState {
  return decoding(source, () => decodeColumns(row));
}

function decoding<T>(source: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw new OffsetSerializationError(
      `What is stored for source ${quote(source)} is damaged: it has ${(error as Error).message}. It was left as it ` +
        'is. Put it right by hand, or reset() or clear() the source',
      { code: 'OFFSET_CORRUPT', source, cause: error },
    );
  }
}

function decodeColumns({
  kind,
  position,
  metadata,
  epoch: storedEpoch,
  committedAt,
}: StoredRow): SourceState {
  const epoch = decodeInteger('an epoch', storedEpoch, 0);
  if (absent(kind)) {
    if (absent(position) && absent(metadata) && absent(committedAt)) return { epoch };
    throw new Error('no kind of offset, and yet some part of one');
  }
  const time = new Date(decodeInteger('a time of commit', committedAt, Number.MIN_SAFE_INTEGER));
  if (Number.isNaN(time.getTime()))
    throw new Error(`a time of commit that is none, ${received(committedAt)}`);
  const checkpoint: Checkpoint = {
    offset: decodeOffset(kind, position),
    epoch,
    ...(absent(metadata) ? undefined : { metadata: decodeMetadata(metadata) }),
    committedAt: time,
  };
  return checkpoint;
}

function absent(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

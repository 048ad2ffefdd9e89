/**
 * The format of the file: one JSON document that any reader takes, of one line per source.
 *
 * ```
 * {"format":"streamweave-offset","version":1,"sha256":"<64 hex digits>",
 * "generation":7,"count":1,"sources":[
 * {"check":"<8 hex digits>","source":"orders","checkpoint":{"json":{…},"meta":{…}}}
 * ]}
 * ```
 *
 * `sha256` is that of every byte after the first line; `check` is the CRC-32 of the line's text from
 * `"source"` to its closing brace, so that lines can be saved one by one from a damaged file; `generation`
 * goes up by one at every write. A checkpoint is what superjson makes of it; that of a source without an
 * offset (cleared, or claimed before the first commit) is its epoch alone.
 *
 * There is exactly one way to write a given content. The decoder takes that way and no other: it encodes
 * again what it read, and compares. So nothing of what it did not understand is ever taken or lost.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { copyMetadata, metadataEquals, type Metadata } from '../../metadata.js';
import { Offset } from '../../offset.js';
import { assertSource, quote } from '../../validate.js';
import type { SourceState } from '../commit-rules.js';
import {
  annotationsOf,
  needsAnnotation,
  revive,
  serializerLoaded,
  superjson,
  unwritableError,
} from '../metadata-json.js';
import { decodeCrate } from './crate.js';
import { Entries, type Entry } from './entries.js';

export { loadSerializer } from '../metadata-json.js';

/** The version that this library writes, and the newest that it reads. */
const FORMAT_VERSION = 1;

/** What a file holds. Never changed once made. */
export interface Contents {
  /** `'missing'`: there is no file; `'crate'`: it is in the format of the Rust crate; else `'current'`. */
  readonly format: 'current' | 'crate' | 'missing';
  readonly bytes: Buffer;
  /** -1 where there is no file, 0 for the crate's, 1 and more for ours. */
  readonly generation: number;
  /** The checksum in the header of ours; else empty. */
  readonly digest: string;
  readonly entries: Entries;
}

export const MISSING: Contents = Object.freeze({
  format: 'missing',
  bytes: Buffer.alloc(0),
  generation: -1,
  digest: '',
  entries: Entries.NONE,
});

/**
 * Why bytes are not a content. `'damaged'`: they were ours once (or are empty, as crashes leave files);
 * `'foreign'`: nothing in them says that they ever were; `'oversized'`: there are too many to look;
 * `'newer'`: a later version wrote them.
 */
export class FormatError extends Error {
  constructor(
    readonly kind: 'damaged' | 'foreign' | 'oversized' | 'newer',
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

const HEADER_START = `{"format":"streamweave-offset","version":${FORMAT_VERSION},"sha256":"`;
const HEADER_END = '",\n';
const DIGEST_LENGTH = 64;
const HEADER_LENGTH = HEADER_START.length + DIGEST_LENGTH + HEADER_END.length;
const PREAMBLE = /^"generation":([1-9][0-9]{0,15}),"count":(0|[1-9][0-9]{0,8}),"sources":\[\n/;
const END = ']}\n';

/** Begins every line; a quote inside a JSON string is escaped, so it stands nowhere else. */
export const LINE_START = '{"check":"';
const CHECK_LENGTH = 8;
const CHECKED_FROM = LINE_START.length + CHECK_LENGTH + '",'.length;
const LINE = /^\{"check":"[0-9a-f]{8}","source":("(?:[^"\\]|\\.)*"),"checkpoint":(.*)\}$/s;

// Nearly every line of nearly every file: a sequence without metadata, of a source whose name has nothing that
// JSON escapes, and no more than 1024 bytes in any case. What matches is canonical but for the limits of its
// numbers and the day of its date.
const SEQUENCE_LINE =
  // oxlint-disable-next-line no-control-regex -- exactly what JSON.stringify escapes, and the halves of pairs.
  /^\{"check":"[0-9a-f]{8}","source":"[^"\\\u0000-\u001f\ud800-\udfff]{1,341}","checkpoint":\{"json":\{"offset":\{"kind":"sequence","value":"(?:0|[1-9][0-9]{0,19})"\},"epoch":(?:0|[1-9][0-9]{0,15}),"committedAt":"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"\},"meta":\{"values":\{"offset\.value":\["bigint"\],"committedAt":\["Date"\]\},"v":1\}\}\}$/;
// What stands between its parts: that it is there was seen, and so its length is enough.
const TO_NAME = '{"check":"00000000","source":"'.length;
const NAME_TO_VALUE = '","checkpoint":{"json":{"offset":{"kind":"sequence","value":"'.length;
const VALUE_TO_EPOCH = '"},"epoch":'.length;
const EPOCH_TO_TIME = ',"committedAt":"'.length;
const DAY_LENGTH = '2026-01-31T'.length;
const TIME_LENGTH = '2026-01-31T00:00:00.000Z'.length;

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** CRC-32 finds every damage of up to 32 bits in a row, and all but one in four thousand million of the others. */
function checkOf(text: string): string {
  return crc32(text).toString(16).padStart(CHECK_LENGTH, '0');
}

/**
 * What superjson writes for a checkpoint. Where it has no metadata, or such as JSON can hold, the text has
 * a fixed shape and is put together here, which is ten times as fast; a test proves the two equal.
 */
export function encodeCheckpoint(state: SourceState): string {
  if (state.offset === undefined) return `{"json":{"epoch":${state.epoch}}}`;
  const { offset, epoch, committedAt, metadata } = state;
  if (metadata !== undefined && needsAnnotation(metadata)) {
    return JSON.stringify(superjson().serialize({ offset, epoch, committedAt, metadata }));
  }
  let json: string;
  let annotations = '';
  switch (offset.kind) {
    case 'sequence':
      json = `{"kind":"sequence","value":"${offset.value}"}`;
      annotations = '"offset.value":["bigint"],';
      break;
    case 'timestamp':
      json = `{"kind":"timestamp","value":"${offset.value.toISOString()}"}`;
      annotations = '"offset.value":["Date"],';
      break;
    default:
      json = JSON.stringify(offset);
      break;
  }
  const rest = metadata === undefined ? '' : `,"metadata":${JSON.stringify(metadata)}`;
  return (
    `{"json":{"offset":${json},"epoch":${epoch},"committedAt":"${committedAt.toISOString()}"${rest}},` +
    `"meta":{"values":{${annotations}"committedAt":["Date"]},"v":1}}`
  );
}

/** The source's entry; its line is without the comma and the newline that may follow. */
export function encodeEntry(source: string, state: SourceState): Entry {
  const checked = `"source":${JSON.stringify(source)},"checkpoint":${encodeCheckpoint(state)}}`;
  const line = `${LINE_START}${checkOf(checked)}",${checked}`;
  return { source, line, size: Buffer.byteLength(line), state };
}

/** The lines of the file, with what separates them. */
function linesOf({ list }: Entries): Buffer[] {
  return list.length === 0 ? [] : [Buffer.from(`${list.map(({ line }) => line).join(',\n')}\n`)];
}

/**
 * The same, made of the bytes of the file before: a commit changes few of many lines, and what it leaves
 * need not be encoded again. The entries must be made from those of before, by {@link Entries.with}.
 */
function patchedLines({ list }: Entries, { bytes, entries: { list: before } }: Contents): Buffer[] {
  const parts: Buffer[] = [];
  // The last newline of the lines: what is added goes before it.
  const last = bytes.length - END.length - 1;
  let at = last + 2;
  for (const { size } of before) at -= size + 2;
  let from = at;
  for (const [index, previous] of before.entries()) {
    const entry = list[index];
    if (entry !== undefined && entry !== previous) {
      parts.push(bytes.subarray(from, at), Buffer.from(entry.line));
      from = at + previous.size;
    }
    at += previous.size + 2;
  }
  parts.push(bytes.subarray(from, last));
  for (const { line } of list.slice(before.length)) parts.push(Buffer.from(`,\n${line}`));
  parts.push(bytes.subarray(last, last + 1));
  return parts;
}

/**
 * The file that holds these entries.
 *
 * @param before - the contents that the entries were made from, by replacing some and adding others; saves
 *   the encoding of the others
 */
export function encode(generation: number, entries: Entries, before?: Contents): Contents {
  const patch = before?.format === 'current' && before.entries.size > 0 ? before : undefined;
  const bytes = Buffer.concat([
    Buffer.from(
      `${HEADER_START}${'0'.repeat(DIGEST_LENGTH)}${HEADER_END}` +
        `"generation":${generation},"count":${entries.size},"sources":[\n`,
    ),
    ...(patch === undefined ? linesOf(entries) : patchedLines(entries, patch)),
    Buffer.from(END),
  ]);
  const digest = sha256(bytes.subarray(HEADER_LENGTH));
  bytes.write(digest, HEADER_START.length, 'latin1');
  return { format: 'current', bytes, generation, digest, entries };
}

function damaged(message: string, cause?: unknown): FormatError {
  return new FormatError('damaged', message, cause);
}

/** The offset of superjson's JSON for it; whether it is the canonical form is seen when it is encoded again. */
function decodeOffset(json: unknown): Offset {
  const { kind, value } = json as { kind: unknown; value: unknown };
  switch (kind) {
    case 'sequence':
      return Offset.sequence(BigInt(value as string));
    case 'timestamp':
      return Offset.timestamp(new Date(value as string));
    case 'custom':
      return Offset.custom(value as string);
    case 'earliest':
      return Offset.earliest;
    case 'latest':
      return Offset.latest;
    default:
      throw damaged('an offset of no kind that there is');
  }
}

function decodeMetadata(parsed: { json: unknown; meta?: unknown }): Metadata {
  const { metadata } = parsed.json as { metadata: unknown };
  return copyMetadata(revive(metadata, 'metadata', annotationsOf(parsed.meta)));
}

/** @throws FormatError, and whatever else the parts throw: any error means that the text is not ours */
function decodeCheckpoint(text: string): SourceState {
  const parsed = JSON.parse(text) as { json: Readonly<Record<string, unknown>>; meta?: unknown };
  const { offset, epoch, committedAt, metadata } = parsed.json;
  if (!Number.isSafeInteger(epoch) || (epoch as number) < 0) throw damaged('an epoch that is none');
  let state: SourceState;
  if (offset === undefined) {
    state = { epoch: epoch as number };
  } else {
    state = {
      offset: decodeOffset(offset),
      epoch: epoch as number,
      ...(metadata === undefined ? undefined : { metadata: decodeMetadata(parsed) }),
      committedAt: new Date(committedAt as string),
    };
  }
  if (encodeCheckpoint(state) !== text) throw damaged('a checkpoint that is not written as we write it');
  return state;
}

const lastDay = { day: '', real: false };

/** Whether there is such a day (`2026-01-31T`). Most lines are of one day. */
function isDay(day: string): boolean {
  if (day !== lastDay.day) {
    const text = `${day}00:00:00.000Z`;
    const date = new Date(text);
    lastDay.day = day;
    // Date takes the 30th of February for the 2nd of March.
    lastDay.real = !Number.isNaN(date.getTime()) && date.toISOString() === text;
  }
  return lastDay.real;
}

/** The entry of a plain line; undefined for all others, right or wrong. */
function decodeSequenceLine(line: string, size: number): Entry | undefined {
  if (!SEQUENCE_LINE.test(line)) return undefined;
  const nameEnd = line.indexOf('"', TO_NAME);
  const valueFrom = nameEnd + NAME_TO_VALUE;
  const valueEnd = line.indexOf('"', valueFrom);
  const epochFrom = valueEnd + VALUE_TO_EPOCH;
  const epochEnd = line.indexOf(',', epochFrom);
  const timeFrom = epochEnd + EPOCH_TO_TIME;
  const epoch = Number(line.slice(epochFrom, epochEnd));
  if (!Number.isSafeInteger(epoch) || !isDay(line.slice(timeFrom, timeFrom + DAY_LENGTH))) return undefined;
  const source = line.slice(TO_NAME, nameEnd);
  const offset = Offset.sequence(BigInt(line.slice(valueFrom, valueEnd)));
  const state = { offset, epoch, committedAt: new Date(line.slice(timeFrom, timeFrom + TIME_LENGTH)) };
  return { source, line, size, state };
}

/**
 * What a line says.
 *
 * @param size - the length of the line in bytes
 * @throws FormatError
 */
export function decodeLine(line: string, size: number): Entry {
  try {
    const check = Number.parseInt(line.slice(LINE_START.length, LINE_START.length + CHECK_LENGTH), 16);
    if (!line.startsWith(LINE_START) || crc32(line.slice(CHECKED_FROM)) !== check) {
      throw damaged('a line that is not the one its check was made of');
    }
    const plain = decodeSequenceLine(line, size);
    if (plain !== undefined) return plain;
    const parts = LINE.exec(line);
    if (parts === null) throw damaged('a line that is not written as we write it');
    const [, name, checkpoint] = parts as unknown as [string, string, string];
    const source: unknown = JSON.parse(name);
    assertSource(source);
    if (JSON.stringify(source) !== name) throw damaged('a name that is not written as we write it');
    return { source, line, size, state: decodeCheckpoint(checkpoint) };
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw damaged(`a line that says what cannot be (${(error as Error).message})`, error);
  }
}

function decodeBody(body: Buffer, previous: Contents | undefined): { generation: number; entries: Entries } {
  const ascii = isAscii(body);
  const text = body.toString(ascii ? 'latin1' : 'utf8');
  const [preamble, generation, count] = PREAMBLE.exec(text) ?? [];
  if (preamble === undefined || !text.endsWith(END))
    throw damaged('it does not begin and end as we write it');
  const from = preamble.length;
  const to = text.length - END.length;
  if (from < to && text[to - 1] !== '\n') throw damaged('its last line has no end');
  // No line holds a newline, as JSON writes that with an escape.
  const lines = from === to ? [] : text.slice(from, to - 1).split(',\n');
  if (lines.length !== Number(count)) {
    throw damaged(`it says that it holds ${count} sources, and holds ${lines.length}`);
  }
  const known = previous?.entries.list ?? [];
  const list: Entry[] = [];
  for (const [index, line] of lines.entries()) {
    // A commit changes few lines and moves none. Those that stand where they stood need no second look.
    const before = known[index];
    list.push(
      before?.line === line ? before : decodeLine(line, ascii ? line.length : Buffer.byteLength(line)),
    );
  }
  const entries = Entries.of(list);
  if (entries.size !== list.length) throw damaged('a source stands in it twice');
  if (!Number.isSafeInteger(Number(generation))) throw damaged('its generation is none');
  return { generation: Number(generation), entries };
}

const NEWER =
  /^\s*\{\s*"format"\s*:\s*"streamweave-offset"\s*,\s*"version"\s*:\s*([1-9][0-9]{0,15})(?![0-9.eE])/;
// Nothing looser: a package.json that depends on this library names it too, and is not ours to keep or mend.
const TRACES = [
  '"format":"streamweave-offset"',
  '"format": "streamweave-offset"',
  LINE_START,
  '"sources":[\n',
];

/** Whether the bytes are, or may have been, a file of ours: also what a crash leaves of one, nothing or NULs. */
function mayBeOurs(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0) || TRACES.some((trace) => bytes.includes(trace));
}

/** What bytes without our header are. */
function decodeOther(bytes: Buffer, modified: Date): Contents {
  const head = bytes.subarray(0, 256).toString('latin1');
  const version = Number(NEWER.exec(head)?.[1] ?? Number.NaN);
  if (version > FORMAT_VERSION) {
    throw new FormatError(
      'newer',
      `it is of format version ${version}, and this version of the library knows those up to ${FORMAT_VERSION}`,
    );
  }
  let crateError: unknown;
  try {
    const list = Array.from(decodeCrate(bytes, modified), ([source, state]) => encodeEntry(source, state));
    const entries = Entries.NONE.with(list);
    return { format: 'crate', bytes, generation: 0, digest: '', entries };
  } catch (error) {
    crateError = error;
  }
  if (!mayBeOurs(bytes)) {
    throw new FormatError(
      'foreign',
      `it is not an offsets file, neither of this library nor of the Rust crate (${(crateError as Error).message})`,
    );
  }
  if (bytes.length === 0) throw damaged('it is empty');
  if (bytes.every((byte) => byte === 0)) throw damaged(`it is ${bytes.length} NUL bytes`);
  throw damaged('its first line is not as it was written');
}

/** Whether {@link decode} needs {@link loadSerializer} first. */
export function needsSerializer(bytes: Buffer): boolean {
  return !serializerLoaded() && bytes.includes(',"metadata":{');
}

/**
 * What the bytes of a file hold.
 *
 * @param modified - when the file was written; stands in where a format does not say when offsets were committed
 * @param previous - what the file held before, to save the decoding of what did not change
 * @throws FormatError
 */
export function decode(bytes: Buffer, modified: Date, previous?: Contents): Contents {
  if (bytes.toString('latin1', 0, HEADER_START.length) !== HEADER_START) return decodeOther(bytes, modified);
  const digest = bytes.toString('latin1', HEADER_START.length, HEADER_START.length + DIGEST_LENGTH);
  if (bytes.toString('latin1', HEADER_START.length + DIGEST_LENGTH, HEADER_LENGTH) !== HEADER_END) {
    throw damaged('its first line is not as it was written');
  }
  const body = bytes.subarray(HEADER_LENGTH);
  const actual = sha256(body);
  if (actual !== digest) {
    throw damaged(`its checksum is ${quote(digest)}, and that of its ${body.length} bytes is "${actual}"`);
  }
  if (!isUtf8(body)) throw damaged('it is not UTF-8');
  const { generation, entries } = decodeBody(body, previous);
  return { format: 'current', bytes, generation, digest, entries };
}

/** What a damaged file of ours says of itself, where that can be read; it may be wrong. */
export function claims(bytes: Buffer): { readonly generation: number; readonly count: number } | undefined {
  const preamble = PREAMBLE.exec(bytes.toString('latin1', HEADER_LENGTH, HEADER_LENGTH + 100));
  return preamble === null ? undefined : { generation: Number(preamble[1]), count: Number(preamble[2]) };
}

/**
 * Proves, before anything touches the disk, that metadata can be written and read back as it is.
 *
 * @throws OffsetSerializationError `OFFSET_SERIALIZATION`
 */
export function proveMetadata(source: string, metadata: Metadata): void {
  let cause: unknown;
  try {
    const state = { offset: Offset.earliest, epoch: 0, metadata, committedAt: new Date(0) };
    const { line, size } = encodeEntry('metadata', state);
    const read = decodeLine(line, size).state;
    if (read.offset !== undefined && metadataEquals(read.metadata, metadata)) return;
  } catch (error) {
    cause = error;
  }
  throw unwritableError(source, cause);
}

import { constants } from 'node:buffer';
import { fileURLToPath } from 'node:url';
import type { Checkpoint } from '../checkpoint.js';
import { Offset, type OffsetInput } from '../offset.js';
import {
  argumentRangeError,
  argumentTypeError,
  assertInteger,
  assertOptions,
  assertSignal,
} from '../validate.js';
import type { LineFile } from './line-file.js';
import type { FileLine, LineSplitter } from './line-splitter.js';
import { type Fingerprint, fingerprintIn, notASequenceError } from './resume-point.js';

export type { FileLine } from './line-splitter.js';

const DEFAULT_CHUNK_BYTES = 65_536;
const DEFAULT_MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Two buffers of this size are held. */
const MAX_CHUNK_BYTES = 2 ** 30;

/** What {@link readLines} takes beside the path. */
export interface ReadLinesOptions {
  /**
   * What `tracker.getCheckpoint(source)` or `tracker.getOffset(source)` gave: the offset of the last line whose
   * work is done. A checkpoint is better than an offset alone: the fingerprint in its metadata is checked too.
   * `undefined` and earliest: from the start. Latest: nothing of what is in the file now. Default: from the start.
   */
  readonly after?: OffsetInput | Checkpoint | undefined;
  /**
   * What becomes of a last line that has no terminator. `'deliver'`: it is a line. `'hold'`: it is not delivered
   * before its terminator is there; for a file that is still being written. Default: `'deliver'`.
   */
  readonly lastLine?: 'deliver' | 'hold' | undefined;
  /**
   * The longest line, in bytes without its terminator, 1 … 536,870,888. A longer one is an error; up to this
   * much, and a chunk, is held in memory. Default: 16,777,216 (16 MiB).
   */
  readonly maxLineBytes?: number | undefined;
  /**
   * What becomes of a line that is not UTF-8. `'error'`: reading stops there with an `OffsetIoError`, and what
   * was delivered before stands. `'replace'`: U+FFFD stands in the text for what could not be decoded. Offsets
   * are exact in both cases. Default: `'error'`.
   */
  readonly invalidUtf8?: 'error' | 'replace' | undefined;
  /**
   * How much is read at a time, in bytes, 1 … 2^30; two buffers of this size are held. A line of 13 characters
   * or more that is kept for long may keep as much in memory with it, as V8's substrings do. Default: 65,536.
   */
  readonly chunkBytes?: number | undefined;
  /** Aborting makes the next line reject with the signal's reason, and closes the file. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The lines of a UTF-8 file, each with the offset to record once its work is done; a later run goes on exactly
 * after the last one recorded, at once, wherever in the file that is. It ends at the end of the file: to follow
 * one that grows, run it again (`tail -f` and the like never end), and decompress a compressed file first,
 * because there is no resuming in the middle of one.
 *
 * The offset of a line is the byte position just past its terminator, `\n` or `\r\n`. A byte order mark at the
 * beginning of the file is not part of the first line. The last line needs no terminator: its offset is then
 * the size of the file, and a terminator that is written later is taken as its own. If the line itself was made
 * longer meanwhile, the next run says so with an error, and does not deliver a torn rest; read files that are
 * still being written with `lastLine: 'hold'`.
 *
 * The metadata of a line has the SHA-256 of the file's first 1024 bytes (fewer if there are no more) as
 * `fingerprint`, and how many they were as `fingerprintBytes`. Record it, and pass the whole checkpoint as
 * `after`: another file at the same path, or one that was rewritten, is then an error and never a silent
 * restart.
 *
 * The file is opened when the first line is asked for, and closed at the end, after an error, and when the
 * loop is left. Like any generator it is consumed once; call `readLines()` again for another run.
 *
 * @param path - a path, or a `file:` URL, of a regular file
 * @returns the lines; errors come in the place of the line that they are about:
 *   `InvalidOffsetError` `OFFSET_INVALID` where `after` is past the end of the file, or not the end of a line, or
 *   of a file that began otherwise; `OffsetIoError` `OFFSET_IO` where the file cannot be read (the original error
 *   is its `cause`), is cut while it is read, or has a line that is too long or not UTF-8
 * @throws TypeError or RangeError for arguments of the wrong type or range; InvalidOffsetError `OFFSET_INVALID`
 *   for an `after` that is no offset, or a timestamp or custom one. Both at the call.
 * @example
 * ```ts
 * const after = await tracker.getCheckpoint('events');
 * for await (const { line, offset, metadata } of readLines('events.jsonl', { after })) {
 *   await handle(JSON.parse(line));
 *   await tracker.record('events', offset, { metadata });
 * }
 * ```
 */
export function readLines(
  path: string | URL,
  options?: ReadLinesOptions,
): AsyncGenerator<FileLine, void, undefined> {
  return new LineReader(checkedPath(path), checkedOptions(options));
}

interface CheckedOptions {
  readonly after: Offset | undefined;
  readonly known: Fingerprint | undefined;
  readonly hold: boolean;
  readonly maxLineBytes: number;
  readonly invalidUtf8: 'error' | 'replace';
  readonly chunkBytes: number;
  readonly signal: AbortSignal | undefined;
}

function checkedPath(path: unknown): string {
  const expected = '`path` to be a path (not empty, without U+0000) or a file: URL';
  let text = path;
  // By shape, because a URL may be of another realm.
  if (typeof path === 'object' && path !== null && 'href' in path && 'protocol' in path) {
    if (path.protocol !== 'file:') throw argumentTypeError(expected, String(path.href));
    text = fileURLToPath(String(path.href));
  }
  if (typeof text !== 'string') throw argumentTypeError(expected, path);
  if (text === '' || text.includes('\0')) throw argumentRangeError(expected, text);
  return text;
}

function checkedOptions(options: ReadLinesOptions | undefined): CheckedOptions {
  assertOptions('options', options);
  const {
    after,
    lastLine = 'deliver',
    maxLineBytes = DEFAULT_MAX_LINE_BYTES,
    invalidUtf8 = 'error',
    chunkBytes = DEFAULT_CHUNK_BYTES,
    signal,
  } = options ?? {};
  if (lastLine !== 'deliver' && lastLine !== 'hold') {
    throw argumentTypeError("`lastLine` to be 'deliver' or 'hold'", lastLine);
  }
  if (invalidUtf8 !== 'error' && invalidUtf8 !== 'replace') {
    throw argumentTypeError("`invalidUtf8` to be 'error' or 'replace'", invalidUtf8);
  }
  assertInteger('maxLineBytes', maxLineBytes, 1, constants.MAX_STRING_LENGTH);
  assertInteger('chunkBytes', chunkBytes, 1, MAX_CHUNK_BYTES);
  assertSignal(signal);
  return { ...checkedAfter(after), hold: lastLine === 'hold', maxLineBytes, invalidUtf8, chunkBytes, signal };
}

function checkedAfter(after: OffsetInput | Checkpoint | undefined): Pick<CheckedOptions, 'after' | 'known'> {
  if (after === undefined) return { after, known: undefined };
  const checkpoint = isCheckpoint(after) ? after : undefined;
  const offset = Offset.from(checkpoint?.offset ?? (after as OffsetInput));
  if (offset.kind === 'timestamp' || offset.kind === 'custom') throw notASequenceError(offset);
  return { after: offset, known: fingerprintIn(checkpoint?.metadata) };
}

function isCheckpoint(after: OffsetInput | Checkpoint): after is Checkpoint {
  return typeof after === 'object' && after !== null && 'offset' in after;
}

type Result = IteratorResult<FileLine, void>;

/**
 * An async generator by hand: one that is written with `yield` waits several turns for each line, and here
 * nothing is waited for while the lines of a chunk last.
 */
class LineReader implements AsyncGenerator<FileLine, void, undefined> {
  readonly #path: string;
  readonly #options: CheckedOptions;
  #reading: { readonly file: LineFile; readonly splitter: LineSplitter } | undefined;
  #done = false;

  /** The last of the calls that wait, while there are any: the next one must not overtake it. */
  #last: Promise<unknown> | undefined;

  constructor(path: string, options: CheckedOptions) {
    this.#path = path;
    this.#options = options;
  }

  next(): Promise<Result> {
    if (this.#last === undefined && this.#reading !== undefined && !this.#options.signal?.aborted) {
      try {
        const value = this.#reading.splitter.take();
        if (value !== undefined) return Promise.resolve({ done: false, value });
      } catch {
        // #advance() meets the same error, and closes the file before it lets it out.
      }
    }
    return this.#inTurn(() => this.#advance());
  }

  return(): Promise<Result> {
    return this.#inTurn(async () => {
      await this.#close();
      return { done: true, value: undefined };
    });
  }

  throw(error: unknown): Promise<Result> {
    return this.#inTurn(async () => {
      await this.#close();
      throw error;
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Runs the job after those that were asked for before, as a generator would. */
  #inTurn(job: () => Promise<Result>): Promise<Result> {
    const result = this.#last === undefined ? job() : this.#last.then(job, job);
    this.#last = result;
    const settled = (): void => {
      if (this.#last === result) this.#last = undefined;
    };
    result.then(settled, settled);
    return result;
  }

  async #advance(): Promise<Result> {
    if (this.#done) return { done: true, value: undefined };
    const { signal, hold } = this.#options;
    try {
      signal?.throwIfAborted();
      const { file, splitter } = (this.#reading ??= await this.#open());
      for (;;) {
        const line = splitter.take();
        if (line !== undefined) return { done: false, value: line };
        const chunk = await file.read();
        signal?.throwIfAborted();
        if (chunk.length === 0) break;
        splitter.feed(chunk);
      }
      const last = hold ? undefined : splitter.finish();
      await this.#close();
      return last === undefined ? { done: true, value: undefined } : { done: false, value: last };
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  async #open(): Promise<{ file: LineFile; splitter: LineSplitter }> {
    const { after, known, chunkBytes, maxLineBytes, invalidUtf8 } = this.#options;
    // Loaded here, not with the package: most of its users read no files.
    const { LineFile } = await import('./line-file.js');
    const { LineSplitter } = await import('./line-splitter.js');
    const file = await LineFile.open(this.#path, after, known, chunkBytes);
    const { start, metadata } = file;
    return {
      file,
      splitter: new LineSplitter({ path: this.#path, start, metadata, maxLineBytes, invalidUtf8 }),
    };
  }

  async #close(): Promise<void> {
    const reading = this.#reading;
    this.#done = true;
    this.#reading = undefined;
    await reading?.file.close();
  }
}

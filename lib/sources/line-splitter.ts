import { isAscii, isUtf8, transcode } from 'node:buffer';
import { OffsetIoError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import type { SequenceOffset } from '../offset.js';
import { quote } from '../validate.js';

const LF = 0x0a;
const CR = 0x0d;
const NOTHING = Buffer.alloc(0);

/** One line of a file. */
export interface FileLine {
  /** The text, without its terminator: `\n` or `\r\n`. A lone `\r` is part of it. */
  readonly line: string;
  /** The byte position just past the line and its terminator, where the next line begins. */
  readonly offset: SequenceOffset;
  /** The file's fingerprint, to be recorded with the offset; the same frozen object for every line of a run. */
  readonly metadata: Metadata;
}

/** What a splitter is told of the file and of the lines wanted. */
export interface LineSplitterOptions {
  readonly path: string;
  /** The byte of the file at which the first chunk begins. */
  readonly start: number;
  readonly metadata: Metadata;
  readonly maxLineBytes: number;
  readonly invalidUtf8: 'error' | 'replace';
}

/**
 * Turns the chunks of a file into its lines. What `take` throws comes in the place of the line that it is
 * about, after all lines before it.
 */
export class LineSplitter {
  readonly #options: LineSplitterOptions;

  /** The byte of the file just past the last chunk. */
  #fed: number;

  /** The line that began in an earlier chunk and ended in this one. */
  #straddling: FileLine | undefined;

  // The lines that begin and end in this chunk, and how far they are taken. #latin1 has one character for each
  // byte: in it the line feeds are found at their byte positions, faster than in the bytes.
  #lines: Buffer = NOTHING;
  #linesStart = 0;
  #latin1 = '';
  #from = 0;

  /** The same lines as text; undefined where it is to be decoded line by line. */
  #text: string | undefined = '';
  #textFrom = 0;

  /** The beginning of a line whose end has not come yet: copies, because chunks are read into again. */
  #rest: Buffer[] = [];
  #restBytes = 0;

  constructor(options: LineSplitterOptions) {
    this.#options = options;
    this.#fed = options.start;
  }

  /** Takes in the next bytes, which stay as they are until the next call. All lines before were taken. */
  feed(chunk: Buffer): void {
    const chunkStart = this.#fed;
    this.#fed += chunk.length;
    const first = chunk.indexOf(LF);
    if (first < 0) {
      this.#keep(chunk);
      return;
    }
    let from = 0;
    if (this.#restBytes > 0) {
      from = first + 1;
      this.#straddling = this.#join(chunk.subarray(0, from), chunkStart + from);
    }
    const end = chunk.lastIndexOf(LF) + 1;
    this.#lines = chunk.subarray(from, end);
    this.#linesStart = chunkStart + from;
    this.#latin1 = this.#lines.toString('latin1');
    this.#from = 0;
    this.#text = isAscii(this.#lines) ? this.#latin1 : decodeWhole(this.#lines);
    this.#textFrom = 0;
    this.#keep(chunk.subarray(end));
  }

  /**
   * The next line; undefined when more bytes are needed first.
   *
   * @throws OffsetIoError `OFFSET_IO` for a line that is too long or not UTF-8; again at each call
   */
  take(): FileLine | undefined {
    const straddling = this.#straddling;
    if (straddling !== undefined) {
      this.#straddling = undefined;
      return straddling;
    }
    const from = this.#from;
    if (from >= this.#lines.length) {
      // One byte more may be the \r of its terminator.
      if (this.#restBytes > this.#options.maxLineBytes + 1) throw this.#tooLong(this.#fed - this.#restBytes);
      return undefined;
    }
    const lineFeed = this.#latin1.indexOf('\n', from);
    const terminator = lineFeed > from && this.#latin1.charCodeAt(lineFeed - 1) === CR ? 2 : 1;
    const next = lineFeed + 1;
    const stop = next - terminator;
    if (stop - from > this.#options.maxLineBytes) throw this.#tooLong(this.#linesStart + from);
    let line: string;
    if (this.#text === undefined) {
      line = this.#decode(this.#lines.subarray(from, stop), this.#linesStart + from);
    } else if (this.#text === this.#latin1) {
      line = this.#text.slice(from, stop);
    } else {
      const textFrom = this.#textFrom;
      this.#textFrom = this.#text.indexOf('\n', textFrom) + 1;
      line = this.#text.slice(textFrom, this.#textFrom - terminator);
    }
    this.#from = next;
    return this.#line(line, this.#linesStart + next);
  }

  /** The last line, where it has no terminator: what is left when no more bytes come. */
  finish(): FileLine | undefined {
    if (this.#restBytes === 0) return undefined;
    return this.#join(NOTHING, this.#fed);
  }

  #line(line: string, end: number): FileLine {
    return { line, offset: { kind: 'sequence', value: BigInt(end) }, metadata: this.#options.metadata };
  }

  #decode(bytes: Buffer, start: number): string {
    if (this.#options.invalidUtf8 === 'error' && !isUtf8(bytes)) throw this.#notUtf8(start);
    return bytes.toString('utf8');
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#rest.push(Buffer.from(bytes));
    this.#restBytes += bytes.length;
  }

  /** The line of what was kept and `last`, which has its terminator if there is one, and ends at byte `end`. */
  #join(last: Buffer, end: number): FileLine {
    const bytes = Buffer.concat([...this.#rest, last]);
    this.#rest = [];
    this.#restBytes = 0;
    let stop = bytes.length;
    if (bytes[stop - 1] === LF) stop -= bytes[stop - 2] === CR ? 2 : 1;
    if (stop > this.#options.maxLineBytes) throw this.#tooLong(end - bytes.length);
    return this.#line(this.#decode(bytes.subarray(0, stop), end - bytes.length), end);
  }

  #tooLong(start: number): OffsetIoError {
    const { path, maxLineBytes } = this.#options;
    return new OffsetIoError(
      `Expected lines of at most ${maxLineBytes} bytes (\`maxLineBytes\`), got a longer one at byte ${start} of ` +
        `${quote(path)}; raise the limit if that line is meant to be so long`,
    );
  }

  #notUtf8(start: number): OffsetIoError {
    const { path } = this.#options;
    return new OffsetIoError(
      `Expected UTF-8, got other bytes in the line at byte ${start} of ${quote(path)}; convert the file, or read it ` +
        "with `invalidUtf8: 'replace'`, which puts U+FFFD in their place",
    );
  }
}

/**
 * The text of the bytes; undefined where they are not all UTF-8. By way of UTF-16, which takes a third of the
 * time that decoding to a string takes on Node 20.
 */
function decodeWhole(bytes: Buffer): string | undefined {
  if (!isUtf8(bytes)) return undefined;
  // Not there in a Node that was built without ICU.
  return (transcode as typeof transcode | undefined)?.(bytes, 'utf8', 'utf16le').toString('utf16le');
}

import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { InvalidOffsetError, OffsetIoError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import type { Offset } from '../offset.js';
import { quote } from '../validate.js';
import { fingerprintOf, stillBeginsWith } from './fingerprint.js';
import { type Fingerprint, FINGERPRINT_BYTES, notASequenceError } from './resume-point.js';

const LF = 0x0a;
const CR = 0x0d;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const NOTHING = Buffer.alloc(0);

/** How far back an error looks for the beginning of a line, in bytes. */
const LOOK_BACK_BYTES = 65_536;

/** Where in a file reading goes on; `end`: nothing stands there that could be a line. */
type Start = number | 'end';

/** A file open for reading in chunks, from where a run before left off. */
export class LineFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #sizeAtOpen: number;
  readonly #buffers: [Buffer, Buffer];
  #ahead: Promise<Buffer> | undefined;
  #ended: boolean;
  #position: number;

  /** The byte at which the first chunk begins. */
  readonly start: number;

  /** The same frozen object for every line of the run. */
  readonly metadata: Metadata;

  private constructor(
    path: string,
    handle: FileHandle,
    sizeAtOpen: number,
    start: Start,
    metadata: Metadata,
    chunkBytes: number,
  ) {
    this.#path = path;
    this.#handle = handle;
    this.#sizeAtOpen = sizeAtOpen;
    this.#ended = start === 'end';
    this.start = start === 'end' ? sizeAtOpen : start;
    this.#position = this.start;
    this.metadata = metadata;
    // Two, so that one can be read into while the lines of the other are consumed.
    this.#buffers = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)];
  }

  /**
   * Opens the file, checks that it is the one that `known` was taken of, and finds where to go on.
   *
   * @throws OffsetIoError `OFFSET_IO` for what cannot be opened or read, or is no regular file
   * @throws InvalidOffsetError `OFFSET_INVALID` for an offset that is not the end of a line of this file
   */
  static async open(
    path: string,
    after: Offset | undefined,
    known: Fingerprint | undefined,
    chunkBytes: number,
  ): Promise<LineFile> {
    // O_NONBLOCK changes nothing for a regular file; without it, opening a FIFO would wait for a writer. It is
    // not there on Windows.
    const flags = constants.O_RDONLY | ((constants.O_NONBLOCK as number | undefined) ?? 0);
    const handle = await attempt('open', path, () => open(path, flags));
    try {
      const stats = await attempt('look at', path, () => handle.stat());
      if (!stats.isFile()) {
        throw new OffsetIoError(
          `Expected a regular file at ${quote(path)}, found ${stats.isDirectory() ? 'a directory' : 'a device, pipe or socket'}: ` +
            'only a file can be read again from a byte position',
        );
      }
      const head = await readFully(path, handle, 0, FINGERPRINT_BYTES);
      if (known !== undefined && !stillBeginsWith(head, known)) throw otherFileError(path, head, known);
      const start = await findStart(path, handle, stats.size, head, after);
      const metadata = Object.freeze({ ...fingerprintOf(head) });
      return new LineFile(path, handle, stats.size, start, metadata, chunkBytes);
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }

  /**
   * The next bytes; none at the end of the file. They are the caller's until the next call, which asks for
   * the ones after them ahead of time.
   *
   * @throws OffsetIoError `OFFSET_IO` when reading fails, or the file became shorter than it was
   */
  async read(): Promise<Buffer> {
    if (this.#ended) return NOTHING;
    let chunk = await (this.#ahead ?? this.#readNext());
    // What was read ahead tells of a file that may have grown since: its end is asked for anew.
    if (chunk.length === 0 && this.#ahead !== undefined) chunk = await this.#readNext();
    if (chunk.length === 0) {
      this.#ended = true;
      await this.#assertNotCut();
      return NOTHING;
    }
    this.#position += chunk.length;
    this.#buffers.reverse();
    this.#ahead = this.#readNext();
    // Whoever asks for this chunk is told; where nobody asks any more, it is nobody's error.
    this.#ahead.catch(() => undefined);
    return chunk;
  }

  /** Closes the file, once a read that is under way is done. Nothing is lost if that fails: it was only read. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#handle.close().catch(() => undefined);
  }

  async #readNext(): Promise<Buffer> {
    const buffer = this.#buffers[0];
    const { bytesRead } = await attempt('read', this.#path, () =>
      this.#handle.read(buffer, 0, buffer.length, this.#position),
    );
    return buffer.subarray(0, bytesRead);
  }

  /** The bytes before the end of a file that was cut under our eyes are a torn line, not its last one. */
  async #assertNotCut(): Promise<void> {
    const { size } = await attempt('look at', this.#path, () => this.#handle.stat());
    // Files that the system makes up as they are read (/proc) say 0 and have bytes.
    const least = this.#sizeAtOpen === 0 ? 0 : Math.max(this.#sizeAtOpen, this.#position);
    if (size < least) {
      throw new OffsetIoError(
        `${quote(this.#path)} was cut from ${least} to ${size} bytes while it was read: rewrite files by ` +
          'renaming a new one into their place, and read that one from its start',
      );
    }
  }
}

async function attempt<T>(verb: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? String(cause);
    throw new OffsetIoError(
      `Could not ${verb} ${quote(path)}: ${code}; check that it is a file and that this process may read it`,
      { cause },
    );
  }
}

/** Up to `length` bytes from `position`; fewer only where the file ends before. */
async function readFully(
  path: string,
  handle: FileHandle,
  position: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await attempt('read', path, () =>
      handle.read(buffer, filled, length - filled, position + filled),
    );
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Where the line after the one that ends at `after` begins. */
async function findStart(
  path: string,
  handle: FileHandle,
  size: number,
  head: Buffer,
  after: Offset | undefined,
): Promise<Start> {
  const first = head.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0;
  if (after === undefined || after.kind === 'earliest') return first;
  if (after.kind === 'latest') return 'end';
  if (after.kind !== 'sequence') throw notASequenceError(after);
  if (after.value === 0n) return first;
  if (after.value > BigInt(size)) {
    throw new InvalidOffsetError(
      `Expected an offset up to ${size}, the bytes that ${quote(path)} has, got ${after.value}: the file was cut or ` +
        'replaced since. Read the file that the offset belongs to, or reset the source to Offset.earliest',
    );
  }
  const position = Number(after.value);
  if (position === first) return first;

  const around = await readFully(path, handle, position - 1, 3);
  if (around[0] === LF) return position;
  // The line that is done had no terminator when it was read. If the file still ends there, nothing is to be
  // read; a terminator that came since belongs to that line, and is no empty line after it.
  if (around.length <= 1) return 'end';
  if (around[1] === LF) return position + 1;
  if (around[1] === CR) {
    if (around[2] === LF) return position + 2;
    // Half a terminator, or the line goes on after all: the bytes to come decide.
    if (around.length === 2) return 'end';
  }
  throw await insideLineError(path, handle, position);
}

function otherFileError(path: string, head: Buffer, known: Fingerprint): InvalidOffsetError {
  const found =
    head.length < known.fingerprintBytes
      ? `it has ${head.length} bytes`
      : `the SHA-256 of its first ${known.fingerprintBytes} bytes is now ` +
        fingerprintOf(head.subarray(0, known.fingerprintBytes)).fingerprint;
  return new InvalidOffsetError(
    `Expected ${quote(path)} to begin with the ${known.fingerprintBytes} bytes of SHA-256 ${known.fingerprint} that the ` +
      `checkpoint was taken of, and ${found}: this is another file, or its beginning was rewritten. Read the file ` +
      'that the checkpoint belongs to, or reset the source to Offset.earliest to read this one from its start',
  );
}

async function insideLineError(
  path: string,
  handle: FileHandle,
  position: number,
): Promise<InvalidOffsetError> {
  const from = Math.max(0, position - LOOK_BACK_BYTES);
  const before = await readFully(path, handle, from, position - from);
  const lineFeed = before.lastIndexOf(LF);
  const lineStart = lineFeed >= 0 ? from + lineFeed + 1 : from === 0 ? 0 : undefined;
  return new InvalidOffsetError(
    `Expected the end of a line at byte ${position} of ${quote(path)}, and the line goes on` +
      `${lineStart === undefined ? '' : ` (it begins at byte ${lineStart})`}: the file's last line was handed out ` +
      'before it was written whole, or the offset is not of this file. Reset the source to ' +
      `${lineStart ? `Offset.sequence(${lineStart}n)` : 'Offset.earliest'} to have the whole line, and read files ` +
      "that are still being written with `lastLine: 'hold'`",
  );
}

import { constants } from 'node:fs';
import { OffsetSerializationError, UnsupportedError, type OffsetError } from '../../errors.js';
import { quote } from '../../validate.js';
import { type Contents, decode, FormatError, loadSerializer, MISSING, needsSerializer } from './codec.js';
import { codeOf, type FileStat, io, ioError, readFully } from './io.js';
import { linkBeside } from './keep.js';
import type { Runtime } from './runtime.js';

/** What a look into a file gives: contents that verify, or damage. */
type Sighting = { readonly bytes: Buffer } & (
  | { readonly contents: Contents; readonly damage: undefined }
  | { readonly contents: undefined; readonly damage: FormatError }
);

/** What stands at the path. */
export type Found = Sighting & {
  /** Undefined where there is no file. */
  readonly stat: FileStat | undefined;
  /** Open for reading, where it was asked for and there is a file; the caller closes it. */
  readonly fd: number | undefined;
};

// A named pipe would else keep the opening thread waiting for a writer.
const READ_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

const NO_FILE: Found = {
  contents: MISSING,
  damage: undefined,
  bytes: MISSING.bytes,
  stat: undefined,
  fd: undefined,
};

/**
 * Reads the file as it is now. It takes no lock, because the file is only ever replaced whole, and makes
 * nothing, so it works where nothing can be written.
 *
 * It keeps what was read last, and never serves it: each read goes to the disk and compares the bytes, and
 * only their decoding is saved. Time stamps and sizes are not trusted, as an edit in place may leave both
 * as they were (the clock of a file system is coarse), and inode numbers are used again.
 */
export class FileReader {
  readonly #runtime: Runtime;
  readonly path: string;
  #known: Contents | undefined;

  constructor(runtime: Runtime, path: string) {
    this.#runtime = runtime;
    this.path = path;
  }

  /** Takes over what a commit has just written. */
  knows(contents: Contents): void {
    this.#known = contents;
  }

  /**
   * The contents of the file.
   *
   * @throws OffsetSerializationError `OFFSET_CORRUPT`, UnsupportedError, OffsetIoError `OFFSET_IO`
   */
  async read(): Promise<Contents> {
    const { contents, damage, stat } = await this.look(false);
    if (contents === undefined) throw await this.refusal(damage, stat);
    return contents;
  }

  /**
   * What stands at the path.
   *
   * @throws OffsetIoError `OFFSET_IO`
   */
  async look(keepOpen: boolean): Promise<Found> {
    const { fs } = this.#runtime;
    const path = this.path;
    let fd: number;
    try {
      fd = await fs.open(path, READ_FLAGS);
    } catch (error) {
      // Only this says that there is nothing. Whatever else is wrong with the file is an error.
      if (codeOf(error) === 'ENOENT') return NO_FILE;
      throw ioError('open', path, error);
    }
    let found: Found | undefined;
    try {
      found = { ...(await this.#lookInto(fd)), fd: keepOpen ? fd : undefined };
      return found;
    } finally {
      if (found?.fd === undefined) await io('close', path, fs.close(fd));
    }
  }

  async #lookInto(fd: number): Promise<Sighting & { readonly stat: FileStat }> {
    const { fs, maxFileBytes } = this.#runtime;
    const path = this.path;
    const stat = await io('look at', path, fs.fstat(fd));
    if (!stat.isFile()) {
      const cause = Object.assign(new Error(`${path} is no regular file`), {
        code: stat.isDirectory() ? 'EISDIR' : 'EINVAL',
      });
      throw ioError('read, because it is no regular file,', path, cause);
    }
    if (stat.size > maxFileBytes) {
      const damage = new FormatError(
        'oversized',
        `it has ${stat.size} bytes, and \`maxFileBytes\` allows ${maxFileBytes}. If that is right, raise the option`,
      );
      return { contents: undefined, damage, bytes: MISSING.bytes, stat };
    }
    const bytes = await io('read', path, readFully(fs, fd, Buffer.allocUnsafeSlow(Number(stat.size))));
    try {
      return { contents: await this.#decode(bytes, stat), damage: undefined, bytes, stat };
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return { contents: undefined, damage: error, bytes, stat };
    }
  }

  async #decode(bytes: Buffer, stat: FileStat): Promise<Contents> {
    if (this.#known?.bytes.equals(bytes) === true) return this.#known;
    if (needsSerializer(bytes)) await loadSerializer();
    this.#known = decode(bytes, new Date(Number(stat.mtimeMs)), this.#known);
    return this.#known;
  }

  /**
   * The error for a file that does not verify. The bytes stay as they are; a damaged file also gets a second
   * name, best effort, so that they stay whatever is done to the first.
   */
  async refusal(damage: FormatError, stat: FileStat | undefined): Promise<OffsetError> {
    const path = quote(this.path);
    const reason = damage.message;
    switch (damage.kind) {
      case 'newer':
        return new UnsupportedError(
          `The offsets file ${path} cannot be read: ${reason}. Nothing was written. Use the version that wrote it, or a newer one`,
          { cause: damage },
        );
      case 'damaged':
        return new OffsetSerializationError(
          `The offsets file ${path} is damaged: ${reason}. Its bytes were left as they are${await this.#quarantine(stat)}. ` +
            'Put a good file in its place, or call recover() to save what can be saved',
          { code: 'OFFSET_CORRUPT', cause: damage },
        );
      default:
        return new OffsetSerializationError(
          `The file ${path} cannot be taken for offsets: ${reason}. Nothing was changed. Choose another path, or move the file away`,
          { code: 'OFFSET_CORRUPT', cause: damage },
        );
    }
  }

  async #quarantine(stat: FileStat | undefined): Promise<string> {
    if (stat === undefined) return '';
    try {
      const kept = await linkBeside(this.#runtime, this.path, 'corrupt', stat);
      return kept === undefined ? '' : `, and are also kept as ${quote(kept)}`;
    } catch (error) {
      return `, and could not be kept under a second name (${codeOf(error) ?? 'no reason given'})`;
    }
  }
}

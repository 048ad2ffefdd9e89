/**
 * The few calls of the file system that the file store makes, and the one place where their errors become
 * ours. Everything that the store does to a disk goes through {@link FileSystem}, so a test can record,
 * fail, reorder or simulate it.
 */
import { constants } from 'node:os';
import { OffsetIoError } from '../../errors.js';
import { quote } from '../../validate.js';

/** What is asked of a file: its identity, what it is, how big it is, and whose. */
export interface FileStat {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly mode: bigint;
  readonly nlink: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly size: bigint;
  readonly mtimeMs: bigint;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

/** The calls, with the meaning they have in `node:fs`; each rejects with an error that carries a `code`. */
export interface FileSystem {
  open(path: string, flags: string | number, mode?: number): Promise<number>;
  close(fd: number): Promise<void>;
  read(
    fd: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  write(
    fd: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  fsync(fd: number): Promise<void>;
  fstat(fd: number): Promise<FileStat>;
  fchmod(fd: number, mode: number): Promise<void>;
  fchown(fd: number, uid: number, gid: number): Promise<void>;
  stat(path: string): Promise<FileStat>;
  lstat(path: string): Promise<FileStat>;
  realpath(path: string): Promise<string>;
  readlink(path: string): Promise<string>;
  readdir(path: string): Promise<string[]>;
  mkdir(path: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  rmdir(path: string): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /**
   * Whether the rules of Windows hold: an open file stands in the way of a rename, directories cannot be
   * flushed, and scanners hold files for a moment.
   */
  readonly windows: boolean;
}

/**
 * As much is read without leaving the thread: what is read so often is in the system's memory, and copying it
 * from there takes less time than waking another thread for it.
 */
const READ_AT_ONCE_BYTES = 65_536;

/** A call that waits for no disk, made at once; its error is a rejection all the same. */
async function atOnce<T>(call: () => T): Promise<T> {
  return call();
}

/**
 * The real file system, through fs-extra: promises over plain descriptors, and graceful-fs beneath, which
 * waits when the process is out of descriptors. Loaded at the first use, not with the package.
 *
 * A call that goes to another thread costs some 50 to 100 µs on the way there and back, most of it the event
 * loop's own time. Those that only ask for what the system has in memory (the stat of a file, a few bytes that
 * were just written) take less than 10, so they are made on this one. What may have to wait for a disk, or for a
 * descriptor, and every change, is not.
 */
export async function loadFileSystem(): Promise<FileSystem> {
  const { default: fs } = await import('fs-extra');
  return {
    open: (path, flags, mode) => fs.open(path, flags, mode),
    close: (fd) => fs.close(fd),
    read: (fd, buffer, offset, length, position) =>
      length <= READ_AT_ONCE_BYTES
        ? atOnce(() => ({ bytesRead: fs.readSync(fd, buffer, offset, length, position) }))
        : fs.read(fd, buffer, offset, length, position),
    write: (fd, buffer, offset, length, position) => fs.write(fd, buffer, offset, length, position),
    fsync: (fd) => fs.fsync(fd),
    fstat: (fd) => atOnce(() => fs.fstatSync(fd, { bigint: true })),
    fchmod: (fd, mode) => fs.fchmod(fd, mode),
    fchown: (fd, uid, gid) => fs.fchown(fd, uid, gid),
    stat: (path) => atOnce(() => fs.statSync(path, { bigint: true })),
    lstat: (path) => fs.lstat(path, { bigint: true }),
    realpath: (path) => fs.realpath(path),
    readlink: (path) => fs.readlink(path),
    readdir: (path) => fs.readdir(path),
    mkdir: (path) => fs.mkdir(path),
    chmod: (path, mode) => fs.chmod(path, mode),
    rmdir: (path) => fs.rmdir(path),
    link: (existing, path) => fs.link(existing, path),
    rename: (from, to) => fs.rename(from, to),
    unlink: (path) => fs.unlink(path),
    windows: process.platform === 'win32',
  };
}

/**
 * The code of an error of the operating system; undefined for anything else. Node knows no name for some of
 * them, a full quota (`EDQUOT`) above all, and calls them `Unknown system error -122`.
 */
export function codeOf(error: unknown): string | undefined {
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown };
  if (typeof code !== 'string') return undefined;
  if (typeof errno !== 'number' || !code.startsWith('Unknown system error')) return code;
  const known = Object.entries(constants.errno).find(([, number]) => number === -errno);
  return known === undefined ? code : known[0];
}

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Give this process permission for the file and for the directory it lies in',
  EPERM: 'Give this process permission for the file and for the directory it lies in',
  EROFS: 'The file system is read-only: offsets can be read there, not committed',
  EISDIR: 'Give the path of a file',
  ENOTDIR: 'A part of the path is a file where a directory must be',
  ENOSPC: 'Make room on the disk; what was committed before still stands',
  EDQUOT: 'Make room in the quota; what was committed before still stands',
  EMFILE: 'The process has too many open files: close some, or raise the limit (ulimit -n)',
  ENFILE: 'The system has too many open files',
  ENAMETOOLONG: 'Choose a shorter file name: the lock and the temporary directory add five characters to it',
  ELOOP: 'The symbolic links of the path go round in a circle',
  EBUSY: 'A single file mounted into a container cannot be replaced: mount the directory that holds it',
  EXDEV:
    'The temporary directory beside the file lies on another file system: unmount it, or mount the directory that holds both',
  EIO: 'The disk reports a fault; what was committed before still stands',
};

/** An error of the operating system in our words: what was being done, to which path, and what to do. */
export function ioError(
  step: string,
  path: string,
  cause: unknown,
  code: 'OFFSET_IO' | 'OFFSET_DURABILITY_UNKNOWN' = 'OFFSET_IO',
): OffsetIoError {
  const systemCode = codeOf(cause);
  const reason = systemCode ?? (cause instanceof Error ? quote(cause.message) : 'for an unknown reason');
  const advice = systemCode === undefined ? undefined : ADVICE[systemCode];
  const consequence =
    code === 'OFFSET_DURABILITY_UNKNOWN'
      ? '. The file was replaced, but whether that survives a power loss is not known; the next commit writes it again'
      : '';
  return new OffsetIoError(
    `Could not ${step} ${quote(path)}: ${reason}${consequence}${advice === undefined ? '' : `. ${advice}`}`,
    { code, cause },
  );
}

/** Awaits a call of the file system; its error becomes an `OFFSET_IO` that names the step and the path. */
export async function io<T>(step: string, path: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw ioError(step, path, error);
  }
}

/**
 * Awaits two calls that run at the same time, and only then throws the first error: neither goes on behind
 * the back of whoever cleans up.
 */
export async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return [first.value, second.value];
}

/** Writes all of the bytes from the file's beginning: a short write is gone on with, one of nothing is an error. */
export async function writeFully(fs: FileSystem, fd: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await fs.write(fd, bytes, done, bytes.length - done, done);
    if (bytesWritten <= 0) throw new Error(`wrote ${done} of ${bytes.length} bytes, and then nothing more`);
    done += bytesWritten;
  }
}

/**
 * Reads from the file's beginning until there is enough, the buffer is full or the file ends; gives the part
 * that was read. With a buffer larger than enough, a file that is longer than expected shows without another
 * call.
 */
export async function readFully(
  fs: FileSystem,
  fd: number,
  buffer: Buffer,
  enough = buffer.length,
): Promise<Buffer> {
  let done = 0;
  while (done < enough) {
    const { bytesRead } = await fs.read(fd, buffer, done, buffer.length - done, done);
    if (bytesRead <= 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/**
 * The commit protocol: how one file takes the place of another, by any number of processes at once, without
 * any of them undoing what another did. It rests on no lock.
 *
 * 1. Make the token: a new file of an unpredictable name in the directory of tokens. It will become the file.
 * 2. Sweep: remove every other token.
 * 3. Read the file. Decide what it shall be.
 * 4. Write that into the token, read it back, flush it.
 * 5. Rename the token to the file. Where the token is gone, another has swept it, and we begin again.
 * 6. Flush the directory that holds the file. Only now is the change acknowledged.
 *
 * Why that is enough: take two writers that both rename. Each made its token before it swept. So whichever
 * of the two swept later saw the token of the other, unless that had been renamed by then; and it did not
 * remove it, or the other's rename would have failed. So the other had renamed before the later sweep, which
 * comes before the later read: that writer decided with the other's change before its eyes. It matters that
 * the token is made before the sweep, and that the sweep comes before the read.
 *
 * Tokens have a directory of their own, `<file>.tmp`: a sweep lists it, and in a directory shared with
 * thousands of other files that would cost more than the commit. The argument needs only that all writers
 * list the same directory in which all make their tokens, and it lies beside the real path. A directory that
 * somebody removes takes the tokens in it along, and their owners lose. Step 6 flushes the directory of the
 * file and not that of the tokens: a crash may so bring a token's old name back, which is then one more name
 * of a file that nobody writes to any more, and goes with the next sweep.
 */
import { dirname, join } from 'node:path';
import { OffsetIoError } from '../../errors.js';
import { quote } from '../../validate.js';
import type { Contents } from './codec.js';
import { both, codeOf, type FileStat, io, ioError, readFully, writeFully } from './io.js';
import { keepBeside, type KeptKind } from './keep.js';
import { ancestorsOf, makeDirectories } from './location.js';
import type { FileReader, Found } from './reader.js';
import type { Runtime } from './runtime.js';

const TOKEN = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.token$/;

/** What the directories near the root answer that are of a kind that is never flushed. */
const CANNOT_FLUSH: ReadonlySet<string | undefined> = new Set([
  'EACCES',
  'EINVAL',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EPERM',
  'EROFS',
]);

/** How often a rename that Windows refuses, because a scanner holds the file, is tried again. */
const WINDOWS_RENAMES = 10;

/** What shall become of the file. */
export type Plan =
  | { readonly kind: 'replace'; readonly next: Contents; readonly keep?: KeptKind | undefined }
  /** It stays as it is, and that it will stay so is acknowledged: it must be durable. */
  | { readonly kind: 'acknowledge' }
  | { readonly kind: 'nothing' };

export interface Attempt {
  /**
   * Decides what becomes of the file; what it throws ends the attempt, and nothing is changed.
   *
   * @param mustWrite - whether what is acknowledged must be written even where nothing changes, because the
   *   last flush of the directory failed
   */
  readonly decide: (found: Found, mustWrite: boolean) => Promise<Plan>;
  /** Asked just before the rename; false gives up, as if the token had been swept. */
  readonly stillWanted: () => boolean;
}

/**
 * `'done'`: what was decided is durable; `metOthers` tells whether another had written since our last write.
 * `'swept'`: another was ahead, nothing is changed, begin again.
 * `'unprepared'`: the directory of tokens is not there; call {@link Replacer.prepare} and begin again.
 */
export type Outcome =
  | { readonly kind: 'done'; readonly kept: string | undefined; readonly metOthers: boolean }
  | { readonly kind: 'swept' | 'unprepared' };

interface Token {
  readonly path: string;
  readonly fd: number;
  open: boolean;
}

/**
 * The file that was read or written last, held open. As long as it is, its inode number cannot be given to
 * another file: so when the path leads to that number, it leads to this file.
 */
interface Pin {
  readonly fd: number;
  readonly dev: bigint;
  readonly ino: bigint;
  readonly contents: Contents;
}

export class Replacer {
  readonly #runtime: Runtime;
  readonly #path: string;
  readonly #directory: string;
  readonly #tokens: string;
  readonly #reader: FileReader;
  #pin: Pin | undefined;
  #written: Contents | undefined;
  #directoryFd: number | undefined;
  #scratch = Buffer.alloc(0);
  #prepared = false;
  /** Whether the directory was flushed since the pinned file took its place, as far as we know. */
  #settled = false;
  /** Whether a flush of the directory failed: what it should have made durable must be written anew. */
  #unknown = false;

  constructor(runtime: Runtime, path: string, reader: FileReader) {
    this.#runtime = runtime;
    this.#path = path;
    this.#directory = dirname(path);
    this.#tokens = `${path}.tmp`;
    this.#reader = reader;
  }

  /** False until {@link prepare} has been called, and again when the directories went away. */
  get prepared(): boolean {
    return this.#prepared;
  }

  /** Says that the directories are found missing. */
  unprepare(): void {
    this.#prepared = false;
  }

  /** Makes the directories that are missing. */
  async prepare(): Promise<void> {
    const { fs } = this.#runtime;
    await io('make the directory', this.#directory, makeDirectories(fs, this.#directory));
    try {
      await fs.mkdir(this.#tokens);
      // Whoever may make and remove files beside the store's file may do so here: all writers must be able
      // to sweep each other's tokens, and mkdir gives what the process's umask leaves. Where the directory is
      // sticky, nobody can replace a file of another user's, so there the tokens are the owner's alone.
      const { mode } = await fs.stat(this.#directory);
      const sticky = (mode & 0o1000n) !== 0n;
      await fs.chmod(this.#tokens, sticky ? 0o700 : Number(mode & 0o2777n));
    } catch (error) {
      const code = codeOf(error);
      // Gone again: another writer that closes has removed it. Making the token will tell, and lead back here.
      if (code !== 'EEXIST' && code !== 'ENOENT') throw ioError('make the directory', this.#tokens, error);
    }
    this.#prepared = true;
  }

  /**
   * Goes once through the protocol.
   *
   * @throws OffsetError; nothing is changed, save with `OFFSET_DURABILITY_UNKNOWN`
   */
  async attempt({ decide, stillWanted }: Attempt): Promise<Outcome> {
    const token = await this.#makeToken();
    if (token === undefined) return { kind: 'unprepared' };
    let installed = false;
    try {
      const tokenStat = await this.#sweep(token);
      if (tokenStat === undefined) return { kind: 'swept' };
      const found = await this.#find();
      const metOthers = found.contents !== this.#written;
      const plan = await decide(found, this.#unknown);
      if (plan.kind !== 'replace') {
        // The file may be another's, who has renamed it and not flushed the directory yet.
        if (plan.kind === 'acknowledge' && found.stat !== undefined && !this.#settled) {
          await this.#flushDirectory();
        }
        return { kind: 'done', kept: undefined, metOthers };
      }
      if (found.stat === undefined) await this.#flushAncestors();
      await this.#write(token, plan.next.bytes, found.stat, tokenStat);
      await this.#openDirectory();
      if (!stillWanted()) return { kind: 'swept' };
      let kept: string | undefined;
      if (plan.keep !== undefined && found.stat !== undefined) {
        const { bytes, stat } = found;
        kept = await io(
          'keep the old file beside the new one of',
          this.#path,
          keepBeside(this.#runtime, this.#path, plan.keep, stat, bytes),
        );
        if (kept === undefined) return { kind: 'swept' };
      }
      installed = await this.#rename(token, tokenStat);
      if (!installed) return { kind: 'swept' };
      await this.#install(token, tokenStat, plan.next);
      return { kind: 'done', kept, metOthers };
    } finally {
      if (!installed) await this.#discard(token);
    }
  }

  /** Lets go of all that is held open, and of the directory of tokens where nobody uses it. */
  async close(): Promise<void> {
    const { fs } = this.#runtime;
    await this.#unpin();
    await this.#closeDirectory();
    if (!this.#prepared) return;
    this.#prepared = false;
    try {
      await fs.rmdir(this.#tokens);
    } catch {
      // Another writer has a token in it, or has removed it already.
    }
  }

  async #makeToken(): Promise<Token | undefined> {
    const path = join(this.#tokens, `${this.#runtime.randomUUID()}.token`);
    try {
      return { path, fd: await this.#runtime.fs.open(path, 'wx+', 0o600), open: true };
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw ioError('make the temporary file', path, error);
      this.#prepared = false;
      return undefined;
    }
  }

  /** Gives undefined when the token was swept meanwhile, and the directory of tokens removed after it. */
  async #sweep(token: Token): Promise<FileStat | undefined> {
    const { fs } = this.#runtime;
    const [stat, names] = await both(io('look at', token.path, fs.fstat(token.fd)), this.#listTokens());
    if (names === undefined) return undefined;
    for (const name of names) {
      const path = join(this.#tokens, name);
      if (path === token.path || !TOKEN.test(name)) continue;
      try {
        await fs.unlink(path);
      } catch (error) {
        // A token that stays could still be renamed, so this is the end of the attempt.
        if (codeOf(error) !== 'ENOENT') throw ioError('remove the temporary file', path, error);
      }
    }
    return stat;
  }

  async #listTokens(): Promise<string[] | undefined> {
    try {
      return await this.#runtime.fs.readdir(this.#tokens);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw ioError('list', this.#tokens, error);
    }
  }

  /** What stands at the path now. Whatever is told apart here is told apart after the sweep. */
  async #find(): Promise<Found> {
    if (this.#pin !== undefined) {
      const { fd, dev, ino, contents } = this.#pin;
      const [stat, bytes] = await both(
        this.#statFile(),
        io('read', this.#path, this.#readAs(fd, contents.bytes)),
      );
      if (stat?.ino === ino && stat.dev === dev && bytes.equals(contents.bytes)) {
        return { contents, damage: undefined, bytes: contents.bytes, stat, fd: undefined };
      }
      await this.#unpin();
      // Another has written. It may also be that the directory itself was replaced, and ours leads nowhere.
      await this.#closeDirectory();
    }
    this.#settled = false;
    const found = await this.#reader.look(!this.#runtime.fs.windows);
    const { contents, stat, fd } = found;
    if (fd !== undefined && stat !== undefined) {
      if (contents === undefined) await io('close', this.#path, this.#runtime.fs.close(fd));
      else this.#pin = { fd, dev: stat.dev, ino: stat.ino, contents };
    }
    return found;
  }

  async #statFile(): Promise<FileStat | undefined> {
    try {
      return await this.#runtime.fs.stat(this.#path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw ioError('look at', this.#path, error);
    }
  }

  /** A part of a buffer that is used again: rounds of one file follow each other. */
  #buffer(length: number): Buffer {
    if (this.#scratch.length < length) this.#scratch = Buffer.allocUnsafeSlow(length + (length >> 2) + 1024);
    return this.#scratch.subarray(0, length);
  }

  /** What an open file holds, as far as it takes to compare it with these bytes. */
  #readAs(fd: number, bytes: Buffer): Promise<Buffer> {
    return readFully(this.#runtime.fs, fd, this.#buffer(bytes.length + 1), bytes.length);
  }

  async #write(
    token: Token,
    bytes: Buffer,
    current: FileStat | undefined,
    tokenStat: FileStat,
  ): Promise<void> {
    const { fs } = this.#runtime;
    if (current !== undefined) await this.#keepOwnerAndMode(token, current, tokenStat);
    await io('write', token.path, writeFully(fs, token.fd, bytes));
    // The flush is not tried again when it fails: the kernel may have dropped what it could not write, and
    // would then report success. The token is thrown away, and the next commit makes another.
    const [back] = await both(
      io('read back', token.path, this.#readAs(token.fd, bytes)),
      io('flush', token.path, fs.fsync(token.fd)),
    );
    // A file system may take less than it says (a full tmpfs does), and must not get a torn file installed.
    if (!back.equals(bytes)) {
      throw new OffsetIoError(
        `Wrote ${bytes.length} bytes to ${quote(token.path)}, and read other bytes back (${back.length}). The file was not replaced; is the disk full?`,
      );
    }
  }

  async #keepOwnerAndMode(token: Token, current: FileStat, tokenStat: FileStat): Promise<void> {
    const { fs } = this.#runtime;
    if (current.uid !== tokenStat.uid || current.gid !== tokenStat.gid) {
      try {
        await fs.fchown(token.fd, Number(current.uid), Number(current.gid));
      } catch {
        // Only root may give files away. The mode, set next, decides who can read the file.
      }
    }
    const mode = current.mode & 0o7777n;
    if (mode !== (tokenStat.mode & 0o7777n)) {
      await io('set the mode of', token.path, fs.fchmod(token.fd, Number(mode)));
    }
  }

  /** Gives false when the token was swept. */
  async #rename(token: Token, tokenStat: FileStat): Promise<boolean> {
    const { fs } = this.#runtime;
    if (fs.windows) await this.#closeToken(token);
    for (let tries = 1; ; tries++) {
      try {
        await fs.rename(token.path, this.#path);
        return true;
      } catch (error) {
        const code = codeOf(error);
        if (
          fs.windows &&
          tries < WINDOWS_RENAMES &&
          (code === 'EPERM' || code === 'EACCES' || code === 'EBUSY')
        ) {
          await this.#runtime.sleep(tries * 10);
          continue;
        }
        // An error that came after the deed would make a loser of the winner.
        const stat = await this.#statFile();
        if (stat?.ino === tokenStat.ino && stat.dev === tokenStat.dev) return true;
        if (code === 'ENOENT') return false;
        throw ioError('replace', this.#path, error);
      }
    }
  }

  async #install(token: Token, { dev, ino }: FileStat, contents: Contents): Promise<void> {
    const old = this.#pin;
    this.#pin = token.open ? { fd: token.fd, dev, ino, contents } : undefined;
    this.#written = contents;
    this.#settled = false;
    this.#reader.knows(contents);
    await both(this.#flushDirectory(), old === undefined ? Promise.resolve() : this.#closeQuietly(old.fd));
    this.#unknown = false;
  }

  async #discard(token: Token): Promise<void> {
    await this.#closeToken(token);
    try {
      await this.#runtime.fs.unlink(token.path);
    } catch {
      // It was swept, or the next sweep takes it.
    }
  }

  async #closeToken(token: Token): Promise<void> {
    if (!token.open) return;
    token.open = false;
    await this.#closeQuietly(token.fd);
  }

  /** Closes what was only read, or was flushed before: whatever close says, no byte depends on it. */
  async #closeQuietly(fd: number): Promise<void> {
    try {
      await this.#runtime.fs.close(fd);
    } catch {
      // The descriptor is gone either way.
    }
  }

  async #unpin(): Promise<void> {
    const pin = this.#pin;
    this.#pin = undefined;
    if (pin !== undefined) await this.#closeQuietly(pin.fd);
  }

  async #openDirectory(): Promise<number | undefined> {
    const { fs } = this.#runtime;
    if (fs.windows) return undefined;
    this.#directoryFd ??= await io('open the directory', this.#directory, fs.open(this.#directory, 'r'));
    return this.#directoryFd;
  }

  async #closeDirectory(): Promise<void> {
    const fd = this.#directoryFd;
    this.#directoryFd = undefined;
    if (fd !== undefined) await this.#closeQuietly(fd);
  }

  /** Makes the rename durable. Windows has no such call, and its file systems log renames by themselves. */
  async #flushDirectory(): Promise<void> {
    try {
      const fd = this.#directoryFd ?? (await this.#openDirectory());
      if (fd !== undefined) await this.#runtime.fs.fsync(fd);
      this.#settled = true;
    } catch (error) {
      this.#unknown = true;
      // A descriptor reports a fault once. A later flush through the same one would seem to succeed.
      await this.#closeDirectory();
      const cause = error instanceof OffsetIoError ? error.cause : error;
      throw ioError('flush the directory', this.#directory, cause, 'OFFSET_DURABILITY_UNKNOWN');
    }
  }

  /**
   * Makes the directories themselves durable, before a file first appears in them: whoever finds the file
   * there may then rely on them, whichever process made them and whatever became of it.
   */
  async #flushAncestors(): Promise<void> {
    const { fs } = this.#runtime;
    if (fs.windows) return;
    for (const directory of ancestorsOf(this.#path)) {
      let fd: number;
      try {
        fd = await fs.open(directory, 'r');
      } catch {
        // One that we may not open is not one that we made.
        continue;
      }
      try {
        await fs.fsync(fd);
      } catch (error) {
        if (!CANNOT_FLUSH.has(codeOf(error))) throw ioError('flush the directory', directory, error);
      } finally {
        await this.#closeQuietly(fd);
      }
    }
  }
}

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Checkpoint } from '../../checkpoint.js';
import { ClosedError } from '../../errors.js';
import { Offset, type OffsetInput } from '../../offset.js';
import type { CommitEntry, CommitOptions, OffsetStore } from '../../offset-store.js';
import {
  argumentRangeError,
  argumentTypeError,
  assertInteger,
  assertOptions,
  assertSource,
  MAX_TIMER_MS,
} from '../../validate.js';
import {
  applyClaim,
  applyClear,
  applyCommit,
  applyReset,
  checkCommit,
  checkEntries,
  copyOut,
  type SourceCommit,
} from '../commit-rules.js';
import { RunningCalls } from '../running-calls.js';
import type { Contents } from './codec.js';
import type { Draft } from './draft.js';
import type { FileSystem } from './io.js';
import type { LockModule } from './lock.js';
import type { Handle } from './registry.js';
import type { Limits, RuntimeParts, Sleep } from './runtime.js';
import type { RecoverReport } from './salvage.js';

/** The options of a {@link FileOffsetStore}. */
export interface FileOffsetStoreOptions {
  /**
   * The largest file that is read or written, in bytes, 1024 … 2^28. A larger one is refused before a byte
   * of it is read. A source takes about 250 bytes and its metadata, and a commit writes the whole file.
   * Default: 16 MiB, some 60,000 sources.
   */
  readonly maxFileBytes?: number | undefined;
  /**
   * How long a commit waits for other processes that write the file, in milliseconds, 1 … 2^31-1; then it
   * rejects with `OffsetLockError`. After a crash the lock of the dead process is in the way for 2 seconds,
   * so do not go below 4,000 where processes share a file. Default: 10,000.
   */
  readonly lockTimeoutMs?: number | undefined;
  /**
   * How long a busy store may keep the lock over consecutive commits, in milliseconds, 0 … 1000; 0 takes it
   * anew for each. More is faster for this process, and the others wait longer for their turn. Default: 20.
   */
  readonly lockHoldMs?: number | undefined;

  // What follows is for the tests of this library alone, and stands in no published type.

  /** @internal The file system. Default: the real one. */
  readonly fs?: FileSystem | undefined;
  /** @internal What stands for proper-lockfile. Commits are safe with a lock that does nothing. */
  readonly lock?: LockModule | undefined;
  /** @internal The wall clock, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** @internal A clock that never goes back, in milliseconds; deadlines go by it. Default: `performance.now`. */
  readonly monotonicNow?: (() => number) | undefined;
  /** @internal The source of jitter, 0 … 1. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** @internal The names of temporary files. Default: `crypto.randomUUID`. */
  readonly randomUUID?: (() => string) | undefined;
  /** @internal Every pause. Default: timers. */
  readonly sleep?: Sleep | undefined;
}

/** What {@link FileOffsetStore.verify} found. */
export interface VerifyReport {
  /**
   * `'ok'`: it verifies. `'missing'`: there is no file. `'legacy'`: it is the Rust crate's, to be upgraded at
   * the first commit. `'corrupt'`: it does not verify, or is not a file of offsets. `'unsupported'`: a newer
   * version wrote it.
   */
  readonly status: 'ok' | 'missing' | 'legacy' | 'corrupt' | 'unsupported';
  /** The real path of the file. */
  readonly path: string;
  /** The size of the file in bytes; 0 where there is none. */
  readonly bytes: number;
  /** How many sources it holds, those without an offset (cleared ones) included; 0 where it does not verify. */
  readonly sources: number;
  /** What is wrong, one sentence each; empty unless corrupt or unsupported. */
  readonly problems: readonly string[];
}

/**
 * All that a store needs once it is used, loaded at the first call: whoever imports the package and keeps
 * offsets elsewhere need not wait for it.
 */
type Machinery = typeof import('./machinery.js');

let machinery: Promise<Machinery> | undefined;

function loadMachinery(): Promise<Machinery> {
  machinery ??= import('./machinery.js').catch((error: unknown) => {
    // The process may be out of descriptors for the moment.
    machinery = undefined;
    throw error;
  });
  return machinery;
}

/** The file, and what there is to work on it with. */
interface Opened extends Handle {
  readonly machinery: Machinery;
}

const FUNCTION_OPTIONS = ['now', 'monotonicNow', 'random', 'randomUUID', 'sleep'] as const;

function checkedPath(path: unknown): string {
  const expected = 'the path to be a non-empty string without U+0000, or a file: URL';
  if (path instanceof URL) {
    if (path.protocol !== 'file:') throw argumentTypeError(expected, path);
    return fileURLToPath(path);
  }
  if (typeof path !== 'string') throw argumentTypeError(expected, path);
  if (path === '' || path.includes('\0') || !path.isWellFormed()) throw argumentRangeError(expected, path);
  // Now, so that a later change of the working directory does not lead elsewhere.
  return resolve(path);
}

function checkedLimits(options: FileOffsetStoreOptions): Limits {
  const { maxFileBytes = 16 * 2 ** 20, lockTimeoutMs = 10_000, lockHoldMs = 20 } = options;
  assertInteger('maxFileBytes', maxFileBytes, 1024, 2 ** 28);
  assertInteger('lockTimeoutMs', lockTimeoutMs, 1, MAX_TIMER_MS);
  assertInteger('lockHoldMs', lockHoldMs, 0, 1000);
  return { maxFileBytes, lockTimeoutMs, lockHoldMs };
}

function checkedParts(options: FileOffsetStoreOptions): RuntimeParts {
  const { fs, lock, now, monotonicNow, random, randomUUID, sleep } = options;
  for (const name of ['fs', 'lock'] as const) {
    const value: unknown = options[name];
    if (value !== undefined && (typeof value !== 'object' || value === null)) {
      throw argumentTypeError(`\`${name}\` to be an object`, value);
    }
  }
  for (const name of FUNCTION_OPTIONS) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'function') {
      throw argumentTypeError(`\`${name}\` to be a function`, value);
    }
  }
  return { fs, lock, now, monotonicNow, random, randomUUID, sleep };
}

/**
 * Keeps offsets in one JSON file, which any number of stores and processes on one machine may share.
 *
 * A commit that resolves survives `kill -9` and power loss: the file is replaced whole, by write, flush,
 * rename and flush of the directory. Commits that are made while another is on its way share the next
 * write, and a `commitMany()` is one. The file is never torn; where its bytes do not verify, every call rejects with `OFFSET_CORRUPT`, and
 * {@link FileOffsetStore.recover} is the way on. Reading takes no lock and makes nothing, so it works in a
 * directory that cannot be written.
 *
 * Beside the file there are, while a store commits, a lock `<file>.lock` and a directory `<file>.tmp`; and,
 * kept until you remove them, `<file>.crate-<time>` (a file of the Rust crate's, before its upgrade) and
 * `<file>.corrupt-<time>` (a second name of damaged bytes). The store opens the file and its directory, and
 * keeps both open until {@link FileOffsetStore.close}. The first commit loads proper-lockfile, which listens
 * for the signals that end a process in order to remove its lock.
 *
 * Not for network file systems (NFS, SMB): use a database there. A drive that lies about flushing, and a
 * backup put back under a running process, are beyond what it can promise.
 *
 * Errors, beside those of the OffsetStore contract: `OFFSET_IO` (the file cannot be read, or the new one not
 * written), `OFFSET_CORRUPT` (the file is damaged, none of offsets, gone, or older than it was), `OFFSET_UNSUPPORTED` (a
 * newer version wrote it), `OFFSET_LOCK_TIMEOUT` (others wrote for as long as `lockTimeoutMs`),
 * `OFFSET_SERIALIZATION` (it would become larger than `maxFileBytes`): nothing was changed. And
 * `OFFSET_DURABILITY_UNKNOWN`: the file was replaced, but may come back as it was after a power loss.
 *
 * @example
 * ```ts
 * await using store = new FileOffsetStore('state/offsets.json');
 * await store.commit('orders', Offset.sequence(41n));
 * await store.get('orders'); // { kind: 'sequence', value: 41n }
 * ```
 */
export class FileOffsetStore implements OffsetStore {
  readonly #path: string;
  readonly #limits: Limits;
  readonly #parts: RuntimeParts;
  readonly #calls = new RunningCalls();
  readonly #now: () => Date;
  #handle: Promise<Opened> | undefined;
  #serializer: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Checks its arguments, and touches nothing: the file and the directories above it are made at the first
   * commit.
   *
   * @param path - of the file, relative to the working directory of now; or a `file:` URL. A symbolic link is
   *   followed to its target, once, at the first use
   * @throws TypeError or RangeError
   */
  constructor(path: string | URL, options?: FileOffsetStoreOptions) {
    assertOptions('options', options);
    this.#path = checkedPath(path);
    this.#limits = checkedLimits(options ?? {});
    this.#parts = checkedParts(options ?? {});
    const { now = Date.now } = this.#parts;
    this.#now = () => new Date(now());
  }

  /** The absolute path, as it was given: symbolic links are not followed. */
  get path(): string {
    return this.#path;
  }

  async get(source: string): Promise<Offset | undefined> {
    return await this.#read([source], ({ entries }) => {
      const offset = entries.get(source)?.state.offset;
      return offset === undefined ? undefined : Offset.from(offset);
    });
  }

  async getAll(): Promise<Map<string, Offset>> {
    return await this.#read([], ({ entries }) => {
      const offsets = new Map<string, Offset>();
      for (const { source, state } of entries.list) {
        if (state.offset !== undefined) offsets.set(source, Offset.from(state.offset));
      }
      return offsets;
    });
  }

  async inspect(source: string): Promise<Checkpoint | undefined> {
    return await this.#read([source], ({ entries }) => copyOut(entries.get(source)?.state));
  }

  async inspectAll(): Promise<Map<string, Checkpoint>> {
    return await this.#read([], ({ entries }) => {
      const checkpoints = new Map<string, Checkpoint>();
      for (const { source, state } of entries.list) {
        const checkpoint = copyOut(state);
        if (checkpoint !== undefined) checkpoints.set(source, checkpoint);
      }
      return checkpoints;
    });
  }

  async epoch(source: string): Promise<number> {
    return await this.#read([source], ({ entries }) => entries.get(source)?.state.epoch ?? 0);
  }

  async commit(source: string, offset: OffsetInput, options?: CommitOptions): Promise<void> {
    this.#assertOpen();
    assertSource(source);
    await this.#commit([{ source, commit: checkCommit(offset, options) }]);
  }

  async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
    this.#assertOpen();
    const commits = checkEntries(entries);
    if (commits.length > 0) await this.#commit(commits);
  }

  async reset(source: string, offset: OffsetInput): Promise<number> {
    this.#assertOpen();
    assertSource(source);
    const checked = Offset.from(offset);
    return await this.#change(
      (draft) => draft.apply(source, (current) => applyReset(current, checked, this.#now)).epoch,
    );
  }

  async claim(source: string): Promise<number> {
    this.#assertOpen();
    assertSource(source);
    return await this.#change((draft) => draft.apply(source, applyClaim).epoch);
  }

  async clear(source: string): Promise<void> {
    this.#assertOpen();
    assertSource(source);
    await this.#change((draft) => {
      draft.apply(source, applyClear);
    });
  }

  async clearAll(): Promise<void> {
    this.#assertOpen();
    await this.#change((draft) => {
      for (const source of draft.sources()) draft.apply(source, applyClear);
    });
  }

  /**
   * Reads the whole file and checks every byte, and changes nothing, on the disk or in the store.
   *
   * @throws OffsetIoError `OFFSET_IO` when the file cannot be read
   * @example
   * ```ts
   * const { status, problems } = await store.verify();
   * if (status === 'corrupt') console.error(problems.join('\n'));
   * ```
   */
  async verify(): Promise<VerifyReport> {
    this.#assertOpen();
    return await this.#run(async ({ rounds, path, machinery }) => {
      const { contents, damage, bytes, stat } = await rounds.look();
      const size = Number(stat?.size ?? 0n);
      if (contents !== undefined) {
        const { format, entries } = contents;
        const status = ({ current: 'ok', crate: 'legacy', missing: 'missing' } as const)[format];
        return { status, path, bytes: size, sources: entries.size, problems: [] };
      }
      const problems = [damage.message];
      if (damage.kind === 'newer') return { status: 'unsupported', path, bytes: size, sources: 0, problems };
      if (damage.kind === 'damaged') problems.push(...machinery.problemsOf(bytes));
      return { status: 'corrupt', path, bytes: size, sources: 0, problems };
    });
  }

  /**
   * The way on after `OFFSET_CORRUPT`. Of a damaged file, every source is saved whose line verifies by itself,
   * with its offset, metadata and epoch; the damaged bytes stay beside the file as `<file>.corrupt-<time>`.
   * Nothing is deleted. A file that vanished, or went back, under this store is accepted as it is now.
   *
   * A source that could not be saved is gone: it starts as one never seen, at epoch 0. So stop the workers
   * before, look at what the report says is lost, and reset those sources to where they should go on.
   *
   * @returns `'unneeded'` where the file verifies or there is none, and then nothing was changed
   * @throws OffsetSerializationError `OFFSET_CORRUPT` for a file that never was one of offsets;
   *   UnsupportedError for one that a newer version wrote; and what a commit is refused with
   * @example
   * ```ts
   * const { saved, lost, kept } = await store.recover();
   * console.log(`${saved.length} sources saved, ${lost.length} lost; the damaged file is ${kept}`);
   * ```
   */
  async recover(): Promise<RecoverReport> {
    this.#assertOpen();
    return await this.#run(async ({ rounds, path, witness }) => {
      const { contents } = await rounds.look();
      if (contents === undefined) return await rounds.repair(witness);
      witness.accept(contents);
      return { status: 'unneeded', path, kept: undefined, saved: contents.entries.sources(), lost: [] };
    });
  }

  /** Finishes the calls that were made before, gives the lock back and closes the file. Calling it again is safe. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  /** Closes the store, as `await using` does at the end of a block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    await this.#calls.ended();
    const [opened] = await Promise.allSettled([this.#handle]);
    if (opened.status === 'fulfilled') await opened.value?.release();
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) {
      throw new ClosedError('This FileOffsetStore was closed; make a new one');
    }
  }

  async #commit(commits: readonly SourceCommit[]): Promise<void> {
    if (commits.some(({ commit }) => commit.metadata !== undefined)) {
      this.#serializer ??= loadMachinery().then(({ loadSerializer }) => loadSerializer());
    }
    await this.#run(async ({ rounds, witness, machinery }) => {
      for (const { source, commit } of commits) {
        if (commit.metadata !== undefined) machinery.proveMetadata(source, commit.metadata);
      }
      await rounds.change(witness, (draft) => {
        for (const { source, commit } of commits) {
          draft.apply(source, (current) => applyCommit(source, current, commit, this.#now));
        }
      });
    });
  }

  async #change<T>(change: (draft: Draft) => T): Promise<T> {
    return await this.#run(({ rounds, witness }) => rounds.change(witness, change));
  }

  async #read<T>(sources: readonly string[], pick: (contents: Contents) => T): Promise<T> {
    this.#assertOpen();
    for (const source of sources) assertSource(source);
    return await this.#run(async ({ rounds, witness }) => pick(await rounds.read(witness)));
  }

  /** Runs work that close() waits for. Works that begin in an order reach the queue in that order. */
  #run<T>(work: (file: Opened) => Promise<T>): Promise<T> {
    return this.#calls.track(this.#open().then(work));
  }

  /** What the store needs before it can do anything; what failed is tried again at the next call. */
  async #open(): Promise<Opened> {
    this.#handle ??= this.#openQueue();
    const opening = this.#handle;
    try {
      const handle = await opening;
      await this.#serializer;
      return handle;
    } catch (error) {
      if (this.#handle === opening) this.#handle = undefined;
      this.#serializer = undefined;
      throw error;
    }
  }

  async #openQueue(): Promise<Opened> {
    const machinery = await loadMachinery();
    return { ...(await machinery.openQueue(this.#path, this.#limits, this.#parts)), machinery };
  }
}

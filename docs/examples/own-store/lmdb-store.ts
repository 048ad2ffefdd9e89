/** A store of one's own, over LMDB: the five methods, epochs, claims and close. */
import { open, type RootDatabase } from 'lmdb';
import {
  ClosedError,
  type CommitOptions,
  FencedError,
  InvalidOffsetError,
  Offset,
  OffsetError,
  OffsetIoError,
  type OffsetStore,
} from 'streamweave-offset';

// #region class
/** What is kept for a source; without an offset it was cleared, or claimed before its first commit. */
interface Entry {
  readonly epoch: number;
  readonly offset?: string;
}

export class LmdbOffsetStore implements OffsetStore {
  readonly #database: RootDatabase<Entry, string>;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(path: string) {
    // Without overlappingSync a transaction that has ended is on the disk.
    this.#database = open({ path, overlappingSync: false });
  }
  // #endregion

  // #region read
  async get(source: string): Promise<Offset | undefined> {
    const offset = this.#read(source)?.offset;
    return offset === undefined ? undefined : Offset.parse(offset);
  }

  async getAll(): Promise<Map<string, Offset>> {
    this.#assertOpen();
    this.#database.resetReadTxn();
    const all = new Map<string, Offset>();
    for (const { key, value } of this.#database.getRange()) {
      if (value.offset !== undefined) all.set(key, Offset.parse(value.offset));
    }
    return all;
  }
  // #endregion

  // #region commit
  async commit(source: string, offset: Offset, options: CommitOptions = {}): Promise<void> {
    const next = Offset.from(offset); // a check, and a copy
    assertOptions(options);
    const { epoch, allowRegression = false } = options;
    await this.#change(source, (entry) => {
      if (epoch !== undefined && epoch !== entry.epoch) {
        throw new FencedError(`Source "${source}" is at epoch ${entry.epoch}, not ${epoch}`, { source });
      }
      const current = entry.offset === undefined ? undefined : Offset.parse(entry.offset);
      const order = current && Offset.compare(next, current);
      if (order !== undefined && order < 0 && !allowRegression) {
        const places = `${Offset.format(next)} lies before ${entry.offset}`;
        throw new InvalidOffsetError(`${places}, where source "${source}" is`, {
          code: 'OFFSET_BEHIND',
          source,
        });
      }
      return { epoch: entry.epoch, offset: Offset.format(next) };
    });
  }
  // #endregion

  // #region clear
  async clear(source: string): Promise<void> {
    await this.#change(source, ({ epoch }) => ({ epoch: epoch + 1 }));
  }

  async clearAll(): Promise<void> {
    await this.#run(() => {
      for (const { key, value } of this.#database.getRange()) {
        void this.#database.put(key, { epoch: value.epoch + 1 });
      }
    });
  }
  // #endregion

  // #region epochs
  async epoch(source: string): Promise<number> {
    return this.#read(source)?.epoch ?? 0;
  }

  async claim(source: string): Promise<number> {
    const claimed = await this.#change(source, (entry) => ({ ...entry, epoch: entry.epoch + 1 }));
    return claimed.epoch;
  }
  // #endregion

  // #region close
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled(this.#running);
    await this.#database.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError('This LmdbOffsetStore was closed; make a new one');
  }
  // #endregion

  // #region helpers
  #read(source: string): Entry | undefined {
    this.#assertOpen();
    assertSource(source);
    this.#database.resetReadTxn(); // to see what other processes have written meanwhile
    return this.#database.get(source);
  }

  /** Reads, decides and writes in one transaction: nobody else comes between. */
  async #change(source: string, decide: (entry: Entry) => Entry): Promise<Entry> {
    assertSource(source);
    return await this.#run(() => {
      const next = decide(this.#database.get(source) ?? { epoch: 0 });
      void this.#database.put(source, next);
      return next;
    });
  }

  async #run<R>(work: () => R): Promise<R> {
    this.#assertOpen();
    const running = this.#database.transaction(work);
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      if (error instanceof OffsetError) throw error;
      throw new OffsetIoError('LMDB could not write', { cause: error });
    } finally {
      this.#running.delete(running);
    }
  }
}

function assertOptions(options: CommitOptions): void {
  if (typeof options !== 'object' || options === null) throw new TypeError('Expected options');
  const { epoch, allowRegression } = options;
  if (epoch !== undefined && !(Number.isSafeInteger(epoch) && epoch >= 0)) {
    throw new RangeError(`Expected \`epoch\` to be an integer >= 0, got ${String(epoch)}`);
  }
  if (allowRegression !== undefined && typeof allowRegression !== 'boolean') {
    throw new TypeError('Expected `allowRegression` to be a boolean');
  }
}

function assertSource(source: unknown): asserts source is string {
  if (typeof source !== 'string' || !source.isWellFormed()) {
    throw new TypeError('Expected a source name without lone surrogates');
  }
  const bytes = Buffer.byteLength(source);
  if (bytes < 1 || bytes > 1024 || source.includes('\0')) {
    throw new RangeError('Expected a source name of 1 to 1024 bytes without U+0000');
  }
}
// #endregion

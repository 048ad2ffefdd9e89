import { backoffMs, checkedRetry, type Retry, type RetryOptions } from '../backoff.js';
import { FencedError, OffsetError, OffsetIoError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import { Offset } from '../offset.js';
import type { CommitOptions, OffsetStore } from '../offset-store.js';
import { systemClock, withDeadline } from '../tracker/clock.js';
import { listed, messageOf } from '../failures.js';
import { learn, type Learned } from '../tracker/learn.js';
import type { TransactionalOffsetStore } from '../transactional-store.js';
import { assertInteger, MAX_TIMER_MS, quote } from '../validate.js';

/** Where a batch takes one of its sources. */
export interface BatchCommit {
  readonly source: string;
  readonly epoch: number | undefined;
  /** What is committed before it. */
  readonly before: Offset | undefined;
  /** The offset of the source's last item in the batch. */
  readonly offset: Offset;
  readonly metadata: Metadata | undefined;
}

/** Items that are written together, and where that takes their sources. */
export interface Batch<T> {
  readonly items: readonly T[];
  readonly commits: readonly BatchCommit[];
}

interface Options<T, Tx> {
  readonly write: (items: T[], tx: Tx) => unknown;
  readonly timeoutMs: number;
  readonly retry: RetryOptions | undefined;
}

/** Why a transaction was rolled back by us. */
class StoppedError extends Error {}

/**
 * Writes batches, each in one transaction with the offsets of its items, and knows of each in the end whether it
 * took effect.
 */
export class BatchTransactions<T, Tx> {
  readonly #store: TransactionalOffsetStore<Tx>;
  readonly #write: (items: T[], tx: Tx) => unknown;
  readonly #timeoutMs: number;
  readonly #retry: Retry;
  #stopped = false;
  #wake: (() => void) | undefined;

  /** @throws TypeError or RangeError for what is no option */
  constructor(store: TransactionalOffsetStore<Tx>, { write, timeoutMs, retry }: Options<T, Tx>) {
    this.#retry = checkedRetry(retry, { retries: 8, minDelayMs: 50, maxDelayMs: 2_000 });
    assertInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    this.#store = store;
    this.#write = write;
    this.#timeoutMs = timeoutMs;
  }

  /** From now on nothing is tried again, and a transaction whose commit has not begun is rolled back. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /**
   * Takes the source over, so that whoever wrote it before is fenced, and reads where it stands.
   *
   * @throws OffsetError
   */
  async claim(source: string): Promise<Learned> {
    const what = `Claim of source ${quote(source)}`;
    for (let failed = 0; ; failed++) {
      try {
        return await this.#timed(learn(this.#store, source, true), () => this.#late(what, source));
      } catch (error) {
        // A claim that took effect without our knowing does no harm to the next.
        if (!this.#isTransient(error) && !isUnknown(error)) throw error;
        if (!(await this.#again(failed))) throw finalError(what, source, failed + 1, error);
      }
    }
  }

  /**
   * Writes the batch; resolves once it took effect.
   *
   * @throws what `write` throws; FencedError and InvalidOffsetError of the commit; OffsetIoError `OFFSET_IO` when it
   *   did not take effect however often it was tried, or in time, and `OFFSET_DURABILITY_UNKNOWN` when that could
   *   not be learned
   */
  async run(batch: Batch<T>): Promise<void> {
    const what = describe(batch);
    const source = batch.commits.length === 1 ? batch.commits[0]?.source : undefined;
    for (let failed = 0; ; failed++) {
      let cause: unknown;
      try {
        await this.#attempt(batch, what, source);
        return;
      } catch (error) {
        cause = error;
      }
      if (isUnknown(cause)) {
        if (await this.#tookEffect(batch, what, source, cause)) return;
      } else if (!this.#isTransient(cause)) {
        // What is no error cannot be a stream's.
        throw cause || new OffsetIoError(`${what} failed without an error`, { source, cause });
      }
      if (!(await this.#again(failed))) throw finalError(what, source, failed + 1, cause);
    }
  }

  async #attempt({ items, commits }: Batch<T>, what: string, source: string | undefined): Promise<void> {
    let late = false;
    let committing = false;
    const assertInTime = (): void => {
      if (late || this.#stopped) throw new StoppedError(`${what} was given up before its commit began`);
    };
    const transaction = this.#store.transaction(async (tx) => {
      assertInTime();
      await this.#write([...items], tx);
      assertInTime();
      await commitAll(this.#store.using(tx), commits);
      // What comes after the last look is the commit itself, which is left to end as it will.
      assertInTime();
      committing = true;
    });
    await this.#timed(transaction, () => {
      late = true;
      return new OffsetIoError(
        committing
          ? `${what} had no answer to its commit within ${this.#timeoutMs} ms (timeoutMs)`
          : `${what} was not written within ${this.#timeoutMs} ms (timeoutMs), and is rolled back as soon as \`write\` ends`,
        { code: committing ? 'OFFSET_DURABILITY_UNKNOWN' : 'OFFSET_IO', source },
      );
    });
  }

  /**
   * Whether the batch, the answer to whose commit was lost, took effect: asked of the database until it tells.
   *
   * @throws FencedError when another has taken a source over; OffsetIoError `OFFSET_DURABILITY_UNKNOWN`
   */
  async #tookEffect(
    { commits }: Batch<T>,
    what: string,
    source: string | undefined,
    lost: unknown,
  ): Promise<boolean> {
    let cause = lost;
    for (let failed = 0; await this.#again(failed); failed++) {
      try {
        const found = await this.#timed(this.#read(commits), () =>
          this.#late(`Reading back what became of it`, source),
        );
        const at = (place: 'before' | 'offset'): boolean =>
          commits.every((commit) => isSame(found.get(commit.source), commit[place]));
        const [written, unwritten] = [at('offset'), at('before')];
        if (written !== unwritten) return written;
        throw new OffsetIoError(
          `${what} had no answer to its commit, and what is committed now is neither what was before nor its last ` +
            'offset: another has committed without an epoch',
          { code: 'OFFSET_DURABILITY_UNKNOWN', source, cause: lost },
        );
      } catch (error) {
        if (!this.#isTransient(error) && !(isUnknown(error) && error.cause !== lost)) throw error;
        cause = error;
      }
    }
    throw new OffsetIoError(
      `${what} had no answer to its commit, and what became of it could not be read back: ${messageOf(cause)}`,
      { code: 'OFFSET_DURABILITY_UNKNOWN', source, cause },
    );
  }

  /**
   * Reads the offsets such that the answer holds: a transaction of ours that the server may still be about to commit
   * has its sources' rows locked, and a claim waits for that. The claim is rolled back, so that nobody is fenced.
   */
  async #read(commits: readonly BatchCommit[]): Promise<Map<string, Offset | undefined>> {
    const found = new Map<string, Offset | undefined>();
    const rollBack = new StoppedError('what was to be read was read');
    try {
      await this.#store.transaction(async (tx) => {
        const offsets = this.#store.using(tx);
        for (const { source, epoch } of commits) {
          const raised = await offsets.claim!(source);
          if (raised !== epoch! + 1) {
            throw new FencedError(
              `Source ${quote(source)} is at epoch ${raised - 1}, and was written under epoch ${epoch}: it was reset, ` +
                'cleared or claimed by another',
              { source },
            );
          }
          found.set(source, await offsets.get(source));
        }
        throw rollBack;
      });
    } catch (error) {
      if (error !== rollBack) throw error;
    }
    return found;
  }

  #timed<R>(promise: Promise<R>, lateError: () => Error): Promise<R> {
    return withDeadline(systemClock, this.#timeoutMs, promise, lateError);
  }

  #late(what: string, source: string | undefined): OffsetIoError {
    return new OffsetIoError(`${what} had no answer within ${this.#timeoutMs} ms (timeoutMs)`, { source });
  }

  #isTransient(error: unknown): boolean {
    return this.#store.isTransient(error);
  }

  /** Waits before a further try; false for no more. */
  async #again(failed: number): Promise<boolean> {
    if (this.#stopped || failed >= this.#retry.retries) return false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, backoffMs(this.#retry, failed));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
    return !this.#stopped;
  }
}

async function commitAll(offsets: OffsetStore, commits: readonly BatchCommit[]): Promise<void> {
  const entries = commits.map(({ source, offset, epoch, metadata }) => ({ source, offset, epoch, metadata }));
  if (entries.length > 1 && offsets.commitMany !== undefined) {
    await offsets.commitMany(entries);
    return;
  }
  for (const { source, offset, ...options } of entries) {
    await offsets.commit(source, offset, options satisfies CommitOptions);
  }
}

function isUnknown(error: unknown): error is OffsetIoError {
  return error instanceof OffsetError && error.code === 'OFFSET_DURABILITY_UNKNOWN';
}

function isSame(a: Offset | undefined, b: Offset | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Offset.equals(a, b);
}

function describe<T>({ items, commits }: Batch<T>): string {
  const places = commits.map(
    ({ source, offset }) => `source ${quote(source)} up to ${quote(Offset.format(offset))}`,
  );
  return `The batch of ${items.length} items (${listed(places)})`;
}

function finalError(what: string, source: string | undefined, tries: number, error: unknown): OffsetIoError {
  const times = tries > 1 ? ` ${tries} times` : '';
  return new OffsetIoError(`${what} failed${times}: ${messageOf(error)}`, {
    code: 'OFFSET_IO',
    source,
    cause: error,
  });
}

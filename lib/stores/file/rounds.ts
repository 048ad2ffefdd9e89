/**
 * The queue of one file in one process. Changes that wait when a round starts share it, and with it the cost
 * of making them durable; the lock is kept over consecutive rounds, for a short and bounded time.
 */
import { OffsetSerializationError } from '../../errors.js';
import { quote } from '../../validate.js';
import type { Contents } from './codec.js';
import type { Draft } from './draft.js';
import { codeOf } from './io.js';
import { type Lease, lockError, lockTimeoutError, tryLock } from './lock.js';
import { FileReader, type Found } from './reader.js';
import { Replacer } from './replace.js';
import { type Call, ChangeRound, refusalOf, TooLarge } from './round.js';
import type { Runtime } from './runtime.js';
import { type RecoverReport, RepairRound } from './salvage.js';
import { regression, type Witness } from './witness.js';

/** How long a lock is kept with nothing to do: long enough for a caller that goes on at once. */
const LINGER_MS = 2;

/** A process that waits for the lock tries so often, with as much again of jitter. */
const LOCK_POLL_MS = 2;

/** How long a busy writer leaves the lock alone between two holds: longer than the others pause between tries. */
const YIELD_MS = 5;

/** A writer that has met no other still leaves the lock alone after so many holds, to let itself be met. */
const HOLDS_PER_YIELD = 8;

/** The longest pause between two tries of a writer whose token is swept again and again. */
const MAX_BACKOFF_MS = 64;

const isRepair = ({ change }: Call): boolean => change === undefined;

export class Rounds {
  readonly #runtime: Runtime;
  readonly #path: string;
  readonly #reader: FileReader;
  readonly #replacer: Replacer;
  readonly #waiting: Call[] = [];
  #driver: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #closing = false;
  /** Whether another has written since the lock was last left alone. */
  #metOthers = false;
  #holds = 0;

  /** @param path - a real path */
  constructor(runtime: Runtime, path: string) {
    this.#runtime = runtime;
    this.#path = path;
    this.#reader = new FileReader(runtime, path);
    this.#replacer = new Replacer(runtime, path, this.#reader);
  }

  /** The contents of the file as it is now. Waits for no round. */
  async read(witness: Witness): Promise<Contents> {
    const since = witness.latest;
    const contents = await this.#reader.read();
    const fault = regression(this.#path, since, contents);
    if (fault !== undefined) throw new OffsetSerializationError(fault, { code: 'OFFSET_CORRUPT' });
    witness.saw(contents);
    return contents;
  }

  /** What stands at the path, whatever it is. */
  async look(): Promise<Found> {
    return await this.#reader.look(false);
  }

  /** Makes the change durable together with those that wait at the same time; resolves to its result. */
  change<T>(witness: Witness, change: (draft: Draft) => T): Promise<T> {
    return this.#submit<T>(witness, change);
  }

  /** Saves what can be saved of a damaged file; takes a good one as it is. */
  repair(witness: Witness): Promise<RecoverReport> {
    return this.#submit<RecoverReport>(witness, undefined);
  }

  /** Finishes what waits, and lets go of the lock and of all that is open. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wake?.();
    await this.#driver;
    await this.#replacer.close();
  }

  #submit<T>(witness: Witness, change: Call['change']): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const deadline = this.#runtime.monotonicNow() + this.#runtime.lockTimeoutMs;
      this.#waiting.push({ witness, deadline, change, resolve: resolve as Call['resolve'], reject });
      this.#wake?.();
      this.#driver ??= this.#drive();
    });
  }

  /** Runs until nothing waits. Never rejects: what fails, fails the calls that it was done for. */
  async #drive(): Promise<void> {
    // Calls that are made in one go share the first round too.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      if (!this.#replacer.prepared && !(await this.#prepare())) continue;
      const lease = await this.#acquire();
      if (lease === undefined) continue;
      await this.#hold(lease);
      await lease.release();
      if (this.#waiting.length > 0) await this.#leaveToOthers();
    }
    this.#driver = undefined;
  }

  /**
   * Reads the file before anything is made beside it, so that where it is a directory, not ours or damaged,
   * the refusal leaves nothing behind; then makes the directories. Gives false when nothing waits any more.
   */
  async #prepare(): Promise<boolean> {
    await this.#rejectExpired(this.#waiting);
    const calls = this.#waiting.splice(0);
    try {
      const sights = calls.map(({ witness }) => witness.latest);
      const found = await this.#reader.look(false);
      const admitted: Call[] = [];
      for (const [index, call] of calls.entries()) {
        const since = sights[index] ?? call.witness.latest;
        const refusal = await refusalOf(call, since, found, this.#reader);
        if (refusal === undefined) admitted.push(call);
        else call.reject(refusal);
      }
      if (admitted.length === 0) return false;
      await this.#replacer.prepare();
      this.#waiting.unshift(...admitted);
      return true;
    } catch (error) {
      // Those that were refused have their answer already; a second one changes nothing.
      for (const { reject } of calls) reject(error);
      return false;
    }
  }

  /** The lock; undefined when nothing waits for it any more, or when the directories must be made again. */
  async #acquire(): Promise<Lease | undefined> {
    const { sleep, random } = this.#runtime;
    while (this.#waiting.length > 0) {
      try {
        const lease = await tryLock(this.#runtime, this.#path);
        if (lease !== undefined) return lease;
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') {
          const refusal = await lockError(this.#runtime, this.#path, error);
          for (const { reject } of this.#waiting.splice(0)) reject(refusal);
          return undefined;
        }
        // The directory is gone, or another has just removed the lock that we made.
        this.#replacer.unprepare();
        await sleep(random() * LOCK_POLL_MS);
        return undefined;
      }
      await this.#rejectExpired(this.#waiting);
      if (this.#waiting.length > 0) await sleep(LOCK_POLL_MS * (1 + random()));
    }
    return undefined;
  }

  /** Takes the calls that have waited as long as they may out of the list, and rejects them. */
  async #rejectExpired(calls: Call[]): Promise<void> {
    const now = this.#runtime.monotonicNow();
    const expired = calls.filter(({ deadline }) => deadline <= now);
    if (expired.length === 0) return;
    for (const call of expired) calls.splice(calls.indexOf(call), 1);
    const error = await lockTimeoutError(this.#runtime, this.#path);
    for (const { reject } of expired) reject(error);
  }

  /** Rounds under the lock, as long as there is something to do and the others need not wait too long. */
  async #hold(lease: Lease): Promise<void> {
    const { monotonicNow, sleep, lockHoldMs } = this.#runtime;
    const until = monotonicNow() + lockHoldMs;
    for (;;) {
      await this.#round(this.#takeBatch(), lease);
      // Those whose calls have just been answered come back with their next ones, and share a round again.
      await sleep(0);
      if (this.#waiting.length === 0 && !this.#closing && lockHoldMs > 0) await this.#linger();
      if (this.#waiting.length === 0 || !this.#replacer.prepared) return;
      if (lease.lost || monotonicNow() >= until) return;
    }
  }

  /** All that wait, but a repair alone. */
  #takeBatch(): Call[] {
    const repair = this.#waiting.findIndex(isRepair);
    return this.#waiting.splice(0, repair === -1 ? this.#waiting.length : Math.max(repair, 1));
  }

  /** Waits a moment for a call. Does not keep the process alive: at its exit the lock goes by itself. */
  async #linger(): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([woken, this.#runtime.sleep(LINGER_MS, { ref: false })]);
    this.#wake = undefined;
  }

  /**
   * After a hold with more to do: gives the others a better chance than the instant between giving the lock
   * back and taking it again. Where there are no others it would only cost, so there it is done rarely.
   */
  async #leaveToOthers(): Promise<void> {
    this.#holds += 1;
    if (!this.#metOthers && this.#holds % HOLDS_PER_YIELD !== 0) return;
    this.#metOthers = false;
    await this.#runtime.sleep(YIELD_MS);
  }

  /** Brings the calls through the protocol and answers them, or puts them back where the lock was lost. */
  async #round(calls: Call[], lease: Lease): Promise<void> {
    try {
      await this.#tryRound(calls, lease);
    } catch (error) {
      if (!(error instanceof TooLarge)) {
        for (const { reject } of calls) reject(error);
      } else if (calls.length > 1) {
        // One of them has brought too much. The others need not suffer for it.
        for (const call of calls) await this.#round([call], lease);
      } else {
        calls[0]?.reject(this.#tooLarge(error.size));
      }
    }
  }

  async #tryRound(calls: Call[], lease: Lease): Promise<void> {
    const { sleep, random } = this.#runtime;
    for (let tries = 0; calls.length > 0; tries++) {
      const repair = calls.find(isRepair);
      const round =
        repair === undefined
          ? new ChangeRound(this.#runtime, this.#reader, calls)
          : new RepairRound(this.#runtime, this.#reader, repair);
      const outcome = await this.#replacer.attempt({
        decide: (found, mustWrite) => round.decide(found, mustWrite),
        stillWanted: () => !lease.lost,
      });
      if (outcome.kind === 'done') {
        this.#metOthers ||= outcome.metOthers;
        round.answer(outcome.kept);
        return;
      }
      if (outcome.kind === 'swept') this.#metOthers = true;
      if (outcome.kind === 'unprepared' || lease.lost) {
        this.#waiting.unshift(...calls.splice(0));
        return;
      }
      await this.#rejectExpired(calls);
      // Writers that sweep each other's tokens draw apart.
      if (calls.length > 0) await sleep(random() * Math.min(2 ** tries, MAX_BACKOFF_MS));
    }
  }

  #tooLarge(size: number): OffsetSerializationError {
    return new OffsetSerializationError(
      `The offsets file ${quote(this.#path)} would grow to ${size} bytes, and \`maxFileBytes\` allows ` +
        `${this.#runtime.maxFileBytes}. Nothing was changed. Raise the option, or keep less`,
    );
  }
}

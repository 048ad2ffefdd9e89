import type { Checkpoint } from '../checkpoint.js';
import type { CommitStrategy } from '../commit-strategy.js';
import { FencedError, OffsetError, OffsetIoError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import { behindError, Offset } from '../offset.js';
import type { CommitEntry, OffsetStore } from '../offset-store.js';
import { quote } from '../validate.js';
import type { Clock } from './clock.js';
import { CallQueue } from './call-queue.js';
import { Deliveries, type DeliveryNode, DONE } from './deliveries.js';
import { learn, type Learned } from './learn.js';
import { NoAnswerError, type StoreCall, type StoreCaller } from './store-caller.js';
import { unlessAborted, Waiters } from './waiters.js';

/** What every source of a tracker shares. */
export interface CommitterContext {
  readonly caller: StoreCaller;
  readonly strategy: CommitStrategy;
  readonly exclusive: boolean;
  readonly monotonic: boolean;
  readonly clock: Clock;
  readonly stuckAfterMs: number;
  readonly listener: CommitterListener;
}

/** Is told what happens to a source. None of these may throw. */
interface CommitterListener {
  readonly committed: (source: string, offset: Offset, items: number, durationMs: number) => void;
  readonly commitFailed: (source: string, offset: Offset, error: unknown, durationMs: number) => void;
  readonly fenced: (source: string, error: OffsetError) => void;
  readonly behind: (source: string, offset: Offset, error: Error) => void;
  readonly stuck: (source: string, offset: Offset, ageMs: number, inFlight: number) => void;
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function deferred(): Deferred {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** What a commit under way covers, so that what was recorded meanwhile can be told from it. */
interface Covered {
  readonly offset: Offset;
  readonly metadata: Metadata | undefined;
  /** `#recorded` when the offset was taken. */
  readonly recorded: number;
}

interface Flight {
  covered: Covered;
  readonly promise: Promise<void>;
  /** Somebody waits for it, and so learns of its failure. */
  awaited: boolean;
}

/** How the clear that a source was paused for ended: `unanswered` is its promise, when that is still open. */
export interface PauseEnd {
  readonly cleared: boolean;
  readonly error?: unknown;
  readonly unanswered?: Promise<void> | undefined;
}

/** One source's part in a commit of several; exactly one of the two ends is called. */
export interface JointCommit {
  /** Called at each try: it takes along what was recorded since the last. */
  readonly entry: () => CommitEntry;
  readonly landed: () => void;
  readonly failed: (error: unknown, answer: Promise<void> | undefined) => void;
}

/**
 * What the tracker knows of one source, and its commits: one in flight at most, newest wins. Pending is given
 * up only after the commit landed, and only when nothing newer was recorded meanwhile; a failed commit
 * changes nothing, so that the next one covers it.
 *
 * A source is `new` until its epoch and committed offset were read from the store; then it is `ready`, and
 * recording costs no promise. `fenced` is for good, until `read()` is asked to begin anew. While it is being
 * read or reset, calls queue in order.
 */
export class Committer {
  readonly source: string;
  readonly #context: CommitterContext;

  #phase: 'new' | 'ready' | 'fenced' = 'new';
  #epoch: number | undefined;
  #committed: Offset | undefined;

  #pending: Offset | undefined;
  #pendingMetadata: Metadata | undefined;
  /** Items recorded since the tracker was made: it goes up at every record. */
  #recorded = 0;
  /** How many of them are committed, or were forgotten by a reset: what is between the two is pending. */
  #taken = 0;

  /**
   * The short way of recording, for the many items at which nothing else happens: while it is open this is the
   * sequence recorded last, and it is newer than `#pending`. Infinity while it is closed, for no number is above.
   */
  #lane = Infinity;
  /** The short way is open below this many recorded. */
  #laneEnd = 0;
  /** What it answers: the promise of the next commit, once one is asked for that covers whatever comes before it. */
  #laneAnswer: Promise<void> = DONE;

  #flight: Flight | undefined;
  /** What those wait for who recorded something newer than the flight covers. */
  #next: Deferred | undefined;
  /** A commit without an answer in time, whose late answer may still come: until then none may be begun. */
  #stuck: NoAnswerError | undefined;
  /** How many commits of several sources are about to take this one along; meanwhile none of its own begins. */
  #held = 0;
  /** A failure that nobody waited for; the next record tells it, unless a later commit lands before. */
  #failure: unknown;
  #timer: unknown;
  #stopped = false;

  /** What wants the source for itself: reading it, a reset, a clear. */
  readonly #calls = new CallQueue(
    () => this.#closeLane(),
    () => {
      if (this.free) this.#goOn();
    },
  );

  /** What was handed out; what was before a reset, a clear or a new start is cut off it. */
  readonly deliveries: Deliveries;
  /** Who waits for an offset to be committed. */
  readonly #waiters = new Waiters();

  #commits = 0;
  #failures = 0;
  #firstPendingAt: number | undefined;
  #lastCommitAt: number | undefined;
  #lastCommitMs: number | undefined;

  constructor(source: string, context: CommitterContext) {
    this.source = source;
    this.#context = context;
    const { clock, monotonic, stuckAfterMs, listener } = context;
    this.deliveries = new Deliveries({
      source,
      clock,
      monotonic,
      stuckAfterMs,
      record: (reached, items) => this.#recordReached(reached, items),
      onBehind: (offset, error) => listener.behind(source, offset, error),
      onStuck: (offset, ageMs, inFlight) => listener.stuck(source, offset, ageMs, inFlight),
    });
  }

  /** What this tracker knows to be committed; undefined also while it has not asked. */
  get committed(): Offset | undefined {
    return this.#committed;
  }

  get pending(): Offset | undefined {
    if (this.#lane !== Infinity) this.#pending = Offset.sequence(this.#lane);
    return this.#pending;
  }

  get #count(): number {
    return this.#recorded - this.#taken;
  }

  /** Whether the tracker was closed. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Whether calls queue: for the source to be read, or for a reset or a clear to end. */
  get busy(): boolean {
    return this.#calls.busy;
  }

  get stats(): {
    recorded: number;
    pending: number;
    inFlight: number;
    commits: number;
    failures: number;
    committed: Offset | undefined;
    watermark: Offset | undefined;
    lastCommitAt: number | undefined;
    lastCommitMs: number | undefined;
    firstPendingAt: number | undefined;
  } {
    return {
      recorded: this.#recorded,
      pending: this.#count,
      inFlight: this.deliveries.inFlight,
      commits: this.#commits,
      failures: this.#failures,
      committed: this.#committed,
      watermark: this.pending ?? this.#committed,
      lastCommitAt: this.#lastCommitAt,
      lastCommitMs: this.#lastCommitMs,
      firstPendingAt: this.#firstPendingAt,
    };
  }

  // Recording.

  /** `record()` of `items` items of which the last has this sequence, and none has metadata. */
  recordNumber(sequence: number, items: number): Promise<void> {
    if (sequence > this.#lane && this.#recorded + items < this.#laneEnd && Number.isSafeInteger(sequence)) {
      this.#lane = sequence;
      this.#recorded += items;
      return this.#laneAnswer;
    }
    return this.record(Offset.sequence(sequence), undefined, items);
  }

  /**
   * Opens the short way, after a record that went the long one and found nothing else to do, save perhaps to wait for
   * the next commit, which then covers all that come before it begins.
   */
  #openLane(next?: Promise<void>): void {
    const { strategy, monotonic } = this.#context;
    const pending = this.#pending!;
    if (
      !monotonic ||
      pending.kind !== 'sequence' ||
      pending.value > Number.MAX_SAFE_INTEGER ||
      this.#pendingMetadata !== undefined
    )
      return;
    this.#lane = Number(pending.value);
    this.#laneAnswer = next ?? DONE;
    this.#laneEnd =
      strategy.kind === 'periodic' && next === undefined
        ? (this.#flight?.covered.recorded ?? this.#taken) + strategy.n
        : Infinity;
  }

  /** Closes it: from here on something else than the next number matters. */
  #closeLane(): void {
    if (this.#lane === Infinity) return;
    this.#pending = Offset.sequence(this.#lane);
    this.#lane = Infinity;
  }

  /**
   * Takes an offset as done. `items` is how many items it stands for, and `index` is given when it is that of a
   * delivery: where a reset comes before its turn, it says nothing about the source any more.
   */
  record(offset: Offset, metadata: Metadata | undefined, items: number, index?: number): Promise<void> {
    if (this.#queues) {
      return this.#later(() => {
        const stale = index !== undefined && this.deliveries.isCut(index);
        return stale ? DONE : this.record(offset, metadata, items, index);
      });
    }
    if (this.#phase === 'fenced') return Promise.reject(this.#fencedError());
    this.#closeLane();
    if (this.#context.monotonic) {
      const newest = this.#pending ?? this.#committed;
      const order = newest === undefined ? undefined : Offset.compare(offset, newest);
      if (order !== undefined && order <= 0) {
        if (order < 0) {
          const what = this.#pending === undefined ? 'committed' : 'recorded';
          const error = behindError(this.source, offset, newest!, what);
          this.#context.listener.behind(this.source, offset, error);
          return Promise.reject(error);
        }
        // Known already. With `auto` the promise still says that it is committed.
        return this.#context.strategy.kind === 'auto' ? this.commit() : DONE;
      }
    }
    this.#pending = offset;
    this.#pendingMetadata = metadata;
    this.#recorded += items;
    if (this.#firstPendingAt === undefined) {
      this.#firstPendingAt = this.#context.clock.now();
      this.#armTimer();
    }
    return this.#afterRecord();
  }

  #afterRecord(): Promise<void> {
    const { strategy } = this.#context;
    switch (strategy.kind) {
      case 'auto':
        return this.commit();
      case 'periodic':
        if (this.#recorded - (this.#flight?.covered.recorded ?? this.#taken) >= strategy.n) {
          const committed = this.commit();
          if (committed === this.#next?.promise) this.#openLane(committed);
          return committed;
        }
        break;
      case 'eager':
        this.#commitInBackground();
        break;
      default:
        break;
    }
    if (this.#failure === undefined) {
      this.#openLane();
      return DONE;
    }
    const failure = this.#failure;
    this.#failure = undefined;
    return Promise.reject(failure);
  }

  // Deliveries.

  #recordReached(reached: DeliveryNode, items: number): Promise<void> {
    const { place, metadata, index } = reached;
    if (typeof place === 'number' && metadata === undefined && !this.#queues)
      return this.recordNumber(place, items);
    return this.record(Offset.from(place), metadata, items, index);
  }

  /** Takes the deliveries before the index off the list: they will not be acked. */
  abandon(before: number): void {
    if (before >= this.deliveries.added) this.deliveries.rewind();
    this.#cut(before);
    if (!this.busy) this.#calls.drain();
  }

  /** Cuts off the deliveries before the index; what was handed out and acked since may now be recorded. */
  #cut(before: number): void {
    const cut = this.deliveries.cut(before);
    if (cut === undefined) return;
    this.#calls.first(() => {
      // Its ack was answered long ago: a failure is kept for the next record.
      this.#recordReached(cut.reached, cut.items).catch((error: unknown) => this.#keepFailure(error));
    });
  }

  /** Whether calls wait, for the source to be read first or for what goes on to end. */
  get #queues(): boolean {
    return this.busy || this.#phase === 'new';
  }

  /** Makes the call once it need not wait; where nothing goes on that it could wait for, the source is read first. */
  #later<T>(call: () => Promise<T>): Promise<T> {
    const outcome = this.#calls.later(call);
    // Whoever waits is told of a failure.
    if (!this.busy) this.#calls.alone(() => this.#learn()).catch(() => undefined);
    return outcome;
  }

  /** Keeps a failure that nobody waited for. */
  #keepFailure(error: unknown): void {
    this.#closeLane();
    this.#failure = error;
  }

  // Committing.

  /** Resolves when all that is recorded now is committed. */
  commit(): Promise<void> {
    if (this.busy) return this.#later(() => this.commit());
    this.#closeLane();
    if (this.#pending === undefined) return DONE;
    if (this.#phase === 'fenced') return Promise.reject(this.#fencedError());
    if (this.#flight === undefined && this.#held === 0) return this.#begin(true).promise;
    const flight = this.#flight;
    // (While the store's own commit() runs, the flight has no promise of its own yet.)
    if (flight?.covered.recorded === this.#recorded && flight.promise !== DONE) {
      flight.awaited = true;
      return flight.promise;
    }
    this.#next ??= deferred();
    return this.#next.promise;
  }

  /** Resolves when no commit is in flight, whatever came of it. */
  async settled(): Promise<void> {
    while (this.#flight !== undefined) await this.#flight.promise.catch(() => undefined);
  }

  /** Whether neither a commit is in flight nor calls queue. */
  get free(): boolean {
    return !this.busy && this.#flight === undefined;
  }

  /** Resolves when the calls made before were taken up and no commit is in flight, whatever came of them. */
  async quiescent(): Promise<void> {
    if (this.busy) await this.#calls.turn();
    await this.settled();
  }

  #commitInBackground(): void {
    // Nothing may overtake a reset; what it leaves pending is seen to when it has ended.
    if (
      this.busy ||
      this.#held > 0 ||
      this.#flight !== undefined ||
      this.pending === undefined ||
      this.#phase !== 'ready'
    )
      return;
    // The failure is kept for the next record (see #failed).
    this.#begin(false).promise.catch(() => undefined);
  }

  #begin(awaited: boolean): Flight {
    const flight: Flight = { covered: this.#cover(), promise: DONE, awaited };
    this.#flight = flight;
    this.#disarmTimer();
    // The flight must be in its place before the store is called, for a store may answer in the same turn.
    (flight as { promise: Promise<void> }).promise = this.#fly(flight);
    return flight;
  }

  async #fly(flight: Flight): Promise<void> {
    const startedAt = this.#context.clock.now();
    const landed = (): void => this.#landed(flight.covered, startedAt);
    try {
      if (this.#stuck !== undefined) throw this.#stuckError(this.#stuck);
      await this.#change(
        () => this.#describe('commit', flight.covered.offset),
        (store) => {
          // A further try takes along what was recorded since.
          flight.covered = this.#cover();
          return store.commit(this.source, flight.covered.offset, this.#commitOptions(flight.covered));
        },
        landed,
      );
    } catch (error) {
      this.#failed(flight, error, startedAt);
      throw error;
    }
    landed();
  }

  /** A call that changes the source in the store. An answer that comes too late is given to `late`. */
  async #change<T>(
    describe: () => StoreCall,
    ask: (store: OffsetStore) => Promise<T>,
    late: (answer: T) => void,
  ): Promise<T> {
    let answer: Promise<T> | undefined;
    try {
      return await this.#context.caller.call(describe, (store) => {
        answer = ask(store);
        return answer;
      });
    } catch (error) {
      if (error instanceof NoAnswerError && answer !== undefined) this.#awaitLate(error, answer, late);
      throw error;
    }
  }

  #cover(): Covered {
    this.#closeLane();
    return { offset: this.#pending!, metadata: this.#pendingMetadata, recorded: this.#recorded };
  }

  #commitOptions(covered: Covered): { epoch?: number; metadata?: Metadata; allowRegression?: boolean } {
    return {
      ...(this.#epoch === undefined ? undefined : { epoch: this.#epoch }),
      ...(covered.metadata === undefined ? undefined : { metadata: covered.metadata }),
      ...(this.#context.monotonic ? undefined : { allowRegression: true }),
    };
  }

  #landed(covered: Covered, startedAt: number): void {
    const { clock, listener } = this.#context;
    this.#closeLane();
    this.#flight = undefined;
    this.#commits++;
    this.#committed = covered.offset;
    this.#failure = undefined;
    const items = Math.max(0, covered.recorded - this.#taken);
    this.#taken += items;
    this.#lastCommitAt = clock.now();
    this.#lastCommitMs = this.#lastCommitAt - startedAt;
    if (this.#recorded === covered.recorded) {
      this.#pending = undefined;
      this.#pendingMetadata = undefined;
      this.#firstPendingAt = undefined;
    } else {
      // When exactly the first of the rest came is not kept; it was after the commit began.
      this.#firstPendingAt = startedAt;
    }
    this.#goOn();
    // Last, for a listener may call the tracker.
    this.#waiters.committed(covered.offset, covered.recorded);
    listener.committed(this.source, covered.offset, items, this.#lastCommitMs);
  }

  #failed(flight: Flight, error: unknown, startedAt: number): void {
    this.#flight = undefined;
    this.#failures++;
    if (isFenced(error)) this.#fence(error);
    if (!flight.awaited) this.#keepFailure(error);
    this.#goOn(error);
    this.#tellFailure(flight.covered.offset, error, startedAt);
  }

  #tellFailure(offset: Offset, error: unknown, startedAt: number): void {
    const { clock, listener } = this.#context;
    listener.commitFailed(this.source, offset, error, clock.now() - startedAt);
    if (error instanceof OffsetError && error.code === 'OFFSET_BEHIND')
      listener.behind(this.source, offset, error);
  }

  #fence(error: OffsetError): void {
    this.#closeLane();
    this.#phase = 'fenced';
    this.#waiters.reject(() => this.#fencedError());
    this.#context.listener.fenced(this.source, error);
  }

  // Waiting.

  /** Resolves when the offset, or one after it, is committed; begins no commit. */
  whenCommitted(offset: Offset, signals: readonly AbortSignal[]): Promise<void> {
    if (this.#queues) {
      return unlessAborted(
        signals,
        this.#later(() => this.whenCommitted(offset, signals)),
      );
    }
    if (this.#phase === 'fenced') return Promise.reject(this.#fencedError());
    if (this.#committed !== undefined && (Offset.compare(offset, this.#committed) ?? 1) <= 0) return DONE;
    // An offset without an order is passed by whatever is committed after it.
    const recorded =
      this.pending !== undefined && Offset.equals(offset, this.pending) ? this.#recorded : undefined;
    return this.#waiters.add(offset, recorded, signals);
  }

  /** Whoever waits is told that it will not come. */
  endWaiting(error: () => Error): void {
    this.#waiters.reject(error);
  }

  /**
   * Begins the commit that others wait for, or sees to it that the strategy comes back to what is pending. Called
   * when a commit has ended, and when what kept one from beginning has.
   */
  #goOn(error?: unknown): void {
    this.#closeLane();
    if (this.#held > 0) return;
    const next = this.#next;
    this.#next = undefined;
    if (this.pending === undefined) {
      next?.resolve();
    } else if (this.#phase !== 'ready' || this.#stuck !== undefined) {
      next?.reject(error);
    } else if (next !== undefined) {
      this.#begin(true).promise.then(next.resolve, next.reject);
    } else if (this.#context.strategy.kind === 'eager' && error === undefined) {
      this.#commitInBackground();
    } else {
      // After a failure `eager` has no timer and waits for the next record: at once again would only spin.
      this.#armTimer();
    }
  }

  #armTimer(): void {
    const { strategy, clock } = this.#context;
    const ms =
      strategy.kind === 'interval'
        ? strategy.ms
        : strategy.kind === 'periodic'
          ? strategy.maxDelayMs
          : undefined;
    if (ms === undefined || this.#timer !== undefined || this.#stopped) return;
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined;
      this.#commitInBackground();
    }, ms);
    // What is pending must not keep a process alive; close() is what flushes it.
    (this.#timer as { unref?: () => void }).unref?.();
  }

  #disarmTimer(): void {
    if (this.#timer === undefined) return;
    this.#context.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #awaitLate<T>(error: NoAnswerError, answer: Promise<T>, late: (answer: T) => void): void {
    this.#stuck = error;
    answer.then(
      (value) => {
        this.#stuck = undefined;
        late(value);
      },
      (refusal: unknown) => {
        this.#stuck = undefined;
        // A commit of several may be refused for another of them.
        if (isFenced(refusal) && (refusal.source ?? this.source) === this.source) this.#fence(refusal);
        this.#goOn(refusal);
      },
    );
  }

  #stuckError(first: NoAnswerError): OffsetIoError {
    return new OffsetIoError(
      `The store has still not answered an earlier change of source ${quote(this.source)}; nothing else was begun, ` +
        'for it could be overtaken',
      { code: 'OFFSET_DURABILITY_UNKNOWN', source: this.source, cause: first },
    );
  }

  #fencedError(): FencedError {
    return new FencedError(
      `Source ${quote(this.source)} was reset, cleared or claimed by another while this tracker worked on it ` +
        `under epoch ${this.#epoch ?? 'unknown'}; getOffset() begins anew under its present epoch`,
      { source: this.source },
    );
  }

  #forgottenError(): FencedError {
    return new FencedError(
      `Source ${quote(this.source)} was reset, cleared or begun anew while a commit of it was waited for`,
      { source: this.source },
    );
  }

  // Commits of several sources in one.

  /** Keeps commits of its own from beginning, so that a joint one can; each hold() wants one release(). */
  hold(): void {
    this.#held++;
  }

  release(error?: unknown): void {
    this.#held--;
    if (this.#flight === undefined) this.#goOn(error);
  }

  /**
   * Joins a commit of several sources, while held and free. Undefined when there is nothing to commit.
   *
   * @throws FencedError, or OffsetIoError while an earlier commit is without an answer
   */
  join(): JointCommit | undefined {
    if (this.pending === undefined) return undefined;
    if (this.#phase === 'fenced') throw this.#fencedError();
    if (this.#stuck !== undefined) throw this.#stuckError(this.#stuck);
    const startedAt = this.#context.clock.now();
    const end = deferred();
    end.promise.catch(() => undefined);
    const flight: Flight = { covered: this.#cover(), promise: end.promise, awaited: false };
    this.#flight = flight;
    this.#disarmTimer();
    const landed = (): void => this.#landed(flight.covered, startedAt);
    return {
      entry: () => {
        flight.covered = this.#cover();
        return { source: this.source, offset: flight.covered.offset, ...this.#commitOptions(flight.covered) };
      },
      landed: () => {
        this.#held--;
        landed();
        end.resolve();
      },
      failed: (error, answer) => {
        this.#failures++;
        this.#flight = undefined;
        if (error instanceof NoAnswerError && answer !== undefined) this.#awaitLate(error, answer, landed);
        // The error names the source that the whole commit was refused for; the others are as they were.
        const other =
          error instanceof OffsetError && error.source !== undefined && error.source !== this.source;
        if (isFenced(error) && error.source === this.source) this.#fence(error);
        if (!other) this.#tellFailure(flight.covered.offset, error, startedAt);
        if (other && flight.awaited) {
          // Who waits for this source alone gets a commit of its own.
          this.#next ??= deferred();
          this.#next.promise.then(end.resolve, end.reject);
        } else {
          end.reject(error);
        }
        this.release(error);
      },
    };
  }

  // Reading, resetting, clearing: one at a time, and nothing else meanwhile.

  /** The committed offset in the store. */
  readOffset(): Promise<Offset | undefined> {
    return this.#read(
      () =>
        this.#context.caller.call(
          () => this.#describe('read'),
          (store) => store.get(this.source),
        ),
      (learned) => learned.offset,
    );
  }

  /** The checkpoint in the store, which must have `inspect`. */
  readCheckpoint(): Promise<Checkpoint | undefined> {
    return this.#read(
      () =>
        this.#context.caller.call(
          () => this.#describe('read'),
          (store) => store.inspect!(this.source),
        ),
      (learned) => learned.checkpoint,
    );
  }

  /**
   * The first read, and one after the source was fenced, also adopts the epoch, and with `exclusive` claims the
   * source. Later ones do not: a process that missed a reset must be refused at its next commit, not follow
   * along unawares.
   */
  #read<T>(fromStore: () => Promise<T>, fromLearned: (learned: Learned) => T): Promise<T> {
    if (this.busy) return this.#calls.later(() => this.#read(fromStore, fromLearned));
    if (this.#phase === 'ready') return fromStore();
    return this.#calls.alone(async () => fromLearned(await this.#learn()));
  }

  /** Sets the offset in the store, under a new epoch where there are epochs, and forgets what is pending. */
  reset(offset: Offset): Promise<void> {
    const before = this.deliveries.rewind();
    const done = (epoch: number | undefined): void => {
      this.#epoch = epoch;
      this.#startOver(offset);
      this.#phase = 'ready';
      this.#cut(before);
    };
    return this.#calls.alone(async () => {
      await this.#quiet();
      done(
        await this.#change(
          () => this.#describe('reset', offset),
          (store) => reset(store, this.source, offset, this.#context.exclusive),
          (epoch) => this.#afterwards(() => done(epoch)),
        ),
      );
    });
  }

  /** Clears the source in the store, and forgets it: the next touch reads its new epoch. */
  clear(): Promise<void> {
    const before = this.deliveries.rewind();
    return this.#calls.alone(async () => {
      await this.#quiet();
      await this.#change(
        () => this.#describe('clear'),
        (store) => store.clear(this.source),
        () => this.#afterwards(() => this.#forget(before)),
      );
      this.#forget(before);
    });
  }

  /**
   * Pauses everything for this source, so that all can be cleared; resolves, once nothing is under way, with what
   * ends the pause.
   */
  pause(): Promise<(end: PauseEnd) => void> {
    const before = this.deliveries.rewind();
    return new Promise((resolve, reject) => {
      this.#calls
        .alone(async () => {
          await this.#quiet();
          const { cleared, error, unanswered } = await new Promise<PauseEnd>((end) => {
            resolve(end);
          });
          if (cleared) this.#forget(before);
          else if (error instanceof NoAnswerError && unanswered !== undefined) {
            this.#awaitLate(error, unanswered, () => this.#afterwards(() => this.#forget(before)));
          }
        })
        .catch(reject);
    });
  }

  /** Lets every call for this source queue until the promise, which must not reject, has resolved. */
  waitFor(promise: Promise<void>): void {
    void this.#calls.alone(() => promise);
  }

  /** Does what a late answer calls for, once nothing else is under way. */
  #afterwards(work: () => void): void {
    void this.#calls.alone(async () => work());
  }

  /** No timer from now on: the tracker is being closed. */
  stop(): void {
    this.#stopped = true;
    this.#disarmTimer();
    this.deliveries.stop();
  }

  /**
   * Until no commit is in flight: where a store has no epochs, one that lands late would undo what comes next.
   * Calls queue meanwhile, so that no new one begins.
   */
  async #quiet(): Promise<void> {
    await this.settled();
    if (this.#stuck !== undefined) throw this.#stuckError(this.#stuck);
  }

  async #learn(): Promise<Learned> {
    const { caller, exclusive } = this.#context;
    let learned: Learned;
    try {
      learned = await caller.call(
        () => this.#describe(exclusive ? 'claim' : 'read'),
        (store) => learn(store, this.source, exclusive),
      );
    } catch (error) {
      if (this.#phase === 'new') this.#calls.reject(error);
      throw error;
    }
    const fenced = this.#phase === 'fenced';
    this.#startOver(learned.offset);
    this.#epoch = learned.epoch;
    this.#phase = 'ready';
    if (fenced) {
      // Whoever reads the source has not been told yet where to begin anew.
      this.#cut(this.deliveries.rewind());
    }
    return learned;
  }

  #forget(before: number): void {
    this.#startOver(undefined);
    this.#phase = 'new';
    this.#cut(before);
  }

  #startOver(committed: Offset | undefined): void {
    this.#lane = Infinity;
    this.#committed = committed;
    this.#pending = undefined;
    this.#pendingMetadata = undefined;
    this.#taken = this.#recorded;
    this.#waiters.reject(() => this.#forgottenError());
    this.#firstPendingAt = undefined;
    this.#failure = undefined;
    this.#disarmTimer();
  }

  #describe(verb: string, offset?: Offset): StoreCall {
    const what = `${verb} of source ${quote(this.source)}`;
    return {
      what: offset === undefined ? what : `${what} at ${quote(Offset.format(offset))}`,
      source: this.source,
      writes: verb !== 'read',
    };
  }
}

/**
 * Sets the offset, and gives the epoch to commit under. A store without `reset` has it set by a commit; the
 * epoch is then the one before, so that whoever resets the source in between fences us.
 */
async function reset(
  store: OffsetStore,
  source: string,
  offset: Offset,
  exclusive: boolean,
): Promise<number | undefined> {
  if (store.reset !== undefined) return store.reset(source, offset);
  const epoch = exclusive ? await store.claim!(source) : await store.epoch?.(source);
  await store.commit(source, offset, { allowRegression: true });
  return epoch;
}

function isFenced(error: unknown): error is OffsetError {
  return error instanceof OffsetError && error.code === 'OFFSET_FENCED';
}

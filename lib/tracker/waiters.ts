import { Offset } from '../offset.js';

interface Waiter {
  readonly offset: Offset;
  /** The commit that covers so many recorded items covers it too; undefined where it was not recorded yet. */
  readonly recorded: number | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Who waits for an offset of one source to be committed. */
export class Waiters {
  readonly #waiters = new Set<Waiter>();

  /** Rejects with the reason of the signal that is aborted, when that comes first. */
  async add(offset: Offset, recorded: number | undefined, signals: readonly AbortSignal[]): Promise<void> {
    let waiter!: Waiter;
    const committed = new Promise<void>((resolve, reject) => {
      waiter = { offset, recorded, resolve, reject };
    });
    this.#waiters.add(waiter);
    try {
      await unlessAborted(signals, committed);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /** An offset was committed, and with it what was recorded up to then. */
  committed(offset: Offset, recorded: number): void {
    for (const waiter of this.#waiters) {
      const covered = waiter.recorded !== undefined && waiter.recorded <= recorded;
      if (covered || (Offset.compare(waiter.offset, offset) ?? 1) <= 0) waiter.resolve();
    }
  }

  reject(error: () => Error): void {
    for (const waiter of this.#waiters) waiter.reject(error());
  }
}

/**
 * The promise's outcome, or the reason of the signal that is aborted before it. Nothing is left at the signals: not
 * AbortSignal.any(), of which a signal that lives long keeps something for each call.
 */
export function unlessAborted<T>(signals: readonly AbortSignal[], promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      const aborted = signals.find((signal) => signal.aborted);
      if (aborted !== undefined) reject(aborted.reason);
    };
    const end = (): void => {
      for (const signal of signals) signal.removeEventListener('abort', abort);
    };
    for (const signal of signals) signal.addEventListener('abort', abort);
    abort();
    promise.then(resolve, reject).finally(end);
  });
}

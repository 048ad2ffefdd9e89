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

  /** Rejects with the signal's reason when that comes first. */
  add(offset: Offset, recorded: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        end();
        reject(signal!.reason);
      };
      const waiter: Waiter = {
        offset,
        recorded,
        resolve: () => {
          end();
          resolve();
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      if (signal?.aborted === true) {
        abort();
        return;
      }
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.add(waiter);
    });
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

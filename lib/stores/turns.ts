import { OffsetLockError } from '../errors.js';
import type { SqlCall } from './sql.js';

/** Somebody who waits for the connection. */
interface Waiter {
  readonly go: () => void;
}

/**
 * Who uses a connection. A connection has one transaction at a time, and whatever is run on it meanwhile is part of
 * that; so while a transaction of a store's making is open, all other calls of the stores on the connection wait.
 */
export class Turns {
  static readonly #ofConnection = new WeakMap<object, Turns>();

  /** The turns of a connection, whichever stores are made on it. */
  static of(connection: object): Turns {
    let turns = Turns.#ofConnection.get(connection);
    if (turns === undefined) Turns.#ofConnection.set(connection, (turns = new Turns()));
    return turns;
  }

  #takenAtMs: number | undefined;
  readonly #waiting = new Set<Waiter>();

  /**
   * Takes the connection, which {@link pass} gives back; a promise only where it has to be waited for.
   *
   * @throws OffsetLockError `OFFSET_LOCK_TIMEOUT` when one and the same transaction has it for longer than `limitMs`
   */
  take(limitMs: number, call: SqlCall): Promise<void> | undefined {
    if (this.#takenAtMs !== undefined) return this.#wait(limitMs, call);
    this.#takenAtMs = performance.now();
    return undefined;
  }

  pass(): void {
    const [next] = this.#waiting;
    this.#takenAtMs = next === undefined ? undefined : performance.now();
    next?.go();
  }

  #wait(limitMs: number, { what, source }: SqlCall): Promise<void> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const waiter: Waiter = {
        go: () => {
          this.#waiting.delete(waiter);
          clearTimeout(timer);
          resolve();
        },
      };
      // A long queue that moves is none's fault; what must not be waited for without end is a turn that is not passed.
      const look = (): void => {
        const leftMs = limitMs - (performance.now() - this.#takenAtMs!);
        if (leftMs > 0) {
          timer = setTimeout(look, Math.ceil(leftMs));
          return;
        }
        this.#waiting.delete(waiter);
        reject(
          new OffsetLockError(
            `${what} failed: the transaction that is open on its connection did not end within ${limitMs} ms ` +
              '(lockTimeoutMs). Inside transaction(), commit through using(tx): the store itself waits for its end',
            { source },
          ),
        );
      };
      this.#waiting.add(waiter);
      look();
    });
  }
}

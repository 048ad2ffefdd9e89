/** The calls of a store that have not ended, which its `close()` waits for. */
export class RunningCalls {
  readonly #running = new Set<Promise<unknown>>();

  /** Counts the call among them until it ends. */
  async track<T>(call: Promise<T>): Promise<T> {
    this.#running.add(call);
    try {
      return await call;
    } finally {
      this.#running.delete(call);
    }
  }

  /** Resolves when those that are under way now have ended, whatever came of them. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}

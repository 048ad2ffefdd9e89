interface QueuedCall {
  readonly run: () => void;
  /** Absent where the call is made all the same when those before it are refused. */
  readonly reject?: (error: unknown) => void;
}

/** Lets one piece of work go on at a time; calls that come meanwhile wait until it has ended, in their order. */
export class CallQueue {
  readonly #begun: () => void;
  readonly #ended: () => void;
  #busy = false;
  #calls: QueuedCall[] = [];

  /**
   * @param begun - called before each piece of work begins
   * @param ended - called when one has ended and the calls that waited for it were made
   */
  constructor(begun: () => void, ended: () => void) {
    this.#begun = begun;
    this.#ended = ended;
  }

  /** Whether a piece of work goes on. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Makes the call in its turn, and gives its outcome; {@link reject} refuses it. */
  later<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#calls.push({ run: () => resolve(call()), reject });
    });
  }

  /** Resolves when the calls before were made and nothing goes on. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#calls.push({ run: resolve });
    });
  }

  /** Makes the call before all that wait. */
  first(call: () => void): void {
    this.#calls.unshift({ run: call });
  }

  /** Does the work in its turn, and alone. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy) {
      return new Promise((resolve) => {
        this.#calls.push({ run: () => resolve(this.alone(work)) });
      });
    }
    this.#busy = true;
    this.#begun();
    try {
      return await work();
    } finally {
      this.#busy = false;
      this.drain();
      this.#ended();
    }
  }

  /** Refuses the calls that wait for their outcome to be given. */
  reject(error: unknown): void {
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) {
      if (call.reject === undefined) this.#calls.push(call);
      else call.reject(error);
    }
  }

  /** Makes the calls that wait, until one of them begins a piece of work. */
  drain(): void {
    const calls = this.#calls;
    this.#calls = [];
    let next = 0;
    while (next < calls.length && !this.#busy) calls[next++]!.run();
    // A call that had to queue again stands before those that were behind it.
    if (next < calls.length) this.#calls = [...this.#calls, ...calls.slice(next)];
  }
}

import type { Clock } from '../../lib/tracker/clock.js';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
  readonly order: number;
  referenced: boolean;
}

/** Lets every promise that can settle by itself do so: the microtasks, and what Node does in one turn. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Time that a test moves by hand. It begins at 1,000,000 ms, so that a zero is seen to be a mistake. */
export class FakeClock implements Clock {
  #now = 1_000_000;
  #made = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): unknown {
    const timer: Timer & { unref(): void } = {
      at: this.#now + ms,
      callback,
      order: this.#made++,
      referenced: true,
      unref() {
        this.referenced = false;
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as Timer);
  }

  /** How long from now each timer fires, the next first. */
  get timers(): number[] {
    return this.#sorted().map((timer) => timer.at - this.#now);
  }

  /** The same of the timers that would keep a process alive. */
  get referencedTimers(): number[] {
    return this.#sorted()
      .filter((timer) => timer.referenced)
      .map((timer) => timer.at - this.#now);
  }

  /** Moves on, firing what falls due in order, and lets promises settle before, between and after. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const due = this.#sorted()[0];
      if (due === undefined || due.at > end) break;
      this.#now = Math.max(this.#now, due.at);
      this.#timers.delete(due);
      due.callback();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  #sorted(): Timer[] {
    return [...this.#timers].toSorted((a, b) => a.at - b.at || a.order - b.order);
  }
}

/** Numbers that look random, and are the same again for the same seed. */
export class Random {
  readonly seed: number;
  #state: number;

  /** @param seed - by default that of the variable `FIRE_SEED`, or else a new one; figures print it */
  constructor(seed = Number(process.env['FIRE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))) {
    this.seed = seed;
    this.#state = seed;
  }

  /** 0 … 1, without 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer, 0 … n - 1. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('Expected something to pick from');
    return items[this.below(items.length)] as T;
  }
}

/** How much a long run does: the variable's number, where it is set. */
export function amount(variable: string, byDefault: number): number {
  return Number(process.env[variable] ?? byDefault);
}

/** One line of figures, past the runner's own output. */
export function printFigures(title: string, figures: Readonly<Record<string, unknown>>): void {
  const parts = Object.entries(figures).map(([name, value]) => `${name} ${String(value)}`);
  process.stderr.write(`fire: ${title}: ${parts.join(', ')}\n`);
}

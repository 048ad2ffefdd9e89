/** Numbers that look random and follow from a seed alone, so that a run can be made again. */
export interface SimRandom {
  /** 0 <= x < 1 */
  next(): number;
  /** 0 <= n < below, an integer */
  below(below: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
}

/** The generator mulberry32: 32 bits of state, good enough to choose among schedules. */
export function simRandom(seed: number): SimRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (below: number): number => Math.floor(next() * below);
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError('Expected something to pick from');
      return items[below(items.length)] as T;
    },
  };
}

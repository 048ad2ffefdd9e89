import { performance } from 'node:perf_hooks';

/** One way of doing the same work. */
export interface Variant {
  readonly name: string;
  /** Sets up what is not measured. Called once for each round. */
  readonly prepare: () => Run | Promise<Run>;
}

/** The work of one round. */
interface Run {
  /** Does the work, and gives how many operations that was. */
  readonly run: () => number | Promise<number>;
  /** Takes down what was set up; not measured. */
  readonly end?: () => unknown;
}

/** What was measured of one variant; every figure is the median of the rounds. */
export interface Line {
  readonly name: string;
  readonly perSecond: number;
  /** Half the distance between the quartiles, as a share of the median. */
  readonly spread: number;
  /** Its operations a second against those of the first variant in the same round. */
  readonly ratio: number;
  /** The quartiles of that. */
  readonly ratioRange: readonly [number, number];
}

/** Lines that were measured together: ratios hold within a group, and nowhere else. */
export interface Group {
  readonly name: string;
  readonly lines: readonly Line[];
  /** The median of the ratios of two variants, round by round. */
  readonly between: (name: string, other: string) => number;
}

/** The value at the share `q` of the sorted ones; between two, the nearer. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.round(q * (sorted.length - 1))];
  if (value === undefined) throw new Error('Expected values');
  return value;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/**
 * Measures variants against each other: one or more rounds of warming up, then `rounds` rounds in which all run,
 * in an order that turns around each time. The machine may be faster in one minute than in the next; what runs side
 * by side has the same luck, so ratios are taken round by round, and their median counts.
 */
export async function compare(
  name: string,
  variants: readonly Variant[],
  rounds: number,
  warmUp = 2,
): Promise<Group> {
  const rates = new Map<string, number[]>(variants.map((variant) => [variant.name, []]));
  for (let round = -warmUp; round < rounds; round++) {
    const order = round % 2 === 0 ? variants : variants.toReversed();
    for (const variant of order) {
      const { run, end } = await variant.prepare();
      globalThis.gc?.({ type: 'minor' });
      const start = performance.now();
      const operations = await run();
      const seconds = (performance.now() - start) / 1000;
      await end?.();
      if (round >= 0) rates.get(variant.name)?.push(operations / seconds);
    }
  }
  const ratesOf = (variant: string): number[] => {
    const own = rates.get(variant);
    if (own === undefined) throw new Error(`Expected a variant of ${name}, got ${variant}`);
    return own;
  };
  const ratios = (variant: string, other: string): number[] => {
    const others = ratesOf(other);
    return ratesOf(variant).map((rate, round) => rate / (others[round] ?? Number.NaN));
  };
  const [first] = variants;
  if (first === undefined) throw new Error('Expected variants');
  const lines = variants.map((variant): Line => {
    const own = ratesOf(variant.name);
    const against = ratios(variant.name, first.name);
    return {
      name: variant.name,
      perSecond: median(own),
      spread: (quantile(own, 0.75) - quantile(own, 0.25)) / 2 / median(own),
      ratio: median(against),
      ratioRange: [quantile(against, 0.25), quantile(against, 0.75)],
    };
  });
  return { name, lines, between: (variant, other) => median(ratios(variant, other)) };
}

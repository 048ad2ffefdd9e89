import { performance } from 'node:perf_hooks';

/** One way of doing the same work. */
export interface Variant {
  readonly name: string;
  /** Does the work once and gives how many operations that was. What it sets up before is not measured. */
  readonly prepare: () => Promise<() => Promise<number>>;
}

export interface Line {
  readonly name: string;
  /** Operations a second: the median of the rounds. */
  readonly perSecond: number;
  /** Half the distance between the quartiles, as a share of the median. */
  readonly spread: number;
  /** Its median against that of the first variant. */
  readonly ratio: number;
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}

/**
 * Measures variants against the first of them: one warm-up round, then `rounds` rounds in which all run, in an order
 * that turns around each time, so that what slows the machine for a while slows all of them.
 */
export async function compare(variants: readonly Variant[], rounds: number): Promise<Line[]> {
  const rates = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    const order = round % 2 === 0 ? variants : variants.toReversed();
    for (const { name, prepare } of order) {
      const run = await prepare();
      globalThis.gc?.();
      const start = performance.now();
      const operations = await run();
      const rate = operations / ((performance.now() - start) / 1000);
      if (round >= 0) rates.get(name)!.push(rate);
    }
  }
  const sorted = variants.map(({ name }) => rates.get(name)!.toSorted((a, b) => a - b));
  const baseline = quantile(sorted[0]!, 0.5);
  return variants.map(({ name }, at) => {
    const own = sorted[at]!;
    const median = quantile(own, 0.5);
    return {
      name,
      perSecond: Math.round(median),
      spread: (quantile(own, 0.75) - quantile(own, 0.25)) / 2 / median,
      ratio: median / baseline,
    };
  });
}

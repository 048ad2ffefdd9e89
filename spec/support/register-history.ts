/**
 * Whether what several processes did to the offset of a source could have been done by one after the other: the
 * offset is a register that only goes up, and its epoch is another. Claims raise the epoch and leave the offset; there
 * are no resets. Times are of a clock that all processes share, such as `process.hrtime.bigint()` on one machine.
 */

/** One call, as the process that made it saw it. */
export interface Operation {
  readonly process: string;
  readonly source: string;
  readonly call: 'commit' | 'get' | 'claim';
  /** The offset of a commit, the one that a get gave (-1 for none), the epoch that a claim gave. */
  readonly value: bigint;
  /** Of a commit: the epoch that it was made under; undefined for one that is not fenced. */
  readonly epoch?: number | undefined;
  /** `unknown`: it may have taken effect, then or later. `failed`: it certainly has not. */
  readonly outcome: 'ok' | 'behind' | 'fenced' | 'failed' | 'unknown';
  readonly start: bigint;
  readonly end: bigint;
}

/** What cannot be, in words; none when the history can. */
export function violations(history: readonly Operation[]): string[] {
  const sources = new Map<string, Operation[]>();
  for (const operation of history) {
    const operations = sources.get(operation.source);
    if (operations === undefined) sources.set(operation.source, [operation]);
    else operations.push(operation);
  }
  return [...sources.values()].flatMap(violationsOfSource);
}

/** Where the source is in the end, when every call had an answer: at the highest offset, one epoch for each claim. */
export function endOf(
  history: readonly Operation[],
  source: string,
): { readonly offset: bigint; readonly epoch: number } {
  const done = history.filter((operation) => operation.source === source && operation.outcome === 'ok');
  const commits = done.filter(({ call }) => call === 'commit');
  return {
    offset: commits.reduce((highest, { value }) => max(highest, value), -1n),
    epoch: done.filter(({ call }) => call === 'claim').length,
  };
}

function violationsOfSource(operations: readonly Operation[]): string[] {
  const found: string[] = [];
  const byEnd = operations.toSorted((a, b) => compare(a.end, b.end));
  const byStart = operations.toSorted((a, b) => compare(a.start, b.start));

  // What is known to have been when an operation began: what ended before.
  let offset = -1n;
  let epoch = 0n;
  let ended = 0;
  const claimed = new Set<bigint>();
  for (const operation of byStart) {
    for (; ended < byEnd.length; ended += 1) {
      const earlier = byEnd[ended] as Operation;
      if (earlier.end >= operation.start) break;
      if (earlier.outcome !== 'ok') continue;
      if (earlier.call === 'claim') epoch = max(epoch, earlier.value);
      else offset = max(offset, earlier.value);
      epoch = max(epoch, BigInt(earlier.epoch ?? 0));
    }
    if (operation.outcome !== 'ok') continue;
    if (operation.call === 'claim') {
      if (operation.value <= epoch) {
        found.push(`${told(operation)} although epoch ${epoch} had been reached`);
      }
      if (claimed.has(operation.value)) found.push(`${told(operation)} as another claim did`);
      claimed.add(operation.value);
      continue;
    }
    if (operation.value < offset) {
      found.push(`${told(operation)} although offset ${offset} had been reached`);
    }
    if (operation.epoch !== undefined && BigInt(operation.epoch) < epoch) {
      found.push(`${told(operation)} although epoch ${epoch} had been reached`);
    }
  }

  // What may have been when an operation ended: what began before.
  const attempted = new Set([-1n]);
  let highest = -1n;
  let highestEpoch = 0n;
  let began = 0;
  for (const operation of byEnd) {
    for (; began < byStart.length; began += 1) {
      const earlier = byStart[began] as Operation;
      if (earlier.start > operation.end) break;
      if (earlier.call === 'claim') {
        // What epoch a claim without an answer gave nobody knows.
        if (earlier.outcome === 'ok') highestEpoch = max(highestEpoch, earlier.value);
        else highestEpoch += 1n;
      }
      if (earlier.call === 'commit' && (earlier.outcome === 'ok' || earlier.outcome === 'unknown')) {
        attempted.add(earlier.value);
        highest = max(highest, earlier.value);
      }
    }
    if (operation.call === 'get' && operation.outcome === 'ok' && !attempted.has(operation.value)) {
      found.push(`${told(operation)}, which nobody had committed`);
    }
    if (operation.outcome === 'behind' && operation.value >= highest) {
      found.push(`${told(operation)} although nothing beyond ${highest} had been committed`);
    }
    if (operation.outcome === 'fenced' && BigInt(operation.epoch ?? 0) >= highestEpoch) {
      found.push(`${told(operation)} although no epoch beyond ${highestEpoch} had been claimed`);
    }
  }
  return found;
}

function told({ process, source, call, value, epoch, outcome }: Operation): string {
  const under = epoch === undefined ? '' : ` under epoch ${epoch}`;
  return `${process}: ${call} of ${source}${under} gave ${value} (${outcome})`;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

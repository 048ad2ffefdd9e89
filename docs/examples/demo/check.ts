import type { OutputLine, Summary } from './work.js';

/** What was found in the moment after a kill, when nothing ran. */
export interface Kill {
  /** How many whole lines the output had. */
  readonly outputLines: number;
  /** How many items were done, and not committed in the store. */
  readonly uncommitted: number;
}

/** What a run left behind. */
export interface Evidence {
  /** The items of the input by their positions, as a plain pass over the file found them. */
  readonly items: ReadonlyMap<number, Summary>;
  /** The output of all lives, in order. */
  readonly outputs: readonly OutputLine[];
  readonly kills: readonly Kill[];
  /** How many items lie up to the offset that is in the store at the end. */
  readonly committedItems: number;
  /** The most items that one kill may make the worker repeat; undefined where the strategy sets no number. */
  readonly repeatLimit: number | undefined;
}

export interface Verdict {
  readonly itemsIn: number;
  /** Different items in the output. */
  readonly itemsOut: number;
  readonly lost: number;
  /** Output lines of items that were in the output before. */
  readonly repeated: number;
  /** The most items repeated after one kill. */
  readonly worstRepeated: number;
  /** The most items found done and not committed after one kill. */
  readonly worstUncommitted: number;
  /** Each promise that was broken, in a sentence; none is a pass. */
  readonly problems: readonly string[];
}

/** Counts what was lost and what was repeated, and holds it against what the library promises. */
export function check(evidence: Evidence): Verdict {
  const { items, outputs, kills, committedItems, repeatLimit } = evidence;
  const problems: string[] = [];
  const seen = new Map<number, OutputLine>();
  let unknown = 0;
  // One entry for each life of the worker; a new one begins where the output stood at a kill.
  const repeats = [0];
  for (const [index, line] of outputs.entries()) {
    while (kills[repeats.length - 1] !== undefined && index >= kills[repeats.length - 1]!.outputLines) {
      repeats.push(0);
    }
    if (!items.has(line.offset)) unknown++;
    else if (seen.has(line.offset)) repeats[repeats.length - 1]!++;
    else seen.set(line.offset, line);
  }

  const lost = items.size - seen.size;
  if (lost > 0) problems.push(`${count(lost, 'item')} of the input never came out.`);
  if (unknown > 0) {
    problems.push(
      `${count(unknown, 'line')} of the output ${unknown === 1 ? 'belongs' : 'belong'} to no item of the input.`,
    );
  }
  for (const [life, repeated] of repeats.entries()) {
    // The first life has nothing to repeat.
    const uncommitted = life === 0 ? 0 : kills[life - 1]!.uncommitted;
    if (repeated > uncommitted) {
      problems.push(
        `In life ${life + 1}, ${count(repeated, 'item')} ${were(repeated)} done again, and ${uncommitted} ` +
          `${were(uncommitted)} not committed before it.`,
      );
    }
    if (repeatLimit !== undefined && uncommitted > repeatLimit) {
      problems.push(
        `At kill ${life}, ${count(uncommitted, 'item')} were not committed, and the strategy allows ${repeatLimit}.`,
      );
    }
  }
  if (committedItems !== items.size) {
    problems.push(`At the end ${committedItems} of ${count(items.size, 'item')} were committed.`);
  }
  if (lost === 0 && !sameTotals(totals(seen.values()), totals(items.values()))) {
    problems.push('The totals of the output are not those of the input.');
  }

  return {
    itemsIn: items.size,
    itemsOut: seen.size,
    lost,
    repeated: repeats.reduce((sum, repeated) => sum + repeated, 0),
    worstRepeated: Math.max(...repeats),
    worstUncommitted: Math.max(0, ...kills.map(({ uncommitted }) => uncommitted)),
    problems,
  };
}

interface Total {
  items: number;
  sum: number;
}

/** The aggregation that the demo is about: for each group, how many items, and the sum of their values. */
export function totals(summaries: Iterable<Summary>): Map<string, Total> {
  const groups = new Map<string, Total>();
  for (const { group, value } of summaries) {
    const total = groups.get(group) ?? { items: 0, sum: 0 };
    total.items++;
    total.sum += value;
    groups.set(group, total);
  }
  return groups;
}

function sameTotals(a: ReadonlyMap<string, Total>, b: ReadonlyMap<string, Total>): boolean {
  return (
    a.size === b.size &&
    [...a].every(([group, total]) => {
      const other = b.get(group);
      return other !== undefined && other.items === total.items && other.sum === total.sum;
    })
  );
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function were(number: number): string {
  return number === 1 ? 'was' : 'were';
}

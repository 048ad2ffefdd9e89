import { describe, expect, it } from '@jest/globals';
import { check, type Evidence, totals } from '../../docs/examples/demo/check.js';
import type { OutputLine } from '../../docs/examples/demo/work.js';

const item = (offset: number): OutputLine => ({
  offset,
  group: offset % 20 === 0 ? 'even' : 'odd',
  value: offset,
});

/** Ten items that end at 10, 20, … 100. */
const items = new Map(Array.from({ length: 10 }, (_, index) => [(index + 1) * 10, item((index + 1) * 10)]));

const run = (outputs: readonly number[], rest: Partial<Evidence> = {}) =>
  check({ items, outputs: outputs.map(item), kills: [], committedItems: 10, repeatLimit: 3, ...rest });

const all = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];

describe('check', () => {
  it('passes a run without kills', () => {
    expect(run(all)).toEqual({
      itemsIn: 10,
      itemsOut: 10,
      lost: 0,
      repeated: 0,
      worstRepeated: 0,
      worstUncommitted: 0,
      problems: [],
    });
  });

  it('counts what each kill made the next life repeat', () => {
    const verdict = run([10, 20, 30, 40, 30, 40, 50, 60, 70, 50, 60, 70, 80, 90, 100], {
      kills: [
        { outputLines: 4, uncommitted: 2 },
        { outputLines: 9, uncommitted: 3 },
      ],
    });
    expect(verdict).toMatchObject({
      itemsOut: 10,
      lost: 0,
      repeated: 5,
      worstRepeated: 3,
      worstUncommitted: 3,
    });
    expect(verdict.problems).toEqual([]);
  });

  it('allows fewer repeats than were uncommitted, as when a life is killed before it has repeated them all', () => {
    const verdict = run([10, 20, 30, 10, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100], {
      kills: [
        { outputLines: 3, uncommitted: 3 },
        { outputLines: 4, uncommitted: 3 },
      ],
    });
    expect(verdict).toMatchObject({ repeated: 4, worstRepeated: 3, problems: [] });
  });

  it('counts a lost item', () => {
    const verdict = run(all.filter((offset) => offset !== 40));
    expect(verdict).toMatchObject({ itemsOut: 9, lost: 1 });
    expect(verdict.problems).toEqual(['1 item of the input never came out.']);
  });

  it('finds a repeat that no kill explains', () => {
    expect(run([10, 20, 20, ...all.slice(2)]).problems).toEqual([
      'In life 1, 1 item was done again, and 0 were not committed before it.',
    ]);
  });

  it('finds more repeats after a kill than there was uncommitted', () => {
    const { problems } = run([10, 20, 30, 20, 30, ...all.slice(3)], {
      kills: [{ outputLines: 3, uncommitted: 1 }],
    });
    expect(problems).toEqual(['In life 2, 2 items were done again, and 1 was not committed before it.']);
  });

  it('finds a broken bound', () => {
    const kills = [{ outputLines: 4, uncommitted: 4 }];
    const outputs = [10, 20, 30, 40, ...all];
    expect(run(outputs, { kills }).problems).toEqual([
      'At kill 1, 4 items were not committed, and the strategy allows 3.',
    ]);
    expect(run(outputs, { kills, repeatLimit: undefined }).problems).toEqual([]);
  });

  it('finds output that belongs to no item', () => {
    expect(run([...all, 105]).problems).toEqual(['1 line of the output belongs to no item of the input.']);
  });

  it('finds an end that was not committed', () => {
    expect(run(all, { committedItems: 9 }).problems).toEqual(['At the end 9 of 10 items were committed.']);
  });

  it('finds output whose content is not that of its items', () => {
    const outputs = all.map(item).map((line) => (line.offset === 50 ? { ...line, value: 51 } : line));
    expect(check({ items, outputs, kills: [], committedItems: 10, repeatLimit: 3 }).problems).toEqual([
      'The totals of the output are not those of the input.',
    ]);
  });
});

describe('totals', () => {
  it('counts and adds by group', () => {
    expect([...totals(items.values())]).toEqual([
      ['odd', { items: 5, sum: 250 }],
      ['even', { items: 5, sum: 300 }],
    ]);
  });
});

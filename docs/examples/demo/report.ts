import Table from 'cli-table3';
import { totals, type Verdict } from './check.js';
import type { Input } from './data.js';
import type { DemoOptions } from './options.js';
import { formatNumber, paint } from './terminal.js';

/** A strategy's line of the closing table. */
export interface Row {
  readonly strategy: string;
  readonly verdict: Verdict;
  readonly repeatLimit: number | undefined;
  readonly commits: number;
  readonly kills: number;
  readonly ms: number;
}

/** What is about to happen. */
export function introduction(input: Input, options: DemoOptions, seed: number, exactlyOnce: boolean): string {
  const lines = [
    `${input.name}: ${formatNumber(input.items.size)} lines, ${(input.bytes / 1e6).toFixed(1)} MB. A worker reads them,`,
    ...(exactlyOnce
      ? [
          'does its work for each, and writes the results and their offset to a database,',
          'both in one transaction.',
          `It is killed ${times(options.kills)} and started again (--seed ${seed} repeats the moments).`,
        ]
      : [
          'does its work for each, and appends the result to a file.',
          `It is killed ${times(options.kills)} and started again, with each strategy in turn:`,
          `${options.strategies.join(', ')} (--seed ${seed} repeats the moments).`,
        ]),
  ];
  if (options.wrongOrder) {
    lines.push(paint('yellow', 'In the wrong order: each item is recorded before its work is done.'));
  }
  return `${lines.join('\n')}\n`;
}

const TITLES = [
  'strategy',
  'items\nin',
  'items\nout',
  'lost',
  'items\nrepeated',
  'worst\nkill',
  'bound',
  'commits',
  'kills',
  'time',
];

/** Rules above, below and under the titles, and no others: ten columns fit a terminal of 80. */
const NO_RULES = ['left', 'left-mid', 'middle', 'mid-mid', 'right', 'right-mid'];
const NO_CORNERS = ['top-left', 'top-mid', 'top-right', 'bottom-left', 'bottom-mid', 'bottom-right'];
const RULES = Object.fromEntries([...NO_RULES, ...NO_CORNERS].map((place) => [place, '']));

/** The closing table. */
export function table(rows: readonly Row[]): string {
  const result = new Table({
    head: TITLES.map((title) => paint('bold', title)),
    colAligns: TITLES.map((_, column) => (column === 0 ? 'left' : 'right')),
    chars: RULES,
    // The library's own colours do not ask whether there is a terminal.
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 1, compact: true },
  });
  for (const { strategy, verdict, repeatLimit, commits, kills, ms } of rows) {
    result.push([
      strategy,
      formatNumber(verdict.itemsIn),
      formatNumber(verdict.itemsOut),
      paint(verdict.lost === 0 ? 'green' : 'red', formatNumber(verdict.lost)),
      formatNumber(verdict.repeated),
      formatNumber(verdict.worstRepeated),
      repeatLimit === undefined ? `${formatNumber(verdict.worstUncommitted)}*` : formatNumber(repeatLimit),
      formatNumber(commits),
      formatNumber(kills),
      `${(ms / 1000).toFixed(1)} s`,
    ]);
  }
  return result.toString();
}

/** What the table means, what was broken if anything was, and the one sentence to remember. */
export function conclusion(rows: readonly Row[], options: DemoOptions, input: Input): string {
  const lines: string[] = [];
  if (rows.some((row) => row.repeatLimit === undefined)) {
    lines.push(
      '* goes by time: the bound is what was done and not committed at the worst kill.',
      '  A killed worker may leave a lock; then nothing is committed for up to 2 s.',
    );
  }
  for (const { strategy, kills } of rows) {
    if (kills < options.kills) {
      lines.push(`${strategy}: the work was over after ${kills} of ${options.kills} kills.`);
    }
  }
  const problems = rows.flatMap(({ strategy, verdict }) =>
    verdict.problems.map((problem) => `${strategy}: ${problem}`),
  );
  lines.push(...problems.map((problem) => paint('red', problem)));
  if (problems.length === 0) {
    const groups = totals(input.items.values()).size;
    lines.push(
      `Totals by group (${formatNumber(groups)}) are the same in every output as in the file itself.`,
    );
    lines.push('', allWell(rows));
  } else {
    lines.push('', paint('red', allIsNotWell(rows, options)));
  }
  return lines.join('\n');
}

function allWell(rows: readonly Row[]): string {
  const kills = rows.reduce((sum, row) => sum + row.kills, 0);
  if (kills === 0) return paint('green', 'Nothing was lost, and nobody was killed.');
  if (rows.every(({ repeatLimit }) => repeatLimit === 0)) {
    return (
      paint('green', 'Nothing was lost and nothing was done twice:') +
      ` a worker was killed ${times(kills)}\n` +
      'in the middle of its work. Each time its last transaction was there whole or not\n' +
      'at all, results and offset, and the next one went on after it.'
    );
  }
  return (
    paint('green', 'Nothing was lost:') +
    ` a worker was killed ${times(kills)} in the middle of its work.\n` +
    'Each time the next one went on after the last committed item: only what was\n' +
    'done and not yet committed was done again.'
  );
}

function allIsNotWell(rows: readonly Row[], options: DemoOptions): string {
  const lost = rows.reduce((sum, row) => sum + row.verdict.lost, 0);
  if (options.wrongOrder && lost > 0) {
    return (
      `Items lost: ${formatNumber(lost)}, because they were recorded before their work was done. Record\n` +
      'after the work and none is: run it again without --wrong-order.'
    );
  }
  return 'A promise was broken. Please report it, with the lines above.';
}

function times(number: number): string {
  return number === 1 ? 'once' : `${formatNumber(number)} times`;
}

import { parseArgs } from 'node:util';

export const DEFAULT_STRATEGIES = ['periodic:1000', 'interval:50', 'eager'];
const MAX_KILLS = 1000;

export const HELP = `Kills a worker again and again while it works through a file, and shows that nothing is lost.

Usage: npm run demo -- [options]

  --file PATH      a file with a JSON value on each line; default: the flights of vega-datasets
  --kills N        how often the worker is killed under each strategy, 0 to ${MAX_KILLS}; default: 5
  --strategy S     auto, eager, periodic:N (items) or interval:MS; several with commas or by repeating the
                   option; default: ${DEFAULT_STRATEGIES.join(',')}. auto commits every single item: try it
                   with --limit 2000
  --store URL      where the offsets are kept, such as file:offsets.json; default: a temporary file. In a database,
                   such as sqlite:demo.db or postgres://user:password@host/database, the results are kept, too, in a
                   table flights_done: both change in one transaction, and nothing is repeated either (--strategy
                   then has no part in it)
  --limit N        only the first N lines
  --seed N         chooses the moments of the kills, 0 to 4294967295; default: a new one each time, and it is shown
  --wrong-order    records each item before its work instead of after it, to see how items are lost
  --help           this text

Exit code: 0 nothing was lost and every bound held, 1 something was lost or a worker failed, 2 wrong options,
130 interrupted.`;

export interface DemoOptions {
  readonly help: boolean;
  readonly file: string | undefined;
  readonly kills: number;
  readonly strategies: readonly string[];
  readonly store: string | undefined;
  readonly limit: number | undefined;
  readonly seed: number | undefined;
  readonly wrongOrder: boolean;
}

/** What is wrong with the command line, in words for the user. */
export class UsageError extends Error {}

/** @throws UsageError for an unknown option, or a value that cannot be one */
export function parseOptions(args: readonly string[]): DemoOptions {
  const values = parsed(args);
  return {
    help: values.help ?? false,
    file: values.file === undefined ? undefined : text('--file', values.file),
    kills: values.kills === undefined ? 5 : integer('--kills', values.kills, 0, MAX_KILLS),
    strategies: [...new Set(values.strategy?.flatMap((list) => list.split(',')) ?? DEFAULT_STRATEGIES)],
    store: values.store === undefined ? undefined : text('--store', values.store),
    limit: values.limit === undefined ? undefined : integer('--limit', values.limit, 1, 1e9),
    seed: values.seed === undefined ? undefined : integer('--seed', values.seed, 0, 2 ** 32 - 1),
    wrongOrder: values['wrong-order'] ?? false,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        file: { type: 'string' },
        kills: { type: 'string' },
        strategy: { type: 'string', multiple: true },
        store: { type: 'string' },
        limit: { type: 'string' },
        seed: { type: 'string' },
        'wrong-order': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

function text(option: string, value: string): string {
  if (value === '') throw new UsageError(`Expected a value for ${option}, got nothing`);
  return value;
}

function integer(option: string, value: string, min: number, max: number): number {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max)) {
    throw new UsageError(`Expected ${option} to be an integer from ${min} to ${max}, got "${value}"`);
  }
  return number;
}

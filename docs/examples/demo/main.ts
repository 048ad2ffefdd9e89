/**
 * The demo: a worker streams a real file, is killed again and again with SIGKILL, and loses nothing.
 * `npm run demo -- --help` tells the options.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { OffsetError } from 'streamweave-offset';
import { check } from './check.js';
import { examine, flightsAsLines, type Input, InputError } from './data.js';
import { runExactlyOnce } from './exactly-once.js';
import { type DemoOptions, HELP, parseOptions, UsageError } from './options.js';
import { showProgress } from './progress.js';
import { seededRandom } from './random.js';
import { conclusion, introduction, type Row, table } from './report.js';
import { WorkerError } from './life.js';
import { runScenario } from './scenario.js';
import { isDatabase } from './store.js';
import { parseStrategy, repeatLimit } from './strategy.js';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: DemoOptions;
  try {
    options = parseOptions(args);
    // What these make is not needed here; that they can make it is.
    for (const strategy of options.strategies) parseStrategy(strategy);
    if (options.store !== undefined && isDatabase(options.store) && options.wrongOrder) {
      throw new UsageError(
        'Expected --wrong-order with a store of offsets alone: in a transaction there is no order',
      );
    }
  } catch (error) {
    console.error(`${(error as Error).message}\nTry: npm run demo -- --help`);
    return 2;
  }
  if (options.help) {
    console.log(HELP);
    return 0;
  }

  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Not once(): the lock library's own listener would find itself alone then, and end the process at once.
    process.on(name, () => interruption.abort());
  }
  // The terminal was closed, or the reader of the pipe has gone: nobody looks on any more.
  process.stdout.on('error', () => interruption.abort());
  process.stderr.on('error', () => interruption.abort());
  const folder = await mkdtemp(join(tmpdir(), 'streamweave-offset-demo-'));
  try {
    return await run(options, folder, interruption.signal);
  } catch (error) {
    if (interruption.signal.aborted) return 130;
    if (error instanceof InputError) {
      console.error(error.message);
      return 2;
    }
    if (!(error instanceof WorkerError || error instanceof OffsetError)) throw error;
    console.error(error.message);
    return 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(options: DemoOptions, folder: string, signal: AbortSignal): Promise<number> {
  const file = options.file ?? (await flightsAsLines(folder));
  const name = options.file === undefined ? 'flights' : basename(options.file);
  const input = await examine(file, name, options.limit, folder);
  const seed = options.seed ?? randomInt(2 ** 32);
  const exactlyOnce = options.store !== undefined && isDatabase(options.store);
  console.log(introduction(input, options, seed, exactlyOnce));

  const rows: Row[] = [];
  if (exactlyOnce) {
    rows.push(await tryExactlyOnce(input, options, options.store, seed, signal));
  } else {
    for (const strategy of options.strategies) {
      signal.throwIfAborted();
      rows.push(await tryStrategy(strategy, input, options, seed, folder, signal));
    }
  }
  console.log(table(rows));
  console.log(conclusion(rows, options, input));
  return rows.every(({ verdict }) => verdict.problems.length === 0) ? 0 : 1;
}

async function tryStrategy(
  strategy: string,
  input: Input,
  options: DemoOptions,
  seed: number,
  folder: string,
  signal: AbortSignal,
): Promise<Row> {
  const progress = showProgress(strategy, input.items.size, options.kills);
  try {
    const outcome = await runScenario(
      {
        input,
        strategy,
        store: options.store ?? `file:${join(folder, 'offsets.json')}`,
        kills: options.kills,
        // Each strategy meets the same moments.
        random: seededRandom(seed),
        folder,
        wrongOrder: options.wrongOrder,
        signal,
      },
      progress,
    );
    const limit = repeatLimit(parseStrategy(strategy));
    return {
      strategy,
      verdict: check({ ...outcome, items: input.items, repeatLimit: limit }),
      repeatLimit: limit,
      commits: outcome.commits,
      kills: outcome.kills.length,
      ms: outcome.ms,
    };
  } finally {
    progress.stop();
  }
}

async function tryExactlyOnce(
  input: Input,
  options: DemoOptions,
  store: string,
  seed: number,
  signal: AbortSignal,
): Promise<Row> {
  const name = 'exactly once';
  const progress = showProgress(name, input.items.size, options.kills);
  try {
    const { kills } = options;
    const random = seededRandom(seed);
    const outcome = await runExactlyOnce({ input, store, kills, random, signal }, progress);
    return {
      strategy: name,
      verdict: check({ ...outcome, items: input.items, repeatLimit: 0 }),
      repeatLimit: 0,
      commits: outcome.commits,
      kills: outcome.kills.length,
      ms: outcome.ms,
    };
  } finally {
    progress.stop();
  }
}

/** Runs the worker of the sink, and kills it again and again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bundleWorker } from './bundle.js';
import type { Databases } from './sqlite.js';

/** The first flights of vega-datasets, one on a line. */
export function flightsAsLines(folder: string, count: number): string {
  const require = createRequire(path.join(process.cwd(), 'package.json'));
  const source = require.resolve('vega-datasets').replace(/(vega-datasets\/).*$/, '$1data/flights-200k.json');
  const flights = (JSON.parse(readFileSync(source, 'utf8')) as unknown[]).slice(0, count);
  const file = path.join(folder, 'flights.jsonl');
  writeFileSync(file, flights.map((flight) => `${JSON.stringify(flight)}\n`).join(''));
  return file;
}

/**
 * One life of the worker: killed with SIGKILL some time after so many commits, or to its end; gives how it ended.
 */
async function live(
  worker: string,
  args: readonly string[],
  killAfter: { readonly commits: number; readonly ms: number } | undefined,
): Promise<'killed' | 'done'> {
  const child = spawn(process.execPath, [worker, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  let commits = 0;
  let due = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    commits += text.split('\n').length - 1;
    if (killAfter === undefined || commits < killAfter.commits || due) return;
    due = true;
    // In the middle of a later transaction, wherever that is by then.
    void delay(killAfter.ms).then(() => child.kill('SIGKILL'));
  });
  const [code, signal] = await ended;
  if (signal === 'SIGKILL') return 'killed';
  if (code === 0) return 'done';
  throw new Error(`The worker ended by itself with ${signal ?? `exit code ${code}`}`);
}

interface Proof {
  readonly kills: number;
  readonly rows: unknown[];
  readonly uninterrupted: unknown[];
}

/** The same flights into one table by a worker that is killed as often as asked, and into another by one that is not. */
export async function killAgainAndAgain(
  databases: Databases,
  options: { readonly flights: string; readonly kills: number; readonly batchSize: number },
): Promise<Proof> {
  const { flights, kills, batchSize } = options;
  const worker = await bundleWorker('sink-worker.ts', databases.folder);
  const killed = databases.file;
  const whole = path.join(databases.folder, 'whole.db');
  const rest = [String(batchSize)];
  let deaths = 0;
  for (let life = 0; life < kills; life++) {
    // Different moments of a transaction's life, and of the worker's.
    const moment = { commits: 1 + (life % 3), ms: ((life * 7) % 10) / 4 };
    if ((await live(worker, [flights, killed, ...rest], moment)) === 'killed') deaths++;
  }
  await live(worker, [flights, killed, ...rest], undefined);
  await live(worker, [flights, whole, '1000'], undefined);
  const rowsOf = (file: string): unknown[] =>
    databases.connect(file).prepare('SELECT * FROM flights ORDER BY id').all();
  return { kills: deaths, rows: rowsOf(killed), uninterrupted: rowsOf(whole) };
}

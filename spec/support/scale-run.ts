/** The scale runs: many sources, 64 trackers in 8 processes, beside bare statements as often. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from '@jest/globals';
import { Offset } from '../../lib/offset.js';
import { bundleWorker } from './bundle.js';
import { amount, printFigures } from './fire-random.js';
import { openBackend, type ScaleKind } from './scale-backends.js';
import type { ScaleJob, ScaleReport } from './scale-worker.js';

const PROCESSES = 8;
const TRACKERS = 64;
/** How many of its sources a tracker goes round. */
const ACTIVE = 50;
const ROUNDS = 3;

export const SOURCES = amount('SCALE_SOURCES', 100_000);
const RUN_MS = amount('SCALE_RUN_MS', 5_000);

/** Fills the store, measures, and prints the figures. */
export async function runAtScale(kind: ScaleKind, url: string): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'streamweave-offset-scale-'));
  const backend = await openBackend(kind, url, 1);
  try {
    const worker = await bundleWorker('scale-worker.ts', folder);
    const { store } = backend;
    const entries = Array.from({ length: SOURCES }, (_, index) => ({
      source: `source-${index}`,
      offset: Offset.sequence(0),
    }));
    await timed(kind, 'one commitMany() of all', () => store.commitMany(entries));
    await backend.copy();
    await timed(kind, 'one commitMany() of 10,000', () =>
      store.commitMany(
        entries.slice(0, 10_000).map(({ source }) => ({ source, offset: Offset.sequence(1) })),
      ),
    );
    for (let tries = 0; tries < 3; tries += 1) await timed(kind, 'getAll()', () => store.getAll());
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const what of ['trackers', ...Object.keys(backend.bare)]) {
        const reports = await inProcesses(worker, { kind, url, what, round });
        const micros = reports.flatMap(({ latenciesMicros }) => latenciesMicros);
        const cpu = reports.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0);
        printFigures(`${kind}, round ${round}, ${what}`, {
          'commits per second': Math.round((micros.length * 1_000) / RUN_MS),
          ...quantiles(micros),
          'CPU of the clients for each': `${Math.round(cpu / micros.length)} µs`,
          ...prefixed('first', quantiles(reports.flatMap(({ firstMicros }) => firstMicros))),
        });
      }
    }
    const all = await store.getAll();
    expect(all.size).toBe(SOURCES);
    // Each tracker's newest commit is there, for all that it touched.
    expect(all.get('source-0')).toMatchObject({ kind: 'sequence' });
    for (let tries = 0; tries < 3; tries += 1) await timed(kind, 'clearAll()', () => store.clearAll());
  } finally {
    await backend.end();
    await rm(folder, { recursive: true, force: true });
  }
}

async function timed(kind: ScaleKind, what: string, call: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  await call();
  printFigures(`${kind}, ${SOURCES} sources`, { [what]: `${Math.round(performance.now() - start)} ms` });
}

function quantiles(micros: readonly number[]): { readonly p50: string; readonly p99: string } {
  const sorted = micros.toSorted((a, b) => a - b);
  const at = (part: number): string =>
    `${((sorted[Math.floor(sorted.length * part)] ?? 0) / 1_000).toFixed(1)} ms`;
  return { p50: at(0.5), p99: at(0.99) };
}

function prefixed(prefix: string, figures: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix} ${name}`, value]));
}

/** All begin at once, when the last of them is ready. */
async function inProcesses(
  worker: string,
  job: Omit<ScaleJob, 'ranges' | 'ms'>,
): Promise<readonly ScaleReport[]> {
  const each = TRACKERS / PROCESSES;
  const share = Math.floor(SOURCES / TRACKERS);
  const children = Array.from({ length: PROCESSES }, (_, number) => {
    const ranges = Array.from({ length: each }, (_unused, index) => {
      const from = (number * each + index) * share;
      return [from, from + Math.min(ACTIVE, share)] as const;
    });
    const child = spawn(process.execPath, [worker, JSON.stringify({ ...job, ranges, ms: RUN_MS })], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const ended = once(child, 'close');
    return { child, ended, ready: once(child.stdout, 'data'), said: () => said };
  });
  try {
    await Promise.all(children.map(({ ready, ended }) => Promise.race([ready, ended])));
    for (const { child } of children) child.stdin.write('go\n');
    await Promise.all(children.map(({ ended }) => ended));
    return children.map(({ said }) => JSON.parse(said().replace('ready\n', '')) as ScaleReport);
  } finally {
    for (const { child } of children) child.kill('SIGKILL');
  }
}

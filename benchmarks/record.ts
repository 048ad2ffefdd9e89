import { CommitStrategy, InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';
import type { Bench, Point, Suite } from './harness/bench.js';
import { median } from './harness/compare.js';

async function warmTracker(): Promise<OffsetTracker> {
  const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(1000) });
  await tracker.record('source', 0);
  return tracker;
}

async function run(bench: Bench): Promise<void> {
  const count = bench.pick(1_000_000, 200_000);
  const awaited = 'await record(), periodic(1000), memory store';
  const notAwaited = 'record() not awaited, periodic(1000), memory store';
  const group = await bench.compare(
    'one source',
    [
      {
        name: 'await of a resolved promise',
        prepare: () => {
          const done = Promise.resolve();
          return {
            run: async () => {
              for (let i = 0; i < count; i++) await done;
              return count;
            },
          };
        },
      },
      {
        name: awaited,
        prepare: async () => {
          const tracker = await warmTracker();
          return {
            run: async () => {
              for (let i = 1; i <= count; i++) await tracker.record('source', i);
              return count;
            },
            end: () => tracker.close(),
          };
        },
      },
      {
        name: notAwaited,
        prepare: async () => {
          const tracker = await warmTracker();
          return {
            run: async () => {
              for (let i = 1; i <= count; i++) void tracker.record('source', i);
              await tracker.close();
              return count;
            },
          };
        },
      },
    ],
    bench.pick(21, 5),
  );
  bench.atLeast('await record() against await of a resolved promise', group.lines[1]?.ratio ?? 0, 0.85);
  bench.atLeast('record() not awaited against awaited', group.between(notAwaited, awaited), 3);

  const points: Point[] = [];
  for (const sources of bench.pick([1, 10, 100, 1000, 10_000], [1, 100, 10_000])) {
    points.push({ line: 'await record()', x: sources, y: await costAmong(sources, bench) });
  }
  bench.series({
    id: 'record-sources',
    title: 'Cost of a record against the number of sources',
    x: 'sources',
    y: 'ns per record',
    points,
  });
}

/** Nanoseconds for a record where the sources take turns. */
async function costAmong(sources: number, bench: Bench): Promise<number> {
  const names = Array.from({ length: sources }, (_, at) => `source-${at}`);
  const turns = Math.ceil(bench.pick(600_000, 50_000) / sources);
  const costs: number[] = [];
  for (let round = -1; round < bench.pick(7, 1); round++) {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(1000) });
    for (const name of names) await tracker.record(name, 0);
    globalThis.gc?.({ type: 'minor' });
    const start = performance.now();
    for (let turn = 1; turn <= turns; turn++) for (const name of names) await tracker.record(name, turn);
    if (round >= 0) costs.push(((performance.now() - start) * 1e6) / (turns * sources));
    await tracker.close();
  }
  return median(costs);
}

export const record: Suite = {
  name: 'record',
  question: 'What does it cost to record, beside a promise that does nothing?',
  run,
};

import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  CommitStrategy,
  FileOffsetStore,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
} from 'streamweave-offset';
import { bytesInFlight } from './acks.js';
import type { Bench, Point, Suite } from './harness/bench.js';
import { median } from './harness/compare.js';

const namesOf = (count: number): string[] => Array.from({ length: count }, (_, at) => `source-${at}`);

const entriesOf = (names: readonly string[]): { source: string; offset: Offset }[] =>
  names.map((source) => ({ source, offset: Offset.sequence(1) }));

interface Made {
  readonly keep: unknown;
  readonly end: () => Promise<void>;
}

/** In bytes, once nothing is left that could be collected: what lies beside the heap goes a turn later. */
async function used(): Promise<number> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('Expected --expose-gc');
  for (let turn = 0; turn < 3; turn++) {
    gc();
    await setImmediate();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** In a function of its own: what a round before has made must not live on in the variables of a loop. */
async function growthOnce(
  names: readonly string[],
  make: (names: readonly string[]) => Promise<Made>,
): Promise<number> {
  const before = await used();
  const made = await make(names);
  const after = await used();
  await made.end();
  return (after - before) / names.length;
}

/** What the heap, and what lies beside it, grow by while something is made, for each of `count`. */
async function growth(
  bench: Bench,
  count: number,
  make: (names: readonly string[]) => Promise<Made>,
): Promise<number> {
  const names = namesOf(count);
  const sizes: number[] = [];
  for (let round = -1; round < bench.pick(5, 1); round++) {
    const size = await growthOnce(names, make);
    if (round >= 0) sizes.push(size);
  }
  return median(sizes);
}

async function run(bench: Bench): Promise<void> {
  const counts = bench.pick([100, 1000, 10_000, 100_000], [1000, 10_000]);
  const points: Point[] = [];
  for (const count of counts) {
    const tracked = await growth(bench, count, async (names) => {
      // A store of the tracker's own kind is measured by itself; this one keeps nothing.
      const store = {
        get: async () => undefined,
        commit: async () => {},
        getAll: async () => new Map<string, Offset>(),
        clear: async () => {},
        clearAll: async () => {},
      };
      const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(1000) });
      for (const name of names) await tracker.record(name, 1);
      return { keep: tracker, end: () => tracker.close() };
    });
    const memory = await growth(bench, count, async (names) => {
      const store = new InMemoryOffsetStore();
      await store.commitMany(entriesOf(names));
      return { keep: store, end: () => store.close() };
    });
    const file = await growth(bench, count, async (names) => {
      const store = new FileOffsetStore(path.join(await bench.folder(), 'offsets.json'), {
        maxFileBytes: 64 * 2 ** 20,
      });
      await store.commitMany(entriesOf(names));
      return { keep: store, end: () => store.close() };
    });
    points.push({ line: 'OffsetTracker, one pending record each', x: count, y: tracked });
    points.push({ line: 'InMemoryOffsetStore', x: count, y: memory });
    points.push({ line: 'FileOffsetStore', x: count, y: file });
  }
  bench.series({
    id: 'memory-sources',
    title: 'Memory for a source',
    x: 'sources',
    y: 'bytes per source',
    points,
  });

  const deliveries: Point[] = [];
  for (const count of bench.pick([1000, 10_000, 100_000], [1000, 100_000])) {
    deliveries.push({ line: 'track()', x: count, y: await bytesInFlight(bench, count) });
  }
  bench.series({
    id: 'memory-in-flight',
    title: 'Memory for a delivery in flight',
    x: 'deliveries in flight',
    y: 'bytes per delivery',
    points: deliveries,
  });
  bench.atMost('a delivery in flight, with 100,000 of them', deliveries.at(-1)?.y ?? 0, 150, 'bytes');
}

export const memory: Suite = {
  name: 'memory',
  question: 'How much memory does a source take, and a delivery in flight?',
  run,
};

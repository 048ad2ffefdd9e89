import path from 'node:path';
import { type Duplex, PassThrough, Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  CommitStrategy,
  FileOffsetStore,
  InMemoryOffsetStore,
  type OffsetStore,
  OffsetTracker,
  withOffsets,
} from 'streamweave-offset';
import type { Bench, Point, Suite } from './harness/bench.js';
import { median, type Variant } from './harness/compare.js';

export interface Item {
  readonly id: number;
}

export const itemsOf = (count: number): readonly Item[] => Array.from({ length: count }, (_, id) => ({ id }));

/** A source that has its items at once, as one that reads them in pages mostly has. */
export function sourceOf(items: readonly Item[]): Readable {
  let next = 0;
  return new Readable({
    objectMode: true,
    read() {
      this.push(next < items.length ? items[next++] : null);
    },
  });
}

const sink = (): Writable => new Writable({ objectMode: true, write: (_item, _encoding, done) => done() });

export const bareTransform = (): Transform =>
  new Transform({ objectMode: true, transform: (item, _encoding, done) => done(null, item) });

/** The pipeline with one stage between its source and its sink. */
export function through(name: string, items: readonly Item[], stage: () => Duplex): Variant {
  return {
    name,
    prepare: () => {
      const made = stage();
      return {
        run: async () => {
          await pipeline(sourceOf(items), made, sink());
          return items.length;
        },
      };
    },
  };
}

async function run(bench: Bench): Promise<void> {
  // So many that the first commits, which find their code cold, do not count.
  const items = itemsOf(bench.pick(1_000_000, 100_000));
  /** For what is several times slower. */
  const fewer = items.slice(0, bench.pick(200_000, 30_000));
  const recording = (
    name: string,
    strategy: CommitStrategy,
    open: (file: string) => OffsetStore,
    given = items,
  ): Variant => ({
    name,
    prepare: async () => {
      const store = open(path.join(await bench.folder(), 'offsets.json'));
      const tracker = new OffsetTracker(store, { strategy });
      const options = { source: 'items', offsetOf: ({ id }: Item) => id };
      return {
        run: async () => {
          await pipeline(sourceOf(given), withOffsets(tracker, options), sink());
          return given.length;
        },
        end: async () => {
          await tracker.close();
          await store.close?.();
        },
      };
    },
  });
  const memory = 'withOffsets, periodic(1000), memory store';
  const file = 'withOffsets, periodic(1000), file store';
  const eager = 'withOffsets, eager, file store';
  const bare = 'bare Transform';
  const group = await bench.compare(
    'one source',
    [
      through(bare, items, bareTransform),
      through('PassThrough', items, () => new PassThrough({ objectMode: true })),
      {
        name: 'async generator',
        prepare: () => ({
          run: async () => {
            await pipeline(
              sourceOf(fewer),
              async function* (source: AsyncIterable<Item>) {
                for await (const item of source) yield item;
              },
              sink(),
            );
            return fewer.length;
          },
        }),
      },
      recording(memory, CommitStrategy.periodic(1000), () => new InMemoryOffsetStore()),
      recording(file, CommitStrategy.periodic(1000), (name) => new FileOffsetStore(name), fewer),
      recording(eager, CommitStrategy.eager, (name) => new FileOffsetStore(name)),
    ],
    bench.pick(21, 3),
  );
  bench.atLeast(`${memory}, against the bare Transform`, group.between(memory, bare), 0.9);
  bench.atLeast(`${file}, against the bare Transform`, group.between(file, bare), 0.85);
  bench.atLeast(`${eager}, against the bare Transform`, group.between(eager, bare), 0.8);

  const points: Point[] = [];
  for (const sources of bench.pick([1, 10, 100, 1000, 10_000], [1, 10_000])) {
    points.push({ line: 'withOffsets', x: sources, y: await costAmong(sources, items, bench) });
  }
  bench.series({
    id: 'streams-sources',
    title: 'Cost of an item against the number of sources',
    x: 'sources',
    y: 'ns per item',
    points,
  });
}

/** Nanoseconds for an item where the sources take turns: the whole pipeline, memory store. */
async function costAmong(sources: number, items: readonly Item[], bench: Bench): Promise<number> {
  const names = Array.from({ length: sources }, (_, at) => `source-${at}`);
  const costs: number[] = [];
  for (let round = -1; round < bench.pick(5, 1); round++) {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(1000) });
    for (const name of names) await tracker.getOffset(name);
    const source = ({ id }: Item): string => names[id % sources] as string;
    globalThis.gc?.({ type: 'minor' });
    const start = performance.now();
    await pipeline(sourceOf(items), withOffsets(tracker, { source, offsetOf: ({ id }: Item) => id }), sink());
    if (round >= 0) costs.push(((performance.now() - start) * 1e6) / items.length);
    await tracker.close();
  }
  return median(costs);
}

export const streams: Suite = {
  name: 'streams',
  question: "How much of a pipeline's speed is left with withOffsets() in it?",
  run,
};

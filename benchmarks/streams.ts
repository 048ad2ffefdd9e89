import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
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
import type { Variant } from './compare.js';

interface Item {
  readonly id: number;
}

const N = 200_000;
const items: readonly Item[] = Array.from({ length: N }, (_, id) => ({ id }));

function source(): Readable {
  let next = 0;
  return new Readable({
    objectMode: true,
    read() {
      this.push(next < N ? items[next++] : null);
    },
  });
}

const sink = (): Writable => new Writable({ objectMode: true, write: (_item, _encoding, done) => done() });

function through(name: string, stage: () => Duplex): Variant {
  return {
    name,
    prepare: async () => {
      const made = stage();
      return async () => {
        await pipeline(source(), made, sink());
        return N;
      };
    },
  };
}

function recording(name: string, strategy: CommitStrategy, open: (file: string) => OffsetStore): Variant {
  return {
    name,
    prepare: async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'streamweave-offset-bench-'));
      const store = open(path.join(folder, 'offsets.json'));
      const tracker = new OffsetTracker(store, { strategy });
      return async () => {
        await pipeline(
          source(),
          withOffsets(tracker, { source: 'items', offsetOf: (item: Item) => item.id }),
          sink(),
        );
        await tracker.close();
        await store.close?.();
        await rm(folder, { recursive: true });
        return N;
      };
    },
  };
}

/** How much of a pipeline's speed is left with withOffsets() in it? */
export const streams: readonly Variant[] = [
  through(
    'bare Transform',
    () => new Transform({ objectMode: true, transform: (item, _encoding, done) => done(null, item) }),
  ),
  through('PassThrough', () => new PassThrough({ objectMode: true })),
  recording(
    'withOffsets, periodic(1000), memory',
    CommitStrategy.periodic(1000),
    () => new InMemoryOffsetStore(),
  ),
  recording(
    'withOffsets, periodic(1000), file',
    CommitStrategy.periodic(1000),
    (file) => new FileOffsetStore(file),
  ),
  recording('withOffsets, eager, file', CommitStrategy.eager, (file) => new FileOffsetStore(file)),
];

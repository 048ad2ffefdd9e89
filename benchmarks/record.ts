import { CommitStrategy, InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';
import type { Variant } from './compare.js';

const N = 200_000;

async function tracker(): Promise<OffsetTracker> {
  const made = new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(1000) });
  await made.record('source', 0);
  return made;
}

/** What does it cost to record, beside a promise that does nothing? */
export const record: readonly Variant[] = [
  {
    name: 'await of a resolved promise',
    prepare: async () => {
      const done = Promise.resolve();
      return async () => {
        for (let i = 0; i < N; i++) await done;
        return N;
      };
    },
  },
  {
    name: 'await record(), periodic(1000), memory store',
    prepare: async () => {
      const made = await tracker();
      return async () => {
        for (let i = 1; i <= N; i++) await made.record('source', i);
        return N;
      };
    },
  },
  {
    name: 'record() not awaited, periodic(1000), memory store',
    prepare: async () => {
      const made = await tracker();
      return async () => {
        for (let i = 1; i <= N; i++) void made.record('source', i);
        await made.close();
        return N;
      };
    },
  },
];

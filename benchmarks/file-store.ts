import { mkdtemp, open, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FileOffsetStore, Offset } from 'streamweave-offset';
import type { Variant } from './compare.js';

const N = 300;

/** Commits N times in all, `committers` at once. */
function committing(name: string, committers: number): Variant {
  return {
    name,
    prepare: async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'streamweave-offset-bench-'));
      const store = new FileOffsetStore(path.join(folder, 'offsets.json'));
      await store.commit('source-0', Offset.sequence(0));
      const each = committers === 1 ? N : Math.ceil((N * 8) / committers);
      return async () => {
        await Promise.all(
          Array.from({ length: committers }, async (_, at) => {
            for (let i = 1; i <= each; i++) await store.commit(`source-${at}`, Offset.sequence(i));
          }),
        );
        await store.close();
        await rm(folder, { recursive: true });
        return each * committers;
      };
    },
  };
}

/** What does a durable commit cost, beside the system calls that durability needs at the least? */
export const fileStore: readonly Variant[] = [
  {
    name: 'bare write, fsync, rename, fsync of the folder',
    prepare: async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'streamweave-offset-bench-'));
      const file = path.join(folder, 'offsets.json');
      const bytes = Buffer.alloc(400, 'x');
      const directory = await open(folder);
      return async () => {
        for (let i = 0; i < N; i++) {
          const handle = await open(`${file}.tmp`, 'wx');
          await handle.write(bytes);
          await handle.sync();
          await handle.close();
          await rename(`${file}.tmp`, file);
          await directory.sync();
        }
        await directory.close();
        await rm(folder, { recursive: true });
        return N;
      };
    },
  },
  committing('FileOffsetStore, one committer', 1),
  committing('FileOffsetStore, 64 committers at once', 64),
];

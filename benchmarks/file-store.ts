import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import Conf from 'conf';
import { Keyv } from 'keyv';
import { KeyvFile } from 'keyv-file';
import { open as openLmdb } from 'lmdb';
import { JSONFilePreset } from 'lowdb/node';
import storage from 'node-persist';
import lockfile from 'proper-lockfile';
import { FileOffsetStore, Offset } from 'streamweave-offset';
import writeFileAtomic from 'write-file-atomic';
import type { Bench, Point, Suite } from './harness/bench.js';
import { inChild, PACKAGE } from './harness/child.js';
import { median, type Variant } from './harness/compare.js';

/** A file of one source has so many bytes, of 10,000 so many more. */
const ONE_SOURCE_BYTES = 400;

/** Large enough for a file of 100,000 sources. */
const MAX_FILE_BYTES = 64 * 2 ** 20;

/** What durability takes at the least: no lock, no reading, no merging. */
async function floor(
  folder: string,
  bytes: Buffer,
): Promise<{ write: () => Promise<void>; end: () => Promise<void> }> {
  const file = path.join(folder, 'offsets.json');
  const directory: FileHandle = await open(folder);
  return {
    async write() {
      const handle = await open(`${file}.tmp`, 'wx');
      await handle.write(bytes);
      await handle.sync();
      await handle.close();
      await rename(`${file}.tmp`, file);
      await directory.sync();
    },
    end: () => directory.close(),
  };
}

/** A way of keeping one position: opened once, and then written to again and again. */
interface Keeper {
  readonly name: string;
  readonly open: (folder: string) => Promise<{
    readonly save: (offset: number) => Promise<unknown>;
    readonly end?: () => unknown;
  }>;
}

const FLOOR = 'bare write, fsync, rename, fsync of the folder';
const OURS = 'FileOffsetStore, one committer';
const MERGING = 'proper-lockfile, read, merge, write-file-atomic';

const bareFloor: Keeper = {
  name: FLOOR,
  async open(folder) {
    const { write, end } = await floor(folder, Buffer.alloc(ONE_SOURCE_BYTES, 'x'));
    return { save: write, end };
  },
};

const ours: Keeper = {
  name: OURS,
  async open(folder) {
    const store = new FileOffsetStore(path.join(folder, 'offsets.json'));
    return { save: (offset) => store.commit('source', Offset.sequence(offset)), end: () => store.close() };
  },
};

const durable: readonly Keeper[] = [
  bareFloor,
  ours,
  {
    name: 'write-file-atomic (one process, nothing merged, folder not flushed)',
    async open(folder) {
      const file = path.join(folder, 'offsets.json');
      return { save: (offset) => writeFileAtomic(file, JSON.stringify({ source: offset })) };
    },
  },
  {
    name: MERGING,
    async open(folder) {
      const file = path.join(folder, 'offsets.json');
      await writeFileAtomic(file, '{}');
      return {
        async save(offset) {
          const release = await lockfile.lock(file);
          const offsets = JSON.parse(await readFile(file, 'utf8')) as Record<string, number>;
          await writeFileAtomic(file, JSON.stringify({ ...offsets, source: offset }));
          await release();
        },
      };
    },
  },
  {
    name: 'lmdb (put, then flushed)',
    async open(folder) {
      const db = openLmdb({ path: path.join(folder, 'lmdb') });
      return {
        async save(offset) {
          await db.put('source', offset);
          await db.flushed;
        },
        end: () => db.close(),
      };
    },
  },
  {
    name: 'conf (fsync of the file, not of the folder; blocks the event loop)',
    async open(folder) {
      const conf = new Conf({ cwd: folder, projectName: 'bench' });
      return { save: async (offset) => conf.set('source', offset) };
    },
  },
];

const notDurable: readonly Keeper[] = [
  {
    name: 'lowdb (no fsync)',
    async open(folder) {
      const db = await JSONFilePreset<Record<string, number>>(path.join(folder, 'db.json'), {});
      return {
        save: (offset) =>
          db.update((data) => {
            data['source'] = offset;
          }),
      };
    },
  },
  {
    name: 'node-persist (no fsync, no atomic replacement)',
    async open(folder) {
      const store = storage.create({ dir: path.join(folder, 'persist'), expiredInterval: 0 });
      await store.init();
      return { save: (offset) => store.setItem('source', offset) };
    },
  },
  {
    name: 'keyv-file (no fsync)',
    async open(folder) {
      const keyv = new Keyv({
        store: new KeyvFile({ filename: path.join(folder, 'keyv.json'), writeDelay: 0 }),
      });
      return { save: (offset) => keyv.set('source', offset), end: () => keyv.disconnect() };
    },
  },
];

function saving(bench: Bench, { name, open: openKeeper }: Keeper, count: number): Variant {
  return {
    name,
    prepare: async () => {
      const { save, end } = await openKeeper(await bench.folder());
      await save(0);
      return {
        run: async () => {
          for (let offset = 1; offset <= count; offset++) await save(offset);
          return count;
        },
        end,
      };
    },
  };
}

function committersAtOnce(bench: Bench, committers: number, each: number): Variant {
  return {
    name: `FileOffsetStore, ${committers} committers at once`,
    prepare: async () => {
      const store = new FileOffsetStore(path.join(await bench.folder(), 'offsets.json'));
      await store.commit('source', Offset.sequence(0));
      return {
        run: async () => {
          await Promise.all(
            Array.from({ length: committers }, async (_, at) => {
              for (let i = 1; i <= each; i++) await store.commit(`source-${at}`, Offset.sequence(i));
            }),
          );
          return each * committers;
        },
        end: () => store.close(),
      };
    },
  };
}

async function storeOf(folder: string, sources: number): Promise<{ store: FileOffsetStore; bytes: number }> {
  const store = new FileOffsetStore(path.join(folder, 'offsets.json'), { maxFileBytes: MAX_FILE_BYTES });
  await store.commitMany(
    Array.from({ length: sources }, (_, at) => ({ source: `source-${at}`, offset: Offset.sequence(0) })),
  );
  return { store, bytes: (await store.verify()).bytes };
}

/** One commit into a file of so many sources, and the floor for a file of that size. */
async function atSize(bench: Bench, sources: number, count: number): Promise<[Variant, Variant]> {
  const { store, bytes } = await storeOf(await bench.folder(), sources);
  await store.close();
  return [
    {
      name: `bare floor, ${sources.toLocaleString('en')} sources (${Math.round(bytes / 1000)} kB)`,
      prepare: async () => {
        const { write, end } = await floor(await bench.folder(), Buffer.alloc(bytes, 'x'));
        await write();
        return {
          run: async () => {
            for (let i = 0; i < count; i++) await write();
            return count;
          },
          end,
        };
      },
    },
    {
      name: `FileOffsetStore, ${sources.toLocaleString('en')} sources`,
      prepare: async () => {
        const made = await storeOf(await bench.folder(), sources);
        await made.store.commit('source-0', Offset.sequence(1));
        return {
          run: async () => {
            for (let i = 0; i < count; i++) {
              await made.store.commit(`source-${(i * 37) % sources}`, Offset.sequence(i + 2));
            }
            return count;
          },
          end: () => made.store.close(),
        };
      },
    },
  ];
}

const OPEN = `
  const { FileOffsetStore } = await import(process.argv[1]);
  const begun = performance.now();
  const none = new FileOffsetStore(process.argv[2] + '.none');
  await none.getAll();
  const loaded = performance.now();
  const store = new FileOffsetStore(process.argv[2]);
  const offsets = await store.getAll();
  const opened = performance.now();
  if (offsets.size !== Number(process.argv[3])) throw new Error('not all were read');
  await Promise.all([none.close(), store.close()]);
  console.log(JSON.stringify({ load: loaded - begun, open: opened - loaded }));
`;

/**
 * Milliseconds for the first read of a file in a new process, where none of the code has run before and every
 * byte is verified; and for the first call of any store in a process, which loads the code.
 */
async function coldOpen(bench: Bench, sources: number): Promise<{ load: number; open: number }> {
  const folder = await bench.folder();
  const { store } = await storeOf(folder, sources);
  await store.close();
  const times: { load: number; open: number }[] = [];
  for (let round = 0; round < bench.pick(21, 5); round++) {
    times.push(await inChild(OPEN, PACKAGE, path.join(folder, 'offsets.json'), String(sources)));
  }
  return { load: median(times.map(({ load }) => load)), open: median(times.map(({ open }) => open)) };
}

const COMMITTER = fileURLToPath(new URL('harness/committer.mjs', import.meta.url));

/** Acknowledged commits a second of so many processes on one file. */
async function processes(bench: Bench, count: number, ms: number): Promise<number> {
  const file = path.join(await bench.folder(), 'offsets.json');
  const children = Array.from({ length: count }, (_, at) =>
    fork(COMMITTER, [PACKAGE, file, `source-${at}`], { execArgv: [] }),
  );
  const message = async (child: ChildProcess): Promise<unknown> =>
    (await once(child, 'message'))[0] as unknown;
  await Promise.all(children.map(message));
  const done = children.map(async (child) => {
    const commits = message(child);
    const exited = once(child, 'exit');
    child.send(ms);
    const number = Number(await commits);
    await exited;
    return number;
  });
  const commits = await Promise.all(done);
  return (commits.reduce((sum, one) => sum + one, 0) / ms) * 1000;
}

async function run(bench: Bench): Promise<void> {
  const count = bench.pick(150, 40);
  const one = await bench.compare(
    'one source, one commit at a time, durable',
    durable.map((keeper) => saving(bench, keeper, count)),
    bench.pick(15, 3),
  );
  bench.atMost('a durable commit, against the bare floor (time)', one.between(FLOOR, OURS), 1.5);
  bench.atMost(
    'a durable commit, against proper-lockfile and write-file-atomic (time)',
    one.between(MERGING, OURS),
    1,
  );
  await bench.compare(
    'what does not survive a power loss, for comparison',
    [ours, ...notDurable].map((keeper) => saving(bench, keeper, count)),
    bench.pick(9, 2),
  );

  const many = await bench.compare(
    'group commit',
    [saving(bench, ours, count), committersAtOnce(bench, 64, bench.pick(40, 15))],
    bench.pick(15, 3),
  );
  bench.atLeast('64 concurrent committers, against one (commits/s)', many.lines[1]?.ratio ?? 0, 20);

  const large = await bench.compare(
    'a large file',
    await atSize(bench, 10_000, bench.pick(15, 5)),
    bench.pick(11, 2),
  );
  bench.atMost(
    'one commit among 10,000 sources, against the floor for a file of that size (time)',
    1 / (large.lines[1]?.ratio ?? 0),
    3,
  );
  const { load, open } = await coldOpen(bench, 10_000);
  bench.atMost('open 10,000 sources in a new process (read and verify)', open, 60, 'ms');
  bench.note(`The first call of a FileOffsetStore in a process loads its code: ${load.toFixed(1)} ms more`);

  const ratios: number[] = [];
  for (let round = 0; round < bench.pick(7, 1); round++) {
    const alone = await processes(bench, 1, bench.pick(2000, 800));
    const together = await processes(bench, 4, bench.pick(4000, 1200));
    ratios.push(together / alone);
  }
  bench.atLeast('4 processes on one file, together, against one process (commits/s)', median(ratios), 0.7);

  const points: Point[] = [];
  for (const sources of bench.pick([1, 10, 100, 1000, 10_000, 100_000], [1, 1000])) {
    const group = await bench.measure(
      `${sources.toLocaleString('en')} sources`,
      await atSize(bench, sources, sources >= 100_000 ? 3 : 15),
      bench.pick(sources >= 100_000 ? 5 : 9, 1),
    );
    for (const [at, line] of ['bare floor', 'FileOffsetStore'].entries()) {
      points.push({ line, x: sources, y: 1000 / (group.lines[at]?.perSecond ?? Number.NaN) });
    }
  }
  bench.series({
    id: 'file-store-sources',
    title: 'Cost of a durable commit against the sources in the file',
    x: 'sources',
    y: 'ms per commit',
    points,
  });
}

export const fileStore: Suite = {
  name: 'file-store',
  question: 'What does a durable commit cost, beside the system calls that durability needs at the least?',
  run,
};

/** A process that a fire test starts, stops and kills. See fire-job.ts. */
import { openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { OffsetError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import { type FileSystem, loadFileSystem } from '../../lib/stores/file/io.js';
import { noLock } from './file-fs.js';
import {
  type CommitJob,
  type Endings,
  type Job,
  NEXT_SOURCE,
  type OperationJob,
  ownSources,
  type Place,
  SHARED_SOURCE,
} from './fire-job.js';
import { endingOf, failureOf, operate } from './fire-operation.js';

/** The round in which a process is made to stand still: one with everything warm. */
const AMBUSHED_ROUND = 3;

async function fileSystem({ sabotage, ambush }: CommitJob, say: (what: string) => void): Promise<FileSystem> {
  const real = await loadFileSystem();
  let rounds = 0;
  let renamed = false;
  const at = (place: Place): void => {
    if (ambush?.place !== place || rounds !== AMBUSHED_ROUND) return;
    // Once: the round that follows is to go through.
    rounds += 1;
    say('H');
    if (ambush.how === 'stop') process.kill(process.pid, 'SIGSTOP');
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ambush.how);
    say('B');
  };
  return {
    ...real,
    async open(path, flags, mode) {
      const fd = await real.open(path, flags, mode);
      if (path.endsWith('.token')) {
        rounds += 1;
        at('token made');
      }
      return fd;
    },
    async readdir(path) {
      const names = await real.readdir(path);
      at('swept');
      return names;
    },
    async write(fd, buffer, offset, length, position) {
      at('before write');
      return await real.write(fd, buffer, offset, length, position);
    },
    async rename(from, to) {
      at('before rename');
      await real.rename(from, to);
      renamed = true;
      at('after rename');
    },
    async fsync(fd) {
      if (sabotage !== undefined) {
        const directory = (await real.fstat(fd)).isDirectory();
        if (directory === (sabotage === 'no directory flush')) return;
      }
      await real.fsync(fd);
      if (renamed) at('after directory flush');
      renamed = false;
    },
  };
}

function sequenceOf(offset: Offset | undefined): bigint {
  return offset?.kind === 'sequence' ? offset.value : 0n;
}

async function commit(job: CommitJob): Promise<void> {
  const { path, lock, name, report, own = 1, shared = false, commits = Infinity, pauseMs = 0 } = job;
  const fd = openSync(report, 'a');
  // Synchronous, and to a file: what was reported stays reported, whatever happens to the process then.
  const say = (what: string): void => {
    writeSync(fd, `${what[0]} ${process.hrtime.bigint()}${what.slice(1)}\n`);
  };
  // As a program that ends itself in the middle of things.
  process.on('SIGUSR2', () => process.exit(0));
  const store = new FileOffsetStore(path, {
    lock: lock === 'none' ? noLock : undefined,
    fs: job.sabotage === undefined && job.ambush === undefined ? undefined : await fileSystem(job, say),
  });
  const advance = async (source: string, value: bigint): Promise<void> => {
    await store.commit(source, Offset.sequence(value));
    say(`A ${source} ${value}`);
  };
  const sources = ownSources(name, own);
  const standings = new Map<string, bigint>();
  const parent = process.ppid;
  try {
    for (const source of sources) {
      const value = sequenceOf(await store.get(source));
      standings.set(source, value);
      say(`S ${source} ${value}`);
    }
    // An orphan ends by itself, should the test have been killed.
    for (let count = 0; count < commits && process.ppid === parent; count++) {
      await Promise.all(
        sources.map(async (source) => {
          const value = (standings.get(source) ?? 0n) + 1n;
          standings.set(source, value);
          await advance(source, value);
        }),
      );
      if (shared) {
        try {
          await advance(SHARED_SOURCE, sequenceOf(await store.get(SHARED_SOURCE)) + 1n);
        } catch (error) {
          // Another was faster: that it is said is what protects the source.
          if (!(error instanceof OffsetError) || error.code !== 'OFFSET_BEHIND') throw error;
        }
      }
      if (pauseMs > 0) await setTimeout(pauseMs);
    }
    await store.close();
    say('D');
  } catch (error) {
    say(`E ${JSON.stringify(failureOf(error))}`);
    process.exitCode = 1;
  }
}

/** The thread that makes the asynchronous calls of the file system, where the pool is of one. */
async function poolThread(): Promise<string | undefined> {
  const threads = (): string[] => readdirSync('/proc/self/task');
  const before = new Set(threads());
  await stat('/');
  return threads().find((thread) => !before.has(thread));
}

async function operateWhenTold({ path, lock, operation, next }: OperationJob): Promise<void> {
  const store = new FileOffsetStore(path, { lock: lock === 'none' ? noLock : undefined });
  // What Node opens of its own at the first use, it opens now.
  new Date().getTimezoneOffset();
  void process.stderr.fd;
  writeSync(1, `${await poolThread()}\n`);
  // Blocks until it is told to go, so that whoever traces this process counts its calls from there on.
  readSync(0, Buffer.alloc(1));
  const endings: Endings = {
    operation: await endingOf(operate(store, operation)),
    next: next ? await endingOf(store.commit(NEXT_SOURCE, Offset.sequence(1n))) : undefined,
  };
  await store.close();
  writeSync(1, JSON.stringify(endings));
}

const job = JSON.parse(process.argv[2] ?? '') as Job;
void (job.kind === 'commit' ? commit(job) : operateWhenTold(job));

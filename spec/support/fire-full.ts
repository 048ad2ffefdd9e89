import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { OffsetIoError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import { codeOf } from '../../lib/stores/file/io.js';
import { readStandings } from './fire-reader.js';

const PAGE = 4096;

/** Enough for a file of some 24 KB, 6 pages. */
const SOURCES = 100;

/** Fills the disk, and then frees so many pages of it. */
class Ballast {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, 'ballast');
  }

  fill(freePages: number): void {
    const fd = openSync(this.#path, 'w');
    try {
      const page = Buffer.alloc(PAGE, 1);
      let size = 0;
      try {
        for (;;) size += writeSync(fd, page);
      } catch (error) {
        if (codeOf(error) !== 'ENOSPC') throw error;
      }
      ftruncateSync(fd, Math.max(0, size - freePages * PAGE));
    } finally {
      closeSync(fd);
    }
  }

  remove(): void {
    rmSync(this.#path);
  }
}

export interface Filled {
  readonly cases: number;
  readonly committed: number;
  readonly refused: number;
}

/**
 * Commits with less and less room on the disk, from twice the size of the file to nothing: by a store that
 * has committed before, and by one that begins. Throws where a commit was neither refused for want of room nor
 * landed, where the file was anything but the old or the new one, or where the next commit with room did not land.
 */
export async function fillUp(directory: string): Promise<Filled> {
  const path = join(directory, 'offsets.json');
  const ballast = new Ballast(directory);
  await using warm = new FileOffsetStore(path);
  let standing = 0n;
  await warm.commitMany(
    Array.from({ length: SOURCES }, (_, index) => ({
      source: `s${index}`,
      offset: Offset.sequence(standing),
    })),
  );
  const pages = Math.ceil(readFileSync(path).length / PAGE);
  const filled = { cases: 0, committed: 0, refused: 0 };
  const commit = async (store: FileOffsetStore): Promise<void> => {
    await store.commit('s0', Offset.sequence(standing + 1n));
    standing += 1n;
  };
  for (let freePages = 2 * pages; freePages >= 0; freePages--) {
    for (const kind of ['warm', 'new'] as const) {
      const store = kind === 'warm' ? warm : new FileOffsetStore(path);
      const before = readFileSync(path);
      ballast.fill(freePages);
      filled.cases += 1;
      try {
        await commit(store);
        filled.committed += 1;
      } catch (error) {
        if (!(error instanceof OffsetIoError)) throw error;
        // Beside the disk that says so, there is the one that only takes less than it says.
        if (codeOf(error.cause) !== 'ENOSPC' && error.cause !== undefined) throw error;
        if (error.code !== 'OFFSET_IO') throw error;
        if (!readFileSync(path).equals(before)) throw new Error('The old file was changed', { cause: error });
        filled.refused += 1;
      }
      expectStanding(path, standing);
      ballast.remove();
      await commit(store);
      expectStanding(path, standing);
      if (store !== warm) await store.close();
    }
  }
  const { status } = await warm.verify();
  if (status !== 'ok') throw new Error(`Expected verify() to say ok, got ${status}`);
  return filled;
}

function expectStanding(path: string, value: bigint): void {
  const standings = readStandings(readFileSync(path));
  if (standings.size !== SOURCES || standings.get('s0')?.value !== value) {
    throw new Error(`Expected ${SOURCES} sources, and s0 at ${value}, got ${standings.get('s0')?.value}`);
  }
}

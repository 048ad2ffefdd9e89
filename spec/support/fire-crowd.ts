import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Offset } from '../../lib/offset.js';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import { noLock, type RecordedCall, recordingFileSystem } from './file-fs.js';

/** Puts so many files that have nothing to do with the store into the directory. */
export function crowd(directory: string, files: number): void {
  for (let index = 0; index < files; index++) writeFileSync(join(directory, `foreign-${index}`), '');
}

/** Everything that the first commit of a store, its second, and a read ask of the file system. */
export async function callsAmong(directory: string): Promise<RecordedCall[]> {
  const path = join(directory, 'offsets.json');
  await rm(path, { force: true });
  const { fs, calls } = await recordingFileSystem();
  // One name for every temporary file, so that the calls of two stores can be compared.
  const randomUUID = (): string => '00000000-0000-4000-8000-000000000000';
  await using store = new FileOffsetStore(path, { fs, lock: noLock, randomUUID });
  await store.commit('orders', Offset.sequence(1n));
  await store.commit('orders', Offset.sequence(2n));
  await store.get('orders');
  await store.close();
  return calls;
}

/** The median time of a commit, in milliseconds. */
export async function commitTime(path: string, commits: number): Promise<number> {
  await using store = new FileOffsetStore(path);
  const times: number[] = [];
  for (let count = 0; count < commits; count++) {
    const start = performance.now();
    await store.commit('orders', Offset.sequence(BigInt(count)));
    times.push(performance.now() - start);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(commits / 2)] ?? 0;
}

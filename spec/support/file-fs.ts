import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach } from '@jest/globals';
import { FileOffsetStore, type FileOffsetStoreOptions } from '../../lib/stores/file/file-store.js';
import { type FileSystem, loadFileSystem } from '../../lib/stores/file/io.js';

/** A call that was made: its name, and the last part of the path that it was about. */
export interface RecordedCall {
  readonly call: keyof FileSystem;
  readonly path: string;
}

export interface Recorder {
  readonly fs: FileSystem;
  readonly calls: RecordedCall[];
  /**
   * Called before each call; what it throws is the call's error. What it returns, other than undefined, is
   * the call's result, in place of the real one.
   */
  before: (call: RecordedCall, args: readonly unknown[]) => unknown;
}

/** The real file system, with every call written down, and open to be made to fail. */
export async function recordingFileSystem(parts: Partial<FileSystem> = {}): Promise<Recorder> {
  const real = { ...(await loadFileSystem()), ...parts };
  const names = new Map<number, string>();
  const recorder: Recorder = {
    calls: [],
    before: () => undefined,
    fs: { ...real },
  };
  for (const [name, method] of Object.entries(real)) {
    if (typeof method !== 'function') continue;
    const call = name as keyof FileSystem;
    const wrapped = async (...args: unknown[]): Promise<unknown> => {
      const [target] = args;
      const path = typeof target === 'number' ? (names.get(target) ?? '?') : basename(String(target));
      const recorded = { call, path };
      recorder.calls.push(recorded);
      const instead = await recorder.before(recorded, args);
      if (instead !== undefined) return instead;
      const result: unknown = await (method as (...args: unknown[]) => Promise<unknown>)(...args);
      if (call === 'open') names.set(result as number, path);
      return result;
    };
    Object.assign(recorder.fs, { [name]: wrapped });
  }
  return recorder;
}

/** An error as the operating system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/** A lock that everybody has, always. */
export const noLock = { lock: async () => async () => {} };

/** Makes stores in a directory of the test's own; both are gone after the test. */
export class Workshop {
  readonly #stores: FileOffsetStore[] = [];
  #directory: string | undefined;

  constructor() {
    afterEach(async () => {
      await Promise.all(this.#stores.splice(0).map((store) => store.close()));
      if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
      this.#directory = undefined;
    });
  }

  async directory(): Promise<string> {
    this.#directory ??= await mkdtemp(join(tmpdir(), 'file-store-'));
    return this.#directory;
  }

  async path(name = 'offsets.json'): Promise<string> {
    return join(await this.directory(), name);
  }

  store(path: string | URL, options?: FileOffsetStoreOptions): FileOffsetStore {
    const store = new FileOffsetStore(path, options);
    this.#stores.push(store);
    return store;
  }
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { FileOffsetStore, type FileOffsetStoreOptions } from '../../lib/stores/file/file-store.js';

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
